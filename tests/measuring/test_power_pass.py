"""When there is a power pass, and when there is none and why. Real passes: commands/slow/test_power_command.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trees
from factories import make_result

from edgebench.errors import Unsupported
from edgebench.machine.device import load_profile
from edgebench.machine.power import PowerOptions
from edgebench.machine.power.place import Watts
from edgebench.machine.power.rapl import Rapl
from edgebench.measuring import power_pass, process
from edgebench.measuring.power_pass import PowerPass
from edgebench.records.energy import Energy
from edgebench.records.jobs import Job
from edgebench.records.result import Result

CPU = load_profile("cpu")


@pytest.mark.parametrize(
    ("missing", "options", "job"),
    [
        ("off", PowerOptions("none"), {}),
        ("emulated", PowerOptions(watts=Watts(3, 9)), {"evidence": "emulated"}),
        ("scenario", PowerOptions(watts=Watts(3, 9)), {"scenario": "offline"}),
        ("no_meter", PowerOptions(), {}),
    ],
)
def test_no_pass_is_made_and_the_reason_is_kept(
    missing: str, options: PowerOptions, job: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "run_job", lambda *a, **k: pytest.fail("a worker was started"))
    monkeypatch.setenv("PATH", str(tmp_path))
    profile = load_profile("jetson_orin") if missing == "emulated" else CPU
    energy = PowerPass(options, profile, tmp_path).measure(make_result(**job)).energy
    assert energy.missing == missing and energy.reason and energy.mean_power_mw is None


def test_a_named_meter_that_does_not_work_is_an_error_beforehand(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="shows no RAPL counters"):
        PowerPass(PowerOptions("rapl"), CPU, tmp_path).check("cpu", "measured")
    PowerPass(PowerOptions("auto"), CPU, tmp_path).check("cpu", "measured")
    PowerPass(PowerOptions("rapl"), load_profile("jetson_orin"), tmp_path).check("cpu", "emulated")


def test_a_launch_that_fails_under_the_meter_costs_the_energy_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Job] = []

    def run_job(job: Job, *args, **kwargs) -> Result:
        asked.append(job)
        return make_result(status="crashed", message="the worker was killed by SIGSEGV")

    monkeypatch.setattr(process, "run_job", run_job)
    monkeypatch.setattr(power_pass, "IDLE_S", 0.2)
    before = make_result()
    after = PowerPass(PowerOptions(), CPU, trees.rapl(tmp_path, trees.PACKAGE)).measure(before)
    assert (after.energy.missing, after.energy.source) == ("failed", "rapl")
    assert "killed by SIGSEGV" in after.energy.reason
    assert replace(after, energy=None) == before
    assert asked[0].duration_s == 10  # a counter that stands still is no slow meter


@pytest.mark.parametrize(
    ("code", "changes", "busy"),
    [
        (None, {}, 0.05),
        ("power_disagrees", {"counter_gap": 0.11}, 0.0),
        ("power_constant", {"min_power_mw": 7000.0}, 0.0),
        ("idle_was_busy", {}, 0.2),
        ("net_negative", {"net_j": -1.0}, 0.0),
    ],
)
def test_what_makes_a_figure_doubtful_is_a_notice(code: str | None, changes: dict, busy: float) -> None:
    energy = Energy(source="nvml", scope="gpu", min_power_mw=5000.0, max_power_mw=7000.0, net_j=20.0, counter_gap=0.02)
    assert [notice.code for notice in power_pass.doubts(replace(energy, **changes), busy)] == [code] * bool(code)


def test_a_meter_that_fails_in_an_unforeseen_way_costs_the_energy_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(meter: Rapl) -> None:
        raise ZeroDivisionError("a planted bug")

    monkeypatch.setattr(Rapl, "read", read)
    after = PowerPass(PowerOptions("rapl"), CPU, trees.rapl(tmp_path, trees.PACKAGE)).measure(make_result())
    assert (after.status, after.energy.missing) == ("ok", "failed")
    assert after.energy.reason == "ZeroDivisionError: a planted bug"
