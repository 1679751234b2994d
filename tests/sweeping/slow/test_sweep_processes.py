"""A sweep of real processes: killed again and again, stopped by Ctrl-C, its steps crashing, started twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
import sweeping
from conftest import PATIENCE_S, Command, clean_environment, eventually

from edgebench.errors import EdgebenchError
from edgebench.results import store
from edgebench.specs import Artifact
from edgebench.sweeping.records import Records
from edgebench.sweeping.this_machine import Local
from edgebench.sweeping.work import work


def begun(root: Path) -> list[dict]:
    path = root / "sweep" / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def start(root: Path) -> subprocess.Popen:
    command = [sys.executable, sweeping.__file__, str(root)]
    return subprocess.Popen(command, env=clean_environment(), start_new_session=True, stderr=subprocess.PIPE)


def wait_for(what, process: subprocess.Popen) -> None:
    assert eventually(lambda: what() or process.poll() is not None)


def steps_alive(root: Path) -> list[int]:
    """The processes of steps of this workspace."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "edgebench.sweeping.step_process" in words and str(root) in words:
            found.append(process.pid)
    return found


def test_a_sweep_that_is_killed_again_and_again_does_all_once_and_loses_nothing(tmp_path: Path) -> None:
    """Killed while the second and the third step run: the sweep's process alone, and its whole group."""
    root = tmp_path / "runs"
    workspace = sweeping.prepare(root)
    for number, kill in ((3, os.kill), (5, os.killpg)):
        process = start(root)
        # The log has a begin and an end of each whole step, and one more begin for each kill before.
        wait_for(lambda number=number: len(begun(root)) >= number, process)
        assert process.poll() is None
        kill(process.pid, signal.SIGKILL)
        process.communicate()
        wait_for(lambda: not steps_alive(root), process)
    process = start(root)
    assert process.wait(PATIENCE_S) == 0, process.stderr.read()
    process.stderr.close()

    events = begun(root)
    ended = [event["step"] for event in events if event["event"] == "ended"]
    assert len(ended) == len(set(ended)) == 4, "no step was done twice"
    for step in ended:
        marks = [event["event"] for event in events if event["step"] == step]
        assert marks[-1] == "ended" and marks.count("ended") == 1
    found, problems = store.read_all(workspace.results)
    assert not problems and len(found) == 3
    assert Counter(r.job.scenario for r in found) == {"latency": 2, "evaluate": 1}
    assert {r.status for r in found} == {"ok"} and "interrupted" not in {r.stop for r in found}


def test_a_step_that_dies_is_a_failure_of_its_own_and_the_rest_goes_on(tmp_path: Path) -> None:
    workspace = sweeping.prepare(tmp_path / "runs")
    steps = sweeping.steps(workspace)[:3]
    victim = steps[1].identity

    def kill_it(state) -> None:
        outcome = state.outcomes.get(victim)
        if outcome and outcome.status == "running":
            for pid in steps_alive(workspace.root):
                os.kill(pid, signal.SIGSEGV)

    with Records(workspace) as kept:
        outcomes = work(steps, kept, Local(kept), kill_it)
    assert [outcomes[step.identity].status for step in steps] == ["ok", "crashed", "ok"]
    assert "SIGSEGV" in outcomes[victim].message


def test_two_sweeps_in_one_workspace_and_a_whole_command(
    edgebench: Command, checkpoint: Artifact, tmp_path: Path
) -> None:
    """`edgebench sweep` takes the checkpoint that `edgebench train` made; a second one meets the first one's lock."""
    workspace = sweeping.prepare(tmp_path / "runs", checkpoint)
    plan = tmp_path / "plan.toml"
    trained = checkpoint.training.config
    plan.write_text(
        f'subsets = [{trained.subset}]\ntargets = ["checkpoint"]\nruntimes = ["fake"]\nevaluate = false\n'
        f"[train]\nepochs = {trained.epochs}\n"
        "[run]\nwarmup_s = 0.1\nduration_s = 0.2\nlaunches = 1\nprecision_target = 0\n"
    )
    with Records(workspace), pytest.raises(EdgebenchError, match="another sweep is at work"):
        sweeping.sweep(workspace)
    done = edgebench("sweep", plan, "--workspace", workspace.root, "--json")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert cell["status"] == "ok" and cell["median_ms"] > 0
    assert cell["paths"]["train"] == f"checkpoints/{checkpoint.path.name}", "it was not trained again"
