"""Two real runs, one of them scripted to be slower, and what `edgebench compare` says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import Command

from edgebench.cli import cli
from edgebench.specs import Artifact

pytestmark = pytest.mark.xdist_group("compare")  # the runs that are compared are made once, not by each of xdist's

SHORT = ("--duration", "0.2", "--warmup", "0", "--launches", "5", "--precision-target", "0", "--max-seconds", "30")


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(scope="module")
def sides(onnx_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces of the fake runtime at 5 ms, 5 ms once more, and 6 ms: a busy machine adds some tenths to a sleep."""
    root = tmp_path_factory.mktemp("compare")
    for name, latency in {"base": "5", "again": "5", "slow": "6"}.items():
        arguments = ("--runtime", "fake", "--runtime-option", f"latency_ms={latency}", *SHORT)
        done = invoke("run", onnx_artifact.path, *arguments, "--workspace", root / name)
        assert done.exit_code == 0, done.stderr
    return {path.name: path for path in root.iterdir()}


def compared(base: Path, new: Path) -> dict:
    done = invoke("compare", base, new, "--json")
    assert done.exit_code == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    return cell


def quiet(cell: dict) -> bool:
    """Whether the machine was: what other programs took from this test is no fault of the comparison."""
    return min(cell["launches"]) >= 5 and "drifted" not in cell["reason"] and "fastest" not in cell["reason"]


def test_the_slower_side_is_found_and_what_changed_is_listed(sides: dict[str, Path]) -> None:
    cell = compared(sides["base"], sides["slow"])
    assert cell["outcome"] == ("slower" if quiet(cell) else "inconclusive"), cell
    assert 1.05 < cell["ratio"] < 1.5
    assert "option latency_ms 5 → 6" in cell["changed"]


def test_the_same_twice_is_neither_slower_nor_faster(sides: dict[str, Path]) -> None:
    assert compared(sides["base"], sides["again"])["outcome"] in ("equivalent", "inconclusive")


def test_the_gate(edgebench: Command, sides: dict[str, Path], tmp_path: Path) -> None:
    cell = compared(sides["base"], sides["slow"])
    out = tmp_path / "gate.xml"
    done = edgebench("compare", sides["base"], sides["slow"], "--fail-on", "slower,inconclusive", "--out", out)
    assert done.returncode == 1 and cell["outcome"] in out.read_text()
