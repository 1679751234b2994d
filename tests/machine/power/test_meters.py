"""Each meter on recorded files: right figures, or an error that says what is missing."""

from __future__ import annotations

import errno
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest
import trees
from asleep import asleep
from conftest import needed
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.machine.device import load_profile
from edgebench.machine.power import PowerOptions, open_meter, rapl
from edgebench.machine.power import survey as surveying
from edgebench.machine.power.battery import Battery
from edgebench.machine.power.ina import Ina
from edgebench.machine.power.model import Model
from edgebench.machine.power.nvml import Nvml
from edgebench.machine.power.place import Place, Watts
from edgebench.machine.power.pmic import Pmic, parse
from edgebench.machine.power.rapl import Rapl, drawn_uj
from edgebench.machine.power.survey import survey
from edgebench.machine.power.tegrastats import Tegrastats
from edgebench.machine.power.window import Window, summary
from edgebench.records.energy import Sample

S = 1_000_000_000


def place(root: Path, profile: str = "cpu", **changes) -> Place:
    return Place(load_profile(profile), root, **changes)


def look(root: Path, profile: str) -> Sample:
    with closing(Ina(place(root, profile))) as meter:
        return meter.read()


def test_jetpack_4_nano(tmp_path: Path) -> None:
    told = look(trees.jetpack4(tmp_path, {"POM_5V_IN": 2132, "POM_5V_GPU": 78, "POM_5V_CPU": 275}), "jetson_nano")
    assert told.total_mw == 2132  # GPU and CPU are inside it
    assert told.rails_mw == {"POM_5V_IN": 2132, "POM_5V_GPU": 78, "POM_5V_CPU": 275}


def test_jetpack_3_tx2_has_its_chips_under_another_name(tmp_path: Path) -> None:
    trees.jetpack4(tmp_path, {"VDD_SYS_GPU": 1159, "VDD_SYS_SOC": 687}, "0-0040/iio_device")
    trees.jetpack4(tmp_path, {"VDD_IN": 3056, "VDD_SYS_CPU": 152, "VDD_SYS_DDR": 883}, "0-0041/iio_device")
    told = look(tmp_path, "jetson_tx2")
    assert (told.total_mw, told.rails_mw["VDD_SYS_GPU"], len(told.rails_mw)) == (3056, 1159, 5)


def test_jetpack_4_agx_xavier_has_two_chips_and_no_rail_of_the_whole(tmp_path: Path) -> None:
    trees.jetpack4(tmp_path, {"GPU": 466, "CPU": 465, "SOC": 932}, "1-0040/iio:device0")
    trees.jetpack4(tmp_path, {"CV": 0, "VDDRQ": 144, "SYS5V": 1854}, "1-0041/iio:device1")
    assert look(tmp_path, "jetson_agx_xavier").total_mw == 466 + 465 + 932 + 0 + 144 + 1854


def test_jetpack_5_xavier_nx(tmp_path: Path) -> None:
    channels = [("VDD_IN", 5000, 813), ("VDD_CPU_GPU_CV", 5000, 147), ("VDD_SOC", 5000, 270)]
    told = look(trees.hwmon(tmp_path, "7-0040/hwmon/hwmon6", channels), "jetson_xavier_nx")
    assert (told.total_mw, told.rails_mw) == (4065, {"VDD_IN": 4065, "VDD_CPU_GPU_CV": 735, "VDD_SOC": 1350})


def test_jetpack_6_agx_orin_counts_nothing_twice(tmp_path: Path) -> None:
    told = look(trees.agx_orin(tmp_path), "jetson_orin")
    expected = {"VDD_GPU_SOC": 3362.24, "VDD_CPU_CV": 480.32, "VIN_SYS_5V0": 4868.64, "VDDQ_VDD2_1V8AO": 397.44}
    assert told.rails_mw == pytest.approx(expected)
    assert told.total_mw == pytest.approx(3362.24 + 480.32 + 4868.64)


def test_thor_is_the_whole_system_and_its_gated_gpu_is_negative(tmp_path: Path) -> None:
    meter = Ina(place(trees.thor(tmp_path), "jetson_thor"))
    told = meter.read()
    assert (meter.scope, told.total_mw, told.rails_mw["VDD_GPU"]) == ("system", 15004, -392)


def test_a_board_whose_total_is_not_there_has_none(tmp_path: Path) -> None:
    told = look(trees.hwmon(tmp_path, "1-0040/hwmon/hwmon3", [("VDD_GPU", 5000, 100)]), "jetson_thor")
    assert (told.total_mw, told.rails_mw) == (None, {"VDD_GPU": 500})


def test_a_sleeping_register_leaves_its_rail_out(tmp_path: Path) -> None:
    meter = Ina(place(trees.agx_orin(tmp_path), "jetson_orin"))
    with asleep("curr2_input"):
        told = meter.read()
    assert told.total_mw is None and "VDD_CPU_CV" not in told.rails_mw and "VDD_GPU_SOC" in told.rails_mw
    assert meter.read().total_mw is not None


def test_labels_that_are_there_twice_name_no_rail(tmp_path: Path) -> None:
    trees.jetpack4(tmp_path, {"VDD_IN": 1}, "1-0040/iio:device0")
    trees.jetpack4(tmp_path, {"VDD_IN": 2, "VDD_SOC": 3}, "1-0041/iio:device1")
    assert look(tmp_path, "jetson_orin_nano").rails_mw == {"VDD_SOC": 3}


def test_rails_without_a_rule_are_no_total(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="does not say which are the whole"):
        Ina(place(trees.agx_orin(tmp_path), "cpu"))


def unmoved(meter: Ina | Battery | Rapl, count: int = 100) -> list[Sample]:
    """Looks at files that nobody changes, ten a second."""
    return [replace(sample, at_ns=i * S // 10) for i in range(count) if (sample := meter.read())]


def test_a_stuck_sensor_is_told_from_a_steady_one(tmp_path: Path) -> None:
    meter = Ina(place(trees.agx_orin(tmp_path), "jetson_orin"))
    told = unmoved(meter)
    energy = summary(meter, told, Window(S, 9 * S))
    assert (energy.missing, energy.mean_power_mw, energy.gross_j) == ("stuck", None, None)
    wavers = [replace(s, rails_mw={**s.rails_mw, "VDD_CPU_CV": 480.0 + i % 2}) for i, s in enumerate(told)]
    assert summary(meter, wavers, Window(S, 9 * S)).mean_power_mw == pytest.approx(8711.2)


def test_permuted_labels_are_found_out(tmp_path: Path) -> None:
    """As a carrier board was seen to print them: the GPU draws more than the whole."""
    meter = Ina(
        place(trees.jetpack4(tmp_path, {"POM_5V_GPU": 8949, "POM_5V_IN": 3227, "POM_5V_CPU": 3148}), "jetson_nano")
    )
    told = [replace(s, total_mw=s.total_mw + i % 2, rails_mw={**s.rails_mw, "POM_5V_IN": 3227.0 + i % 2})
            for i, s in enumerate(unmoved(meter))]  # fmt: skip
    energy = summary(meter, told, Window(S, 9 * S))
    assert (energy.missing, energy.gross_j) == ("mislabelled", None) and "POM_5V_GPU" in energy.reason


def test_a_rail_with_a_backward_current_does_not_make_the_others_too_large(tmp_path: Path) -> None:
    """Real registers have a sign: the whole is then less than a rail, and no label is wrong."""
    meter = Ina(place(trees.agx_orin(tmp_path), "jetson_orin"))
    drawn = {"VDD_GPU_SOC": 50730.0, "VDD_CPU_CV": -26030.0, "VIN_SYS_5V0": 10050.0}
    told = [replace(s, total_mw=34750.0 + i % 2, rails_mw={**drawn, "VIN_SYS_5V0": 10050.0 + i % 2})
            for i, s in enumerate(unmoved(meter))]  # fmt: skip
    energy = summary(meter, told, Window(S, 9 * S))
    assert energy.missing is None and energy.gross_j == pytest.approx(8 * 34.75, rel=1e-4)


def clocked(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Let the meter's two looks at the clock in each read say these moments."""
    moments = iter([round(s * S) for s in seconds for _ in range(2)])
    monkeypatch.setattr(rapl, "time", SimpleNamespace(perf_counter_ns=lambda: next(moments)))


def test_rapl_adds_up_packages_and_nothing_that_is_inside_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = trees.PACKAGE | {
        "intel-rapl:1": ("package-1", 0),
        "intel-rapl:2": ("psys", 7),
        "intel-rapl-mmio:0": ("package-0", 9),
    }
    meter = Rapl(place(trees.rapl(tmp_path, two)))
    assert meter.total_rails == ("package-0", "package-1")
    clocked(monkeypatch, 0, 0.5)
    meter.read()
    later = {"intel-rapl:0": ("package-0", 5_001_000), "intel-rapl:1": ("package-1", 2_000_000)}
    trees.rapl(tmp_path, two | later | {"intel-rapl:0:0": ("core", 3_000_400), "intel-rapl:0:1": ("dram", 9_000_100)})
    told = meter.read()
    assert (told.total_uj, told.total_mw) == (7_000_000, 14_000)
    rails = {"package-0": 10_000, "package-1": 4_000, "package-0/core": 6_000, "package-0/dram": 18_000}
    assert told.rails_mw == rails


def test_rapl_mends_a_wrap_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = 65_532_610_987
    meter = Rapl(place(trees.rapl(tmp_path, {"intel-rapl:0": ("package-0", full - 1_000_000)}, full)))
    clocked(monkeypatch, 0, 0.1, 0.2)
    meter.read()
    trees.rapl(tmp_path, {"intel-rapl:0": ("package-0", 500_000)}, full)
    assert meter.read().total_uj == 1_500_000
    trees.rapl(tmp_path, {"intel-rapl:0": ("package-0", 2_500_000)}, full)
    assert meter.read().total_uj == 3_500_000


def test_rapl_that_may_have_wrapped_twice_or_was_reset_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Rapl(place(trees.rapl(tmp_path, {"intel-rapl:0": ("package-0", 500)}, 1_000_000)))
    clocked(monkeypatch, 0, 5)
    meter.read()
    trees.rapl(tmp_path, {"intel-rapl:0": ("package-0", 100)}, 1_000_000)
    with pytest.raises(EdgebenchError, match="more than once or was reset"):
        meter.read()


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.data())
@settings(max_examples=50)
def test_one_wrap_is_mended_exactly_and_never_doubted_wrongly(full: int, start: int, data: st.DataObject) -> None:
    start %= full
    drawn = data.draw(st.integers(0, full - 1))
    seconds = data.draw(st.floats(0.001, 1000))
    told = drawn_uj(start, (start + drawn) % full, full, seconds)
    possible = drawn <= rapl.MOST_W * seconds * 1e6
    wrapped = start + drawn >= full
    certain = not wrapped or rapl.MOST_W * seconds * 1e6 < full
    assert told == (drawn if possible and certain else None)


def test_a_counter_that_stands_still_is_stuck(tmp_path: Path) -> None:
    meter = Rapl(place(trees.rapl(tmp_path, trees.PACKAGE)))
    assert summary(meter, unmoved(meter), Window(S, 9 * S)).missing == "stuck"


def test_rapl_that_only_root_may_read_says_so(tmp_path: Path) -> None:
    root = trees.rapl(tmp_path, trees.PACKAGE)
    (root / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()  # to the reader the same as a forbidden one
    with pytest.raises(Unsupported, match="only root") as caught:
        Rapl(place(root))
    assert "chmod" in caught.value.fix


def test_battery(tmp_path: Path) -> None:
    told = Battery(place(trees.battery(tmp_path, power_now=12_345_000))).read()
    assert (told.total_mw, told.rails_mw) == (12_345, {"BAT0": 12_345})


def test_a_battery_of_current_and_voltage_whose_driver_counts_backwards(tmp_path: Path) -> None:
    meter = Battery(place(trees.battery(tmp_path, current_now=-1_500_000, voltage_now=12_000_000)))
    assert meter.read().total_mw == pytest.approx(18_000)


@pytest.mark.parametrize("how", [{"online": 1}, {"status": "Charging"}, {"status": "Full"}])
def test_a_battery_on_the_mains_tells_nothing_of_the_machine(tmp_path: Path, how: dict) -> None:
    with pytest.raises(Unsupported, match="not being drawn from"):
        Battery(place(trees.battery(tmp_path, power_now=1, **how)))


def test_a_battery_that_is_plugged_in_meanwhile(tmp_path: Path) -> None:
    meter = Battery(place(trees.battery(tmp_path, power_now=5_000_000)))
    trees.battery(tmp_path, online=1, power_now=5_000_000)
    with pytest.raises(EdgebenchError, match="AC is online"):
        meter.read()


def program(root: Path, name: str, script: str) -> Path:
    path = root / "usr/bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return root


def test_pmic(tmp_path: Path) -> None:
    root = program(tmp_path, "vcgencmd", f"cat <<'EOF'\n{trees.PMIC}EOF")
    meter = Pmic(place(root))
    told = meter.read()
    assert (meter.scope, len(told.rails_mw)) == ("rails", 12)  # neither EXT5V nor BATT, which have no current
    assert told.total_mw == pytest.approx(trees.PMIC_MW, abs=0.5)
    assert told.rails_mw["VDD_CORE"] == pytest.approx(6.22421 * 0.861733 * 1000)


def test_pmic_of_an_older_pi(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="Command not registered"):
        Pmic(place(program(tmp_path, "vcgencmd", "echo 'error=1 error_msg=\"Command not registered\"'")))


@given(st.one_of(st.text(), st.text("VDD_COREA current(7)=.0\n V")))
def test_any_answer_of_vcgencmd_is_read(text: str) -> None:
    assert isinstance(parse(text), dict)


@given(st.integers(0, len(trees.PMIC)))
def test_an_answer_that_is_cut_off_tells_fewer_rails(end: int) -> None:
    assert parse(trees.PMIC[:end]).items() <= parse(trees.PMIC).items()


def test_tegrastats_that_fails_gives_its_last_words(tmp_path: Path) -> None:
    root = program(tmp_path, "tegrastats", "echo 'tegrastats: cannot open nvmap' >&2; exit 1")
    meter = Tegrastats(place(root, "jetson_orin_nano"))
    with (
        closing(meter),
        pytest.raises(EdgebenchError, match="last words: tegrastats: cannot open nvmap"),
    ):
        for _ in range(20):
            meter.read()
    assert meter._process.returncode is not None


def test_tegrastats_without_line_ends_fills_no_memory(tmp_path: Path) -> None:
    root = program(tmp_path, "tegrastats", "exec tr '\\0' x < /dev/zero")
    with closing(Tegrastats(place(root, "jetson_orin_nano"))) as meter:
        assert meter.read() is None
        assert len(meter._text) <= 65_536


def card(counter_mj: list[int] | None, power_mw: int | None = 50_000) -> object:
    """NVML, by the names and signatures of the real library, with a card that tells this."""
    pynvml = needed("pynvml", "nvidia-ml-py is not installed")
    names = ("nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetCount", "nvmlDeviceGetName",
             "nvmlDeviceGetTotalEnergyConsumption",
             "nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage")  # fmt: skip
    nvml = SimpleNamespace(**{name: create_autospec(getattr(pynvml, name)) for name in names})
    nvml.NVMLError, nvml.NVML_SUCCESS = pynvml.NVMLError, pynvml.NVML_SUCCESS
    nvml.NVML_FI_DEV_POWER_INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT
    nvml.nvmlDeviceGetCount.return_value = 1
    unsupported = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    nvml.nvmlDeviceGetTotalEnergyConsumption.side_effect = unsupported if counter_mj is None else counter_mj
    field = SimpleNamespace(nvmlReturn=pynvml.NVML_SUCCESS, value=SimpleNamespace(uiVal=power_mw))
    nvml.nvmlDeviceGetFieldValues.side_effect = unsupported if power_mw is None else lambda card, ids: [field]
    nvml.nvmlDeviceGetPowerUsage.side_effect = unsupported if power_mw is None else lambda card: power_mw
    return nvml


def test_nvml_counts_energy_and_tells_power_beside_it(tmp_path: Path) -> None:
    told = Nvml(place(tmp_path), card([1_000, 2_000])).read()
    assert (told.total_uj, told.total_mw, told.rails_mw) == (2_000_000, 50_000, {"GPU": 50_000})


def test_nvml_that_starts_and_then_supports_nothing(tmp_path: Path) -> None:
    """A Jetson's."""
    with pytest.raises(Unsupported, match="reports no power"):
        Nvml(place(tmp_path), card(None, None))


def test_nvml_looks_at_the_card_that_cuda_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which that is: tests/machine/test_gpu_memory.py."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    nvml = card([1])
    Nvml(place(tmp_path), nvml)
    assert nvml.nvmlDeviceGetHandleByIndex.call_args.args == (2,)


def test_the_counter_and_the_power_of_a_card_are_held_against_each_other(tmp_path: Path) -> None:
    meter = Nvml(place(tmp_path), card([1]))
    looks = [Sample(i * S // 10, 60_000.0, {"GPU": 60_000.0}, i * 5_000_000) for i in range(101)]
    energy = summary(meter, looks, Window(0, 10 * S))
    assert (energy.gross_j, energy.counter_gap) == (pytest.approx(500), pytest.approx(0.2))


def test_a_model_is_declared_and_says_so(tmp_path: Path) -> None:
    meter = Model(place(tmp_path, watts=Watts(3, 20)))
    told = next(sample for _ in iter(int, 1) if (sample := meter.read()))
    assert meter.modelled and 3_000 <= told.total_mw <= 20_000
    with pytest.raises(Unsupported, match="declared watts"):
        Model(place(tmp_path))


def test_the_best_meter_is_the_one_nearest_to_the_whole(tmp_path: Path) -> None:
    trees.rapl(tmp_path, trees.PACKAGE)
    both = place(trees.agx_orin(tmp_path), "jetson_orin", watts=Watts(1, 2))
    assert open_meter("auto", both, "cpu").name == "ina"
    assert open_meter("auto", place(tmp_path, "cpu", watts=Watts(1, 2)), "cpu").name == "rapl"
    assert open_meter("auto", place(tmp_path / "none", watts=Watts(1, 2)), "cpu").name == "model"


def test_a_meter_that_raises_anything_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.rapl(tmp_path, trees.PACKAGE)

    def read(self: object) -> None:
        raise ValueError("could not convert string to float: ''")

    monkeypatch.setattr(Rapl, "read", read)
    found = {one.meter: one for one in survey(place(tmp_path, watts=Watts(3, 20)))}
    assert not found["rapl"].works and "ValueError: could not convert" in found["rapl"].problem
    assert found["model"].works


def test_no_meter_of_the_processor_is_taken_for_a_card(tmp_path: Path) -> None:
    trees.rapl(tmp_path, trees.PACKAGE)
    with pytest.raises(Unsupported, match="does not see what runs on cuda"):
        open_meter("rapl", place(tmp_path), "cuda")
    with pytest.raises(Unsupported, match=r"that sees what runs on cuda \(tried ina, tegrastats, nvml, battery\)"):
        open_meter("auto", place(tmp_path), "cuda")


@pytest.mark.parametrize(
    "options",
    [{"meter": "tegrastat"}, {"seconds": 1}, {"seconds": float("nan")}, {"watts": Watts(5, 5)}, {"watts": Watts(-1, 5)},
     {"watts": Watts(1, float("inf"))}, {"meter": "rapl", "watts": Watts(1, 2)}],
)  # fmt: skip
def test_what_cannot_be_meant_is_wrong_usage(options: dict) -> None:
    with pytest.raises(UsageError):
        PowerOptions(**options).check()


def test_a_rail_that_cannot_be_read_keeps_what_the_driver_said(tmp_path, monkeypatch):
    """As the kernel's ina3221 says it when its chip does not answer, sleeps, hangs, or has a channel switched off."""
    here = place(trees.agx_orin(tmp_path), "jetson_orin")
    meter, read_bytes = Ina(here), Path.read_bytes
    said = {
        "EREMOTEIO": "does not answer",
        "EAGAIN": "no value ready",
        "ETIMEDOUT": "no conversion",
        "ENODATA": "in*_enable",
    }

    def failing(path: Path) -> bytes | None:
        if path.name != "curr1_input":
            return read_bytes(path)
        if name == "EAGAIN":
            return None  # so Python says it
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(Path, "read_bytes", failing)
    for name, advice in said.items():
        sample = meter.read()
        assert sample.total_mw is None and "VDD_GPU_SOC" not in sample.rails_mw and "VDD_CPU_CV" in sample.rails_mw
        ((rail, why),) = [key for key in meter.faults if name in key[1]]
        assert rail == "VDD_GPU_SOC" and f"({name})" in why and advice in why
    now_ns = time.perf_counter_ns()
    energy = summary(meter, [meter.read() for _ in range(3)], Window(now_ns, now_ns + 10**10), min_window_s=0)
    assert (
        energy.missing == "no_total" and "not read: VDD_GPU_SOC (4 times): No data available (ENODATA)" in energy.reason
    )
    monkeypatch.setattr(surveying, "PATIENCE_S", 0.1)
    found = surveying._look("ina", here)
    assert "ENODATA" in found.problem and found.fix == "see to the sensor"


def test_on_arm_rapl_names_no_module_of_intels(tmp_path):
    root = trees.write(tmp_path, {"proc/cpuinfo": "CPU implementer\t: 0x41\nCPU part\t: 0xd0b"})
    with pytest.raises(Unsupported) as refused:
        Rapl(place(root, "cpu"))
    assert "intel_rapl_msr" not in refused.value.fix and "Arm board" in refused.value.fix
