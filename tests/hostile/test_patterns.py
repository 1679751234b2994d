"""No regular expression that a call of ours holds takes a time that grows with the square of the text."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from pathlib import Path

import patterns
import pytest
from conftest import REPOSITORY
from edgebench.runtimes import openvino_signature

from edgebench.errors import BadFile

LENGTH, LIMIT_S = 200_000, 3  # of the CPU: what grows with the length takes a third of a second
# What is asked of a text that is short anyway, and which bound that has.
SHORT = {
    r"(image|im|img|orig|target).*(size|shape)|^size$|^im_shape$": "a name of a tensor, see adopting.inputs.TELLING",
    r"\s*([0-9.]+)\s*[a-zA-Zµ%/]+\s*": "a value of the user's plan, which has to match from its beginning",
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|(/|tensorproto)\S+\.(cc|h):\d+ ": "a refusal",
}
FOUND = [
    pattern
    for root in ("edgebench", "exporters", "runtimes")
    for file in sorted((REPOSITORY / root).rglob("*.py"))
    for pattern in patterns.found(Path(file))
]


@pytest.mark.parametrize("pattern", [p for p in FOUND if p.text not in SHORT], ids=lambda pattern: pattern.where)
def test_a_long_text_takes_no_longer_than_its_length(pattern: patterns.Pattern) -> None:
    assert _ends(pattern), f"{pattern.where}: {pattern.text!r} takes too long"


def test_a_pattern_that_is_quadratic_is_found() -> None:
    assert not _ends(patterns.Pattern("here", r"(im|img).*size", 0))
    assert _ends(patterns.Pattern("here", r"^(im|img).*size", 0))
    assert len(FOUND) > 60


def _ends(pattern: patterns.Pattern) -> bool:
    """Whether a process that searches in hostile texts ends before the kernel ends it."""
    compiled = re.compile(pattern.text, pattern.flags)
    if (child := os.fork()) == 0:
        ended = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 1))
            for text in patterns.texts(pattern, LENGTH):
                getattr(compiled, pattern.how)(text)
            ended = 0
        finally:
            os._exit(ended)
    return os.waitpid(child, 0)[1] == 0


def test_comments_before_an_openvino_network_take_no_time_of_their_number(tmp_path: Path) -> None:
    """It doubled with each of them."""
    (tmp_path / "model.xml").write_text("<?xml version='1.0'?>\n" + "<!-- a -->\n" * 60 + "<nothing>")
    if (child := os.fork()) == 0:
        ended = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 1))
            with contextlib.suppress(BadFile):
                openvino_signature._version(tmp_path / "model.xml")
            ended = 0
        finally:
            os._exit(ended)
    assert os.waitpid(child, 0)[1] == 0
