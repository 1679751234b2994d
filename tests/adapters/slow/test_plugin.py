"""A package that pip installed brings a runtime, an exporter, a meter and a scenario: a file and entry point each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command, clean_environment

from edgebench.machine import packing
from edgebench.specs import Artifact

FILES = REPOSITORY / "tests" / "plugins" / "robot"
ENTRY_POINTS = """\
[edgebench.runtimes]
robot = robot_runtime:RobotRuntime
[edgebench.exporters]
robot = robot_exporter:RobotExporter
[edgebench.meters]
robotmeter = robot_meter:RobotMeter
[edgebench.scenarios]
robotwalk = robot_scenario:SCENARIO
"""


def pip_install(name: str, version: str, site: Path, contents: dict[str, bytes], entry_points: str = "") -> None:
    """Make a wheel, and let pip install it into the folder `site`, over an older version."""
    described = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    described |= {"entry_points.txt": entry_points} if entry_points else {}
    file, content = packing.pack(f"{name}-{version}", described, contents)
    wheel = site.with_name(file)
    wheel.write_bytes(content)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--upgrade"]
    subprocess.run([*command, "--target", site, wheel], check=True, env=clean_environment())
    for old in site.glob(f"{name}-*.dist-info"):  # pip leaves it where it installs into a folder
        if old.name != f"{name}-{version}.dist-info":
            subprocess.run(["rm", "-r", old], check=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the plug-in and its library into."""
    site = tmp_path_factory.mktemp("plugin") / "site"
    modules = {path.name: path.read_bytes() for path in FILES.glob("*.py")}
    pip_install("edgebench_robot", "1.0", site, modules, ENTRY_POINTS)
    pip_install("robotlib", "1.0", site, {})
    return site


def test_doctor_lists_what_it_brings(edgebench: Command, site: Path, tmp_path: Path) -> None:
    for heavy in ("torch", "openvino", "onnx", "nncf", "onnxsim"):  # loading them takes seconds, and it needs none
        (tmp_path / f"{heavy}.py").write_text("raise ModuleNotFoundError(name=__name__)")
    done = edgebench("doctor", "--json", env={"PYTHONPATH": f"{site}:{tmp_path}"})
    assert done.returncode == 0, done.stderr
    works = {(found["kind"], found["name"]) for found in json.loads(done.stdout)["findings"] if found["works"]}
    assert {("runtime", "robot"), ("exporter", "robot"), ("meter", "robotmeter"), ("scenario", "robotwalk")} <= works


def test_its_exporter_makes_what_its_runtime_runs_in_its_scenario_under_its_meter(
    edgebench: Command, site: Path, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    here = {"PYTHONPATH": str(site)}
    workspace = ("--workspace", str(tmp_path))
    done = edgebench("export", onnx_artifact.path, "--target", "robot", *workspace, "--json", env=here)
    assert done.returncode == 0, done.stderr
    quick = ("--duration", "0.2", "--launches", "1", "--max-seconds", "1", "--energy-seconds", "5")
    done = edgebench(
        "run", "--runtime", "rb", "--scenario", "robotwalk", "--power", "auto", *quick, *workspace, "--json", env=here
    )
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "results").iterdir()
    result = json.loads(path.read_text())
    assert (result["status"], result["job"]["runtime"], result["artifact"]["format"]) == ("ok", "robot", "robot")
    assert result["job"]["scenario"] == "robotwalk" and len(result["launches"][0]["samples"]["latency_ns"]) > 1
    assert result["parity"]["passed"] and result["energy"]["source"] == "robotmeter"
    assert result["energy"]["mean_power_mw"] == pytest.approx(5005, abs=5)
    assert result["launches"][0]["before"]["libraries"]["robotlib"] == "1.0"


def test_another_version_of_its_library_makes_its_steps_of_a_sweep_new(edgebench: Command, site: Path, tmp_path: Path):
    def steps() -> dict[str, str]:
        asked = ("sweep", "--targets", "onnx,robot", "--runtimes", "onnxruntime,robot", "--dry-run", "--json")
        done = edgebench(*asked, "--workspace", tmp_path, env={"PYTHONPATH": str(site)})
        assert done.returncode == 0, done.stderr
        return {f"{step['title']} #{i}": step["identity"] for i, step in enumerate(json.loads(done.stdout)["steps"])}

    before = steps()
    pip_install("robotlib", "2.0", site, {})
    now = steps()
    new = {title.partition(" #")[0] for title in before if now[title] != before[title]}
    assert now.keys() == before.keys()
    assert new == {"export to robot, fp32", "evaluate on robot, cpu", "measure on robot, cpu"}


def test_no_file_of_the_core_knows_of_it() -> None:
    for path in (REPOSITORY / "edgebench").rglob("*.py"):
        assert "robot_" not in path.read_text() and "robotlib" not in path.read_text(), path
