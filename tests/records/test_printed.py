"""What `print` shows of an artifact and of a result: a line. And how lines on two results differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_artifact, make_result

from edgebench.commands import _progress
from edgebench.records import jsonio
from edgebench.specs import Artifact


@pytest.mark.parametrize("show", [str, repr])
def test_an_artifact_and_a_result_print_as_a_line(show, tmp_path) -> None:
    made = replace(make_artifact(precision="int8"), path=tmp_path / "net", size_bytes=3 * 2**20)
    told = show(made)
    assert len(told) < 200 and "(onnx, int8, 3.0 MiB" in told and str(tmp_path / "net") in told
    result = make_result(made)
    assert len(show(result)) < 200 and "(onnx, int8) on" in show(result) and "ok, measured" in show(result)
    assert replace(made, path=made.path) == made and jsonio.decode(Artifact, jsonio.encode(made), "x") == made


def test_lines_of_results_that_differ_only_in_precision_differ(tmp_path) -> None:
    full, small = (make_result(make_artifact(precision=precision)) for precision in ("fp32", "int8"))
    first, second = (_progress.told(result, tmp_path) for result in (full, small))
    assert first.partition(":")[0] != second.partition(":")[0] and "int8" in second and "fp32" not in first
