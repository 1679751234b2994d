"""Power through the real commands: a stand-in tegrastats that replays recorded lines, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import PATIENCE_S, REPOSITORY, clean_environment, eventually
from factories import make_artifact, make_reference

from edgebench.records import jsonio
from edgebench.records.energy import Energy
from edgebench.records.result import Result

LINES = REPOSITORY / "tests" / "machine" / "power" / "tegrastats_lines.txt"
# It prints the Orin Nano's recorded lines as the real one prints: one each --interval, flushed; and keeps a log of its
# own, by the same clock that edgebench stamps with.
TEGRASTATS = f"""\
#!{sys.executable}
import itertools, os, sys, time
pitch = int(sys.argv[sys.argv.index("--interval") + 1]) / 1000
lines = [line.strip() for line in open({str(LINES)!r}) if "VDD_IN" in line and "mW/" in line]
due = time.monotonic()
log = open(os.environ["TEGRASTATS_LOG"], "a")
for line in itertools.cycle(lines):
    print(line, flush=True)
    print(time.perf_counter_ns(), line.split("VDD_IN ")[1].split("mW")[0], file=log, flush=True)
    due += pitch
    time.sleep(max(0, due - time.monotonic()))
"""
BOARD = """\
schema = 1
title = "a board with the rails of an Orin Nano"
compute = "cpu"
runtimes = ["onnxruntime"]
precisions = ["fp32"]
[match]
cpu_model = ["*"]
[power]
scope = "module"
total_rails = ["VDD_IN"]
"""


class Board:
    """This machine as a board that has a tegrastats, with a measuring lock of its own."""

    def __init__(self, root: Path, tegrastats: str = TEGRASTATS) -> None:
        self.root, self.log = root, root / "tegrastats.log"
        (root / "bin").mkdir(parents=True)
        (root / "board.toml").write_text(BOARD)
        self.tool = root / "bin" / "tegrastats"
        self.tool.write_text(tegrastats)
        self.tool.chmod(0o755)
        path = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environment = clean_environment(
            PATH=path, TMPDIR=str(root), EDGEBENCH_LOCKS=str(root), TEGRASTATS_LOG=str(self.log), EDGEBENCH_POWER="auto"
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "edgebench", *map(str, arguments), "--device", str(self.root / "board.toml")]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.root
        )

    def run(self, *arguments: str | Path) -> subprocess.Popen:
        artifact = self.root / "artifact"
        make_artifact(artifact, reference=make_reference(8))
        options = ["--runtime", "fake", "--launches", "1", "--duration", "0.2", "--workspace", self.root / "runs"]
        return self.start("run", artifact, *options, *arguments)

    def result(self, process: subprocess.Popen) -> Result:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err + out
        (path,) = (self.root / "runs" / "results").glob("*.json")
        return jsonio.read(Result, path)

    def processes(self) -> list[int]:
        return [p.pid for p in psutil.process_iter(["cmdline"]) if str(self.tool) in (p.info["cmdline"] or [])]

    def until(self, holds, what: str) -> None:
        assert eventually(holds), f"never {what}"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Board, subprocess.Popen]]]:
    """Four runs at once, each on a board of its own: they mostly wait."""
    silent = f"#!{sys.executable}\nprint('tegrastats: no power rails')\n"
    made = {name: Board(tmp_path_factory.mktemp(name)) for name in ("latency", "camera", "sustained", "broken")}
    made["broken"] = Board(tmp_path_factory.mktemp("silent"), silent)
    runs = {
        "latency": made["latency"].run("--energy-seconds", "8"),
        "camera": made["camera"].run("--scenario", "camera", "--rate", "4", "--energy-seconds", "5"),
        "sustained": made["sustained"].run("--scenario", "sustained", "--minutes", "0.12"),
        "broken": made["broken"].run("--energy-seconds", "5"),
    }
    yield {name: (made[name], process) for name, process in runs.items()}
    for process in runs.values():
        process.kill()
        process.communicate()


def test_the_energy_of_a_run_is_what_integration_by_hand_gives(boards: dict) -> None:
    board, process = boards["latency"]
    result = board.result(process)
    energy = result.energy
    assert (energy.source, energy.scope, energy.modelled, energy.missing) == ("tegrastats", "module", False, None)
    assert energy.window_s >= 8, "which was asked for"

    # The tool's own log, laid over the trace by its sequence of values; the window's start is then known in its clock,
    # by the middle one of the delays, since a busy machine reads some lines late.
    log = np.loadtxt(board.log)
    seen = [mw for _, mw in energy.trace]
    places = [i for i in range(len(log) - len(seen) + 1) if list(log[i : i + len(seen), 1]) == seen]
    assert places, "the trace is not what the tool printed"
    read_s = np.array([at_s for at_s, _ in energy.trace])
    start_ns = np.median(log[places[0] : places[0] + len(seen), 0] - read_s * 1e9)
    times = np.linspace(start_ns, start_ns + energy.window_s * 1e9, 20_001)
    by_hand_j = np.interp(times, log[:, 0], log[:, 1]).mean() / 1000 * energy.window_s
    assert energy.gross_j == pytest.approx(by_hand_j, rel=0.02)
    assert energy.mj_per_inference == pytest.approx(energy.gross_j * 1000 / energy.inferences)
    assert energy.net_j == pytest.approx(energy.gross_j - energy.idle_power_mw / 1000 * energy.window_s)
    assert result.summary.n != energy.inferences  # a pass of its own: nothing of it is in the latency
    assert board.processes() == []


def test_a_frame_has_the_energy_of_its_period(boards: dict) -> None:
    board, process = boards["camera"]
    energy = board.result(process).energy
    assert energy.missing is None, energy.reason
    assert energy.inferences >= 20 and energy.window_s == pytest.approx(energy.inferences / 4)
    assert energy.mj_per_image == pytest.approx(energy.mean_power_mw / 4)


def test_a_sustained_run_has_the_power_of_its_windows(boards: dict) -> None:
    board, process = boards["sustained"]
    result = board.result(process)
    windows = result.launches[0].windows
    told = [window.power_mw for window in windows if window.power_mw is not None]
    assert len(told) >= len(windows) - 1 >= 5
    assert np.mean(told) == pytest.approx(result.energy.mean_power_mw, rel=0.1)
    assert board.processes() == []


def test_a_meter_that_breaks_costs_the_energy_and_not_the_result(boards: dict) -> None:
    board, process = boards["broken"]
    result = board.result(process)
    assert (result.status, result.energy.missing, result.energy.gross_j) == ("ok", "failed", None)
    assert "no power rails" in result.energy.reason
    assert result.summary.median_ns > 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_end_of_edgebench_leaves_a_tegrastats(tmp_path: Path, how: signal.Signals) -> None:
    board = Board(tmp_path)
    process = board.start("power", "tegrastats", "--seconds", "600")
    try:
        board.until(board.processes, "started")
        process.send_signal(how)
        process.communicate(timeout=PATIENCE_S)
        board.until(lambda: not board.processes(), "ended")
    finally:
        process.kill()
        process.communicate()


def test_power_lists_every_meter_and_reads_the_best(tmp_path: Path) -> None:
    board = Board(tmp_path)
    listed, err = board.start("power", "--json").communicate(timeout=PATIENCE_S)
    told = {one["meter"]: one for one in json.loads(listed)["meters"]}
    assert list(told) == ["ina", "tegrastats", "nvml", "rapl", "pmic", "battery", "model"]
    assert told["tegrastats"]["works"] and told["tegrastats"]["power_mw"] > 4000
    assert all(one["works"] or (one["problem"] and one["power_mw"] is None) for one in told.values())
    out, err = board.start("power", "--seconds", "1.5", "--json").communicate(timeout=PATIENCE_S)
    energy = jsonio.decode(Energy, json.loads(out), "stdout")
    assert (energy.source, energy.missing) == ("tegrastats", None) and 4000 < energy.mean_power_mw < 13000, err
