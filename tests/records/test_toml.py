"""TOML files that a person wrote, in the ways that editors write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebench.errors import BadFile
from edgebench.records import toml


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_editors_of_every_system_write_toml(tmp_path: Path, start: bytes, line_end: bytes) -> None:
    (tmp_path / "plan.toml").write_bytes(start + line_end.join([b'model = "resnet18"', "name = 'für'".encode(), b""]))
    assert toml.read(tmp_path / "plan.toml", example="") == {"model": "resnet18", "name": "für"}


@pytest.mark.parametrize("content", [b"\xff\xfem\0", b"model = ", b"[" * 10_000], ids=["UTF-16", "half", "deep"])
def test_what_is_no_toml_is_told_with_an_example(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.toml").write_bytes(content)
    with pytest.raises(BadFile, match=r"plan\.toml is not TOML") as told:
        toml.read(tmp_path / "plan.toml", example='model = "resnet18"', what="the plan")
    assert told.value.fix == 'model = "resnet18"'
