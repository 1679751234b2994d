"""The product on a full arm64 Linux with the kernel's own sensor drivers: an Orin that QEMU plays. It takes minutes.

All tests share one board, which is booted and set up once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from virtual import JOBS, booted, desk, measuring, powering

THERE = ".local/share/edgebench/venv/bin/edgebench"
RAILS = {"VDD_GPU_SOC": 1, "VDD_CPU_CV": 3, "VIN_SYS_5V0": 5}  # by the register of its shunt; its bus's follows
# Shunt and bus: the second rail's current flows backward.
PLANTED = {"VDD_GPU_SOC": (0x0410, 0x4A38), "VDD_CPU_CV": (-0x0208, 0x4A38), "VIN_SYS_5V0": (0x0308, 0x1388)}
SHUNT_OHM = 0.002
NOISE = 64
# One short launch, since a start of Python there takes seconds. Pip's ONNX Runtime has no CUDA on Arm.
BRIEF = ("--runtime", "onnxruntime", "--compute", "cpu", "--launches", "1", "--precision-target", "0", "--warmup", "0")
BRIEF = (*BRIEF, "--duration", "2", "--time-limit", "1800", "--no-race", "--json")


@pytest.fixture(scope="module")
def orin() -> Iterator[Any]:
    with booted("test-orin", "orin") as board:
        yield board


@pytest.fixture(scope="module")
def ready(orin: Any) -> Any:
    """Set up from nothing."""
    done = desk("devices", "setup", "--yes", "--ssh-config", orin.config, orin.name)
    assert done.returncode == 0, done.stderr
    assert f"{orin.name}: aarch64" in done.stderr and "device jetson_orin" in done.stderr
    assert f"{orin.name}: sending edgebench" in done.stderr and "MB are written" in done.stderr
    return orin


@pytest.fixture
def onnx(workspace: Path) -> Path:
    return next((workspace / "artifacts").glob("*-onnx"))


@pytest.fixture
def run_there(ready: Any, onnx: Path, tmp_path: Path) -> Callable[..., tuple[Any, Any]]:
    """Run the artifact on the board: the command, and the newest result as it is stored here; None if none came."""

    def run(*options: str, **during: Any) -> tuple[Any, Any]:
        asked = ["run", onnx, "--host", ready.name, "--ssh-config", ready.config, "--workspace", tmp_path, *BRIEF]
        done = desk(*asked, *options, **during)
        stored = sorted((tmp_path / "results").glob("*.json"))
        return done, json.loads(stored[-1].read_text()) if stored else None

    return run


def planted_mw(shunt: int, bus: int) -> float:
    """The power of a channel of an INA3221: 40 µV and 8 mV a step, both three bits up, which the driver cuts off."""
    return (shunt + NOISE / 2 - 4) / 8 * 40e-6 / SHUNT_OHM * (bus / 8 * 8e-3) * 1000


def plant(board: Any) -> float:
    """Give the rails their registers: the power of all three, in mW."""
    for rail, (shunt, bus) in PLANTED.items():
        board.chip("0-0040", f"{RAILS[rail]} {shunt & 0xFFFF} {NOISE}")
        board.chip("0-0040", f"{RAILS[rail] + 1} {bus} 0")
    return sum(planted_mw(*pair) for pair in PLANTED.values())


def jobs(board: Any) -> list[str]:
    """What of jobs is left there."""
    return board.ssh(f"ls -A {JOBS}", check=False).stdout.split()


def test_energy_is_that_of_the_registers_with_a_sensor_that_fails_and_a_backward_current(ready, run_there) -> None:
    """The answers are x86's, and nothing there is ever `measured`. A disabled channel, one that is not connected and
    the chip's own sums are no rails."""
    planted = plant(ready)

    def fail() -> None:
        # EREMOTEIO, EAGAIN and ETIMEDOUT by turns, each once in the window: no more than a tenth of it may be without
        # values, and a read that fails leaves out the time to the next one too.
        chip = "/sys/kernel/debug/ebstub/0-0040"
        once = f"echo fail $n > {chip}; sleep 0.3; echo fail 0 > {chip}; sleep 17.7"
        ready.ssh(f"for turn in 1 2 3; do for n in 121 11 110; do {once}; done; done", user="root")

    asked = ("--power", "ina", "--energy-seconds", "60")
    done, result = run_there(*asked, during=fail, when=lambda: powering(ready))
    assert done.returncode == 0, done.stderr
    assert result["status"] == "ok" and result["job"]["evidence"] == "emulated"
    assert result["parity"]["passed"] and result["parity"]["relative_error"] < 1e-4
    energy = result["energy"]
    assert energy["source"] == "ina" and energy["missing"] is None, energy["reason"]
    assert energy["rails_mw"].keys() >= PLANTED.keys() and "NC" not in energy["rails_mw"]
    assert energy["gross_j"] == pytest.approx(planted / 1000 * energy["window_s"], rel=0.01)
    assert energy["rails_mw"]["VDD_CPU_CV"] == pytest.approx(planted_mw(*PLANTED["VDD_CPU_CV"]), rel=0.02)
    assert jobs(ready) == []


@pytest.mark.parametrize(("number", "name"), [(121, "EREMOTEIO"), (110, "ETIMEDOUT"), (11, "EAGAIN")])
def test_a_chip_that_fails_is_told_with_what_its_driver_said(number, name, ready) -> None:
    ready.chip("0-0040", f"fail {number}")
    try:
        listed = json.loads(ready.ssh(f"{THERE} power --json", check=False).stdout)["meters"]
    finally:
        ready.chip("0-0040", "fail 0")
    ina = next(found for found in listed if found["meter"] == "ina")
    assert not ina["works"] and name in ina["problem"]


def test_a_clock_set_back_ten_years_in_a_run_dates_no_result(ready, run_there) -> None:
    """And the board is hotter than its trip, which the result tells."""
    ready.chip("0-0048", "0 0x2d00 0")
    began = datetime.now(timezone.utc)
    try:
        back = {"during": lambda: ready.clock(-10 * 365.25 * 86400), "when": lambda: measuring(ready)}
        done, result = run_there("--power", "none", **back)
    finally:
        ready.chip("0-0048", "0 0x1680 0")
        ready.clock(time.time() - float(ready.ssh("date +%s").stdout))
    assert done.returncode == 0, done.stderr
    assert began <= datetime.fromisoformat(result["created"]) <= datetime.now(timezone.utc)
    assert "near_trip" in {notice["code"] for notice in result["notices"]}
    assert jobs(ready) == []


def test_a_link_that_is_down_for_75_s_costs_nothing(ready, run_there) -> None:
    def cut() -> None:
        ready.link("off")
        time.sleep(75)
        ready.link("on")

    done, result = run_there("--power", "none", "--duration", "30", during=cut, when=lambda: measuring(ready))
    assert done.returncode == 0 and result["status"] == "ok", done.stderr
    assert jobs(ready) == []


def test_a_full_disk_is_told_and_the_next_run_works(ready, run_there) -> None:
    # At once, but for the last of it: while a disk is written full byte by byte, a whole run comes to its end.
    fill = (
        "fallocate -l $(($(df --output=avail -B1 . | tail -n 1) - 2000000)) full; dd if=/dev/zero of=full2 bs=512; true"
    )
    try:
        full = {"during": lambda: ready.ssh(fill, check=False), "when": lambda: measuring(ready)}
        done, result = run_there("--power", "none", "--duration", "90", **full)
    finally:
        ready.ssh("rm -f full full2")
    assert done.returncode and not result and "its disk is full" in done.stderr, done.stderr
    done, result = run_there("--power", "none")
    assert done.returncode == 0 and result["status"] == "ok", done.stderr
    assert jobs(ready) == []


def test_a_reset_in_the_middle_is_told_and_the_next_run_works(ready, run_there) -> None:
    middle = {"during": ready.reset, "when": lambda: measuring(ready)}
    done, _ = run_there("--power", "none", "--duration", "60", **middle)
    assert done.returncode and "did the board restart" in done.stderr
    done, result = run_there("--power", "none")
    assert done.returncode == 0 and result["status"] == "ok", done.stderr
    assert jobs(ready) == []
