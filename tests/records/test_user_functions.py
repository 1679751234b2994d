"""A function of the user's comes from the bytes that were read; what goes wrong in it is told with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebench.errors import BadFile, UsageError
from edgebench.records import user_functions


def test_exactly_the_bytes_that_were_read_are_run(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Pair:\n    a: 'int'\ndef made(a): return Pair(a).a"
    )
    source = user_functions.read(path)
    path.write_text("raise RuntimeError")
    assert user_functions.load(path, "made", source)(3) == 3


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = 1\ndef build(:\n", "line 2: SyntaxError"), ("import os\n\nos.nothing()\n", "line 3: AttributeError"),
        ("raise SystemExit('no')\n", "line 1: SystemExit: no"), ("import nowhere_to_find\n", "line 1: ModuleNotFound"),
        ("from math import floor\ndef bild(): pass\n", "unknown function in .*: 'build'"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_told_with_its_line(source: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        user_functions.load(tmp_path / "mine.py", "build", source.encode())
    assert caught.value.fix and "floor" not in caught.value.fix


@pytest.mark.parametrize(
    ("name", "shown"),
    [("mine", "for example metric.py:score"), ("mine.py", "mine.py:score"), ("a b.py:c d", "for example metric.py")],
)
def test_what_names_no_function_is_told_with_an_example(name: str, shown: str) -> None:
    with pytest.raises(UsageError, match="does not name a function") as caught:
        user_functions.split(name, "metric.py:score")
    assert shown in caught.value.fix


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        user_functions.read(tmp_path / "none.py")
