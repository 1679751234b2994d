"""A scenario of another package: one file and one entry point, and no file of edgebench knows of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command, clean_environment

from edgebench.records import jsonio
from edgebench.records.jobs import Job
from edgebench.specs import Artifact

pytestmark = pytest.mark.xdist_group("paced")  # measured once
ASKED = ("--runtime", "fake", "--scenario", "paced", "--rest-ms", "2", "--launches", "2", "--precision-target", "0")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the plug-in is installed."""
    site = tmp_path_factory.mktemp("plugin") / "site"
    shutil.copytree(REPOSITORY / "tests" / "plugins" / "paced", site)
    return {"PYTHONPATH": str(site)}


@pytest.fixture(scope="module")
def measured(
    edgebench: Command, here: dict[str, str], onnx_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A workspace with two measurements of the scenario: the first on its defaults but for the rest."""
    workspace = tmp_path_factory.mktemp("workspace")
    for more in ((), ("--rests", "8")):
        done = edgebench("run", onnx_artifact.path, *ASKED, *more, "--workspace", workspace, env=here)
        assert done.returncode == 0, done.stderr
        assert "on fake: rested " in done.stderr
    return workspace


def results(workspace: Path) -> list[dict]:
    found = [json.loads(path.read_text()) for path in (workspace / "results").glob("*.json")]
    return sorted(found, key=lambda result: result["created"])


def test_its_options_are_flags_of_run_that_name_it(edgebench: Command, here: dict[str, str]) -> None:
    shown = " ".join(edgebench("run", "--help", env=here).stdout.split())
    assert "offline|paced]" in shown
    assert "--rest-ms FLOAT Milliseconds of rest after each request (paced). [default: 1]" in shown
    assert "--rests" not in edgebench("run", "--help").stdout


def test_its_options_and_figures_are_in_the_result(measured: Path) -> None:
    first, second = results(measured)
    assert first["job"]["own"] == {"rest_ms": 2.0, "rests": 20} and second["job"]["own"]["rests"] == 8
    assert first["summary"]["n"] == 2 * 20 and 0 < first["summary"]["extra"]["idle_share"] < 1
    assert all(0 < launch["extra"]["idle_share"] < 1 for launch in first["launches"])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--scenario", "paced", "--rests", "0"), "--rests is 0"),
        (("--scenario", "paced", "--rests", "60001"), "more than a minute"),
        (("--scenario", "latency", "--rests", "3"), "--rests has no meaning in the scenario latency"),
        (("--scenario", "paced", "--rate", "3"), "--rate has no meaning in the scenario paced"),
    ],
)
def test_what_its_options_cannot_be_is_refused(
    edgebench: Command, here: dict[str, str], onnx_artifact: Artifact, asked: tuple[str, ...], says: str
) -> None:
    done = edgebench("run", onnx_artifact.path, *asked, env=here)
    assert done.returncode == 2 and says in done.stderr, done.stderr


def test_it_is_reported_compared_and_chosen_by(
    edgebench: Command, here: dict[str, str], measured: Path, tmp_path: Path
) -> None:
    done = edgebench("report", "--workspace", measured, "--format", "json", env=here)
    rows = json.loads(done.stdout)
    assert [(row["scenario"], row["verdict"]) for row in rows] == [("paced", "rested")] * 2, "two measurements, not one"
    page = tmp_path / "page.html"
    done = edgebench("report", "--workspace", measured, "--format", "html", "--out", page, env=here)
    assert done.returncode == 0, done.stderr
    assert "paced" in page.read_text() and "--rests 8" in page.read_text()
    done = edgebench("compare", measured, shutil.copytree(measured, tmp_path / "again"), "--json", env=here)
    assert done.returncode == 0, done.stderr
    assert [cell["ratio"] for cell in json.loads(done.stdout)["cells"]] == [1, 1], done.stderr
    done = edgebench("select", "--workspace", measured, "--scenario", "paced", "--max-median-ms", "1000", env=here)
    assert "fake" in done.stdout, done.stderr


def test_without_its_package_its_results_are_still_shown(edgebench: Command, measured: Path, tmp_path: Path) -> None:
    done = edgebench("report", "--workspace", measured, "--format", "json")
    rows = json.loads(done.stdout)
    assert [(row["scenario"], row["verdict"]) for row in rows] == [("paced", "")] * 2
    assert all(row["median_ms"] > 0 and row["throughput_per_s"] > 0 for row in rows)
    done = edgebench("compare", measured, shutil.copytree(measured, tmp_path / "again"), "--json")
    assert [cell["ratio"] for cell in json.loads(done.stdout)["cells"]] == [1, 1], done.stderr
    done = edgebench("run", "--scenario", "paced", "--workspace", measured)
    assert done.returncode == 2 and "paced" in done.stderr


def test_a_sweeps_plan_and_python_take_its_options(here: dict[str, str]) -> None:
    code = """
from edgebench.errors import UsageError
from edgebench.measuring import options
from edgebench.sweeping import plan
made = plan.make({"run": {"scenario": "paced", "rest_ms": 3, "rests": 4}})
assert made.run == options.asked({"scenario": "paced", "rest_ms": 3.0, "rests": 4}), made.run
for bad in ({"scenario": "paced", "rests": "4"}, {"scenario": "camera", "rests": 4}, {"resst": 4}):
    try:
        plan.make({"run": bad})
        raise SystemExit(f"{bad} was taken")
    except UsageError:
        pass
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=clean_environment(**here), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_of_the_core_knows_of_it() -> None:
    for path in (REPOSITORY / "edgebench").rglob("*.py"):
        assert "paced" not in path.read_text().split(), path


def test_a_job_of_another_scenario_says_nothing_of_it() -> None:
    job = Job(artifact="0" * 64, runtime="fake", device="cpu", compute="cpu")
    assert "own" not in json.loads(jsonio.dumps(job))
