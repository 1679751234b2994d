"""Two real runs, one of them scripted to be slower, and what `edgebench compare` says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import PATIENCE_S, SCRIPTED_CLOCK, Command

from edgebench.cli import cli
from edgebench.specs import Artifact

pytestmark = pytest.mark.xdist_group("compare")  # the runs that are compared are made once, not by each of xdist's

SHORT = ("--duration", "0.2", "--warmup", "0", "--launches", "5", "--precision-target", "0")


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(scope="module")
def sides(onnx_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces of the fake runtime at 5 ms, 5 ms once more, and 6 ms, by the scripted clock."""
    root = tmp_path_factory.mktemp("compare")
    patient = ("--max-seconds", str(PATIENCE_S))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", SCRIPTED_CLOCK["PYTHONPATH"])
        for name, latency in {"base": "5", "again": "5", "slow": "6"}.items():
            arguments = ("--runtime", "fake", "--runtime-option", f"latency_ms={latency}", *SHORT, *patient)
            done = invoke("run", onnx_artifact.path, *arguments, "--workspace", root / name)
            assert done.exit_code == 0, done.stderr
            forget_what_others_did(root / name)
    return {path.name: path for path in root.iterdir()}


def forget_what_others_did(workspace: Path) -> None:
    """Launches beside other programs are not compared; here they were timed by a clock that these do not move."""
    (path,) = (workspace / "results").glob("*.json")
    result = json.loads(path.read_text())
    for launch in result["launches"]:
        launch["notices"] = []
    path.write_text(json.dumps(result | {"notices": []}))


def compared(base: Path, new: Path) -> dict:
    done = invoke("compare", base, new, "--json")
    assert done.exit_code == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    return cell


def test_the_slower_side_is_found_and_what_changed_is_listed(sides: dict[str, Path]) -> None:
    cell = compared(sides["base"], sides["slow"])
    assert cell["outcome"] == "slower", cell
    assert cell["ratio"] == pytest.approx(1.2, rel=1e-3)
    assert "option latency_ms 5 → 6" in cell["changed"]


def test_the_same_twice_is_neither_slower_nor_faster(sides: dict[str, Path]) -> None:
    assert compared(sides["base"], sides["again"])["outcome"] == "equivalent"


def test_the_gate(edgebench: Command, sides: dict[str, Path], tmp_path: Path) -> None:
    cell = compared(sides["base"], sides["slow"])
    out = tmp_path / "gate.xml"
    done = edgebench("compare", sides["base"], sides["slow"], "--fail-on", "slower,inconclusive", "--out", out)
    assert done.returncode == 1 and cell["outcome"] in out.read_text()
