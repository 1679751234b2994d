"""The product on a full arm64 Linux with the kernel's own sensor drivers: an Orin that QEMU plays. It takes minutes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from virtual import booted

THERE = ".local/share/edgebench/venv/bin/edgebench"
RAILS = {"VDD_GPU_SOC": 1, "VDD_CPU_CV": 3, "VIN_SYS_5V0": 5}  # by the register of its shunt; its bus's follows
SHUNT_OHM = 0.002
NOISE = 64
PATIENT = {"timeout": 3600}  # a board played by a busy machine


@pytest.fixture(scope="module")
def orin() -> Iterator[Any]:
    with booted("test-orin", "orin") as board:
        yield board


def planted_mw(shunt: int, bus: int) -> float:
    """The power of a channel of an INA3221: 40 µV and 8 mV a step, both three bits up, which the driver cuts off."""
    return (shunt + NOISE / 2 - 4) / 8 * 40e-6 / SHUNT_OHM * (bus / 8 * 8e-3) * 1000


def meter(board: Any, seconds: float = 10) -> dict[str, Any]:
    done = board.ssh(f"{THERE} power ina --seconds {seconds:g} --json", check=False)
    return json.loads(done.stdout)


def there(board: Any, edgebench: Any, artifact: Path, *options: str, **more: Any) -> list[dict[str, Any]]:
    asked = ["run", artifact, "--host", board.name, "--ssh-config", board.config, "--runtime", "onnxruntime", "--json"]
    done = edgebench(*asked, "--launches", "1", "--duration", "2", "--time-limit", "1800", *options, **PATIENT | more)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found if isinstance(found, list) else found["results"]


@pytest.fixture(scope="module")
def ready(orin: Any, edgebench: Any) -> Any:
    """Set up from nothing, and again for nothing."""
    setup = ("devices", "setup", "--yes", "--ssh-config", orin.config, orin.name)
    done = edgebench(*setup, **PATIENT)
    assert done.returncode == 0, done.stderr
    assert "jetson_orin" in done.stdout and "aarch64" in done.stdout
    return orin


def test_a_run_is_emulated_with_power_and_its_answers_are_those_of_x86(ready, edgebench, workspace, tmp_path) -> None:
    artifact = next((workspace / "artifacts").glob("*-onnx"))
    (result,) = there(ready, edgebench, artifact, "--workspace", str(tmp_path), "--power", "ina")
    assert result["status"] == "ok" and result["evidence"] == "emulated"
    assert result["parity"]["max_abs_diff"] < 1e-4
    assert result["energy"]["source"] == "ina" and result["energy"]["gross_j"] > 0


def test_energy_is_the_integral_of_the_planted_registers(ready) -> None:
    values = {"VDD_GPU_SOC": (0x0410, 0x4A38), "VDD_CPU_CV": (0x0208, 0x4A38), "VIN_SYS_5V0": (0x0308, 0x1388)}
    for rail, (shunt, bus) in values.items():
        ready.chip("0-0040", f"{RAILS[rail]} {shunt} {NOISE}")
        ready.chip("0-0040", f"{RAILS[rail] + 1} {bus} 0")
    found = meter(ready)
    planted = {rail: planted_mw(*pair) for rail, pair in values.items()}
    assert found["rails_mw"].keys() >= planted.keys() and "NC" not in found["rails_mw"]
    assert found["mean_power_mw"] == pytest.approx(sum(planted.values()), rel=0.01)
    for rail, mw in planted.items():
        assert found["rails_mw"][rail] == pytest.approx(mw, rel=0.02)


@pytest.mark.parametrize(("number", "name"), [(121, "EREMOTEIO"), (110, "ETIMEDOUT"), (11, "EAGAIN")])
def test_a_chip_that_fails_is_told_with_what_its_driver_said(number, name, ready) -> None:
    ready.chip("0-0040", f"fail {number}")
    try:
        listed = json.loads(ready.ssh(f"{THERE} power --json", check=False).stdout)["meters"]
    finally:
        ready.chip("0-0040", "fail 0")
    ina = next(found for found in listed if found["meter"] == "ina")
    assert not ina["works"] and name in ina["problem"]


def test_a_clock_that_is_set_during_a_run_dates_no_result(ready, edgebench, workspace, tmp_path) -> None:
    artifact = next((workspace / "artifacts").glob("*-onnx"))
    ready.clock(-400 * 86400)
    began = datetime.now(timezone.utc)
    try:
        (result,) = there(ready, edgebench, artifact, "--workspace", str(tmp_path), "--power", "none")
    finally:
        ready.clock(400 * 86400)
    made = datetime.fromisoformat(result["created"])
    assert began <= made <= datetime.now(timezone.utc)


def test_a_reset_in_the_middle_is_told_and_the_next_run_works(ready, edgebench, workspace, tmp_path) -> None:
    artifact = next((workspace / "artifacts").glob("*-onnx"))

    def cut() -> None:
        while not ready.ssh("cat .local/share/edgebench/jobs/*/progress.jsonl", check=False).stdout:
            time.sleep(1)
        ready.reset()

    cutting = threading.Thread(target=cut)
    cutting.start()
    asked = ["run", artifact, "--host", ready.name, "--ssh-config", ready.config, "--runtime", "onnxruntime"]
    done = edgebench(
        *asked, "--launches", "1", "--duration", "60", "--workspace", tmp_path, "--power", "none", **PATIENT
    )
    cutting.join()
    assert done.returncode and "did the board restart" in done.stderr
    (result,) = there(ready, edgebench, artifact, "--workspace", str(tmp_path), "--power", "none")
    assert result["status"] == "ok"
