"""The fingerprint: true of the machine it sees, silent about what it cannot read, loud about what spoils figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asleep import asleep
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.machine.disturbances import notices
from edgebench.machine.fingerprint import cpu_model, cpu_quota, fingerprint

FILES = {
    "proc/cpuinfo": "processor : 0\nmodel name : Intel(R) Xeon(R)\nflags : fpu avx2 avx512f amx_int8 amx_tile sse\n\n"
    "processor : 1\nmodel name : Intel(R) Xeon(R)\nflags : fpu\n",
    "proc/meminfo": "MemTotal: 8000 kB\nMemAvailable: 4000 kB\nSwapTotal: 1000 kB\nSwapFree: 900 kB\n",
    "proc/loadavg": "1.50 1.00 0.50 2/345 678\n",
    "proc/stat": "cpu  100 0 50 800 10 0 5 35 7 0\ncpu0 1 2 3\nctxt 4242\nprocs_running 2\n",
    "proc/vmstat": "nr_free_pages 10\npswpin 3\npswpout 4\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1200000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "3400000\n",
    "sys/devices/system/cpu/cpu0/topology/core_id": "0\n",
    "sys/devices/system/cpu/cpu1/topology/core_id": "0\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "5\n",
    "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "6\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "0\n",
    "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone0/temp": "45500\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "-256000\n",
    "sys/class/thermal/thermal_zone2/temp": "not a number\n",
    "sys/class/thermal/cooling_device0/type": "cpu-throttle-alert\n",
    "sys/class/thermal/cooling_device0/cur_state": "0\n",
    "sys/class/thermal/cooling_device1/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device1/cur_state": "3\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/memory.max": "1073741824\n",
    "var/lib/nvpmodel/status": "pmode:0001\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=15W >\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "800000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "3400000\n",
    "sys/class/devfreq/17000000.ga10b/min_freq": "306000000\n",
    "sys/class/devfreq/17000000.ga10b/max_freq": "918000000\n",
    "sys/kernel/debug/bpmp/debug/clk/emc/min_rate": "204000000\n",
    "sys/kernel/debug/bpmp/debug/clk/emc/max_rate": "3199000000\n",
    "sys/class/devfreq/15340000.vic/min_freq": "1000000\n",
    "sys/class/devfreq/15340000.vic/max_freq": "9000000\n",
    "sys/class/hwmon/hwmon0/pwm1": "69\n",
    "sys/class/hwmon/hwmon1/oc1_event_cnt": "2\n",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081\nsecond line\n",
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23\nGCC: 12\n",
    "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t NVIDIA RTX A2000\n",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def before(tmp_path) -> dict:
    return fingerprint(write(tmp_path, FILES))


def codes(before: dict, after: dict) -> set[str]:
    found = notices(before, after)
    assert all(notice.message and notice.remedy for notice in found)
    return {notice.code for notice in found}


def test_reads_what_is_there(before):
    assert before["cpu"] | {"affinity": None} == {
        "model": "Intel(R) Xeon(R)",
        "isa": ["amx_int8", "amx_tile", "avx2", "avx512f"],
        "logical_cores": 2,
        "physical_cores": 1,
        "affinity": None,
        "governors": ["powersave"],
        "turbo": True,
        "mhz": [1200, 3400],
    }
    assert (before["load1"], before["runnable"]) == (1.5, 2)
    assert (before["steal_jiffies"], before["total_jiffies"], before["context_switches"]) == (35, 1000, 4242)
    assert (before["memory_total_bytes"], before["memory_available_bytes"]) == (8000 * 1024, 4000 * 1024)
    assert (before["swap_used_bytes"], before["swapped_in_pages"], before["swapped_out_pages"]) == (102400, 3, 4)
    assert before["temperatures_c"] == {"x86_pkg_temp": 45.5}  # no sentinel, no rubbish
    assert before["throttle"]["counts"] == {"core_throttle_count": 11, "oc1_event_cnt": 2}
    assert before["throttle"]["alerts"] == {"cpu-throttle-alert": 0}
    assert (before["cgroup_cores"], before["cgroup_memory_bytes"]) == (1.5, 2**30)
    assert before["nvpmodel"] == "15W" and before["clocks"] == {
        "cpu": [800, 3400],
        "gpu": [306, 918],
        "emc": [204, 3199],
    }
    assert before["fan"] == {"class/hwmon/hwmon0/pwm1": 69}
    assert before["l4t"].startswith("# R36") and "\n" not in before["l4t"]
    assert (before["nvidia_driver"], before["nvidia_cards"]) == ("570.86.15", ["NVIDIA RTX A2000"])
    assert "numpy" in before["libraries"] and None not in before["libraries"].values()


def test_an_empty_machine_gives_none_and_never_zero(tmp_path):
    shown = fingerprint(tmp_path)
    told = {key: value for key, value in shown.items() if value not in (None, {}, [])}
    assert set(told) == {"time", "since_boot_s", "os", "arch", "python", "cpu", "throttle", "libraries"}
    assert {k: v for k, v in shown["cpu"].items() if k != "affinity" and v} == {}
    assert not any(shown["throttle"].values())
    assert notices(shown, shown) == []


@pytest.mark.parametrize(
    ("folder", "is_gpu"),
    [
        ("17000000.ga10b", True), ("17000000.gv11b", True), ("57000000.gpu", True), ("gpu-gpc-0", True),
        ("gpu-nvd-0", False), ("15340000.vic", False), ("154c0000.nvenc", False),
    ],
)  # fmt: skip
def test_only_the_gpu_counts_as_the_gpu(tmp_path: Path, folder: str, is_gpu: bool) -> None:
    """Thor has a clock for its video engine whose name begins as the GPU's does."""
    files = {
        f"sys/class/devfreq/{folder}/min_freq": "306000000\n",
        f"sys/class/devfreq/{folder}/max_freq": "918000000\n",
    }
    clocks = fingerprint(write(tmp_path, files))["clocks"] or {}
    assert clocks.get("gpu") == ([306, 918] if is_gpu else None)


def test_a_mode_or_clocks_that_someone_else_changed_are_noticed(before):
    assert "power_mode_changed" in codes(before, before | {"nvpmodel": "MAXN"})
    assert "power_mode_changed" in codes(before | {"nvpmodel": None}, before)
    lower = before | {"clocks": before["clocks"] | {"gpu": [306, 625]}}
    assert {"clocks_changed"} == codes(before, lower) - codes(before, before)
    events = {"counts": before["throttle"]["counts"] | {"oc1_event_cnt": 3}}
    assert "thermal_throttle" in codes(before, before | {"throttle": before["throttle"] | events})


def test_is_json_and_has_no_place_for_a_host_name():
    shown = fingerprint()
    json.dumps(shown, allow_nan=False)
    assert not {"host", "hostname", "node", "user"} & set(shown)


def test_unreadable_files_are_absent(tmp_path):
    for name in ("proc/loadavg", "proc/stat", "proc/meminfo", "sys/class/thermal/thermal_zone0/temp"):
        (tmp_path / name).mkdir(parents=True)  # reading a folder fails as a forbidden file does
    (tmp_path / "proc/vmstat").write_bytes(b"\xff\xfe\x00pswpin x\n")
    shown = fingerprint(tmp_path)
    assert shown["load1"] is shown["total_jiffies"] is shown["swapped_in_pages"] is None
    assert shown["temperatures_c"] == {}


def test_a_zone_that_says_eagain_is_absent_and_the_others_are_right(tmp_path):
    """An Orin's, of accelerators that are switched off."""
    zones = {"thermal_zone1/type": "cv0-thermal\n", "thermal_zone1/temp": "0\n"}
    root = write(tmp_path, FILES | {f"sys/class/thermal/{name}": text for name, text in zones.items()})
    with asleep("thermal_zone1/temp"):
        assert fingerprint(root)["temperatures_c"] == {"x86_pkg_temp": 45.5}


@settings(max_examples=60)
@given(st.sampled_from(sorted(FILES)), st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_content_makes_it_raise(tmp_path_factory, name, text):
    root = write(tmp_path_factory.mktemp("root"), FILES | {name: text})
    shown = fingerprint(root)
    json.dumps([shown, [notice.code for notice in notices(shown, shown)]])


@pytest.mark.parametrize(
    ("info", "model"),
    [
        ("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd42\n", "Arm Cortex-A78AE"),
        ("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0b\nModel : Raspberry Pi 5\n", "Arm Cortex-A76"),
        ("processor : 0\nCPU implementer : 0x42\nCPU part : 0x123\n", "Arm core 0x42 0x123"),
        ("", None),
    ],
)
def test_names_arm_cores(info, model, tmp_path):
    assert cpu_model(write(tmp_path, {"proc/cpuinfo": info})) == model


def test_arm_features_are_isa(tmp_path):
    root = write(tmp_path, {"proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimdhp asimddp i8mm bf16 sve crc32\n"})
    assert fingerprint(root)["cpu"]["isa"] == ["asimd", "asimddp", "asimdhp", "bf16", "i8mm", "sve"]


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000"}, 2.0),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "5 0"}, None),
        ({}, None),
    ],
)
def test_cpu_quota_of_both_cgroup_versions(files, cores, tmp_path):
    assert cpu_quota(write(tmp_path, {f"sys/fs/cgroup/{name}": text for name, text in files.items()})) == cores


def test_no_limit_of_cgroup_v1_is_none(tmp_path):
    root = write(tmp_path, {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert fingerprint(root)["cgroup_memory_bytes"] is None


# notices


def test_powersave_is_noticed_before_anything_else_happens(before):
    assert codes(before, before) == {"powersave_governor"}


@pytest.fixture
def calm(before) -> dict:
    return {**before, "cpu": {**before["cpu"], "governors": ["performance"]}}


def test_a_calm_machine_has_none(calm):
    assert notices(calm, calm) == []


@pytest.mark.parametrize(("stolen", "found"), [(0, set()), (20, set()), (21, {"steal_time"}), (900, {"steal_time"})])
def test_steal_time_above_two_percent(calm, stolen, found):
    after = {**calm, "steal_jiffies": calm["steal_jiffies"] + stolen, "total_jiffies": calm["total_jiffies"] + 1000}
    assert codes(calm, after) == found


@pytest.mark.parametrize("key", ["swapped_in_pages", "swapped_out_pages"])
def test_swapping(calm, key):
    assert codes(calm, {**calm, key: calm[key] + 1}) == {"swapping"}
    assert codes(calm, {**calm, key: None}) == set()


def test_the_load_average_is_recorded_but_warns_of_nothing(calm):
    """It remembers jobs that are over; foreign_load.py counts what others took during the measurement."""
    assert codes({**calm, "load1": 9.0, "runnable": 9}, calm) == set()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"counts": {"core_throttle_count": 11}}, set()),
        ({"counts": {"core_throttle_count": 12}}, {"thermal_throttle"}),
        ({"counts": {"package_throttle_count": 7}}, set()),  # no reading before: nothing is known to have risen
        ({"alerts": {"cpu-throttle-alert": 1}}, {"thermal_throttle"}),
        ({"alerts": {"cpu-throttle-alert": None}}, set()),
        ({"cooling": {"cpufreq-cpu0": [3, 5]}}, {"thermal_throttle"}),
        ({"raspberry_pi": 0x50000}, set()),  # long ago
        ({"raspberry_pi": 0x50005}, {"thermal_throttle"}),
    ],
)
def test_throttling(calm, change, found):
    assert codes(calm, {**calm, "throttle": {**calm["throttle"], **change}}) == found


def test_the_kernels_own_throttling_is_read_and_told_without_the_advice_to_lock_the_clocks(tmp_path):
    cpu, thermal = "sys/devices/system/cpu/cpu0/cpufreq", "sys/class/thermal"
    zone = f"{thermal}/thermal_zone0"
    files = {
        f"{cpu}/cpuinfo_max_freq": 2400000, f"{cpu}/scaling_max_freq": 2400000, f"{cpu}/scaling_min_freq": 1500000,
        f"{zone}/type": "cpu-thermal", f"{zone}/temp": 60000,
        f"{zone}/trip_point_0_type": "active", f"{zone}/trip_point_0_temp": 50000,  # a fan
        f"{zone}/trip_point_1_type": "passive", f"{zone}/trip_point_1_temp": 70000,
        f"{zone}/trip_point_2_type": "critical", f"{zone}/trip_point_2_temp": 0,  # as firmware says that has none
        f"{thermal}/cooling_device0/type": "cpufreq-cpu0", f"{thermal}/cooling_device0/cur_state": 0,
        f"{thermal}/cooling_device0/max_state": 2,
        f"{thermal}/cooling_device1/type": "pwm-fan", f"{thermal}/cooling_device1/cur_state": 3,
        f"{thermal}/cooling_device1/max_state": 4,
    }  # fmt: skip
    root = write(tmp_path, {name: str(value) for name, value in files.items()})
    cool = fingerprint(root)
    assert codes(cool, cool) == set()
    write(root, {f"{zone}/temp": "68000"})
    (near,) = notices(cool, fingerprint(root))
    assert near.code == "near_trip" and "cpu-thermal is at 68 °C, and at 70 °C" in near.message
    hotter = {f"{zone}/temp": "90000", f"{cpu}/scaling_max_freq": "1600000"}
    write(root, hotter | {f"{thermal}/cooling_device0/cur_state": "1"})
    (hot,) = notices(cool, fingerprint(root))
    assert hot.code == "thermal_throttle" and "cpufreq-cpu0 is at step 1 of 2" in hot.message
    assert "cooling" in hot.remedy and "--lock-clocks" not in hot.remedy
    write(root, {f"{zone}/temp": "50000", f"{thermal}/cooling_device0/cur_state": "0"})  # capped by somebody
    capped = fingerprint(root)
    (cap,) = notices(capped, capped)
    assert cap.code == "clocks_capped" and "1600 MHz of 2400 MHz" in cap.message
    assert codes(capped | {"nvpmodel": "15W"}, capped | {"nvpmodel": "15W"}) == set()


def test_a_clock_that_is_set_meanwhile_is_told(calm):
    before = {**calm, "time": "2026-11-28T12:00:00+00:00", "since_boot_s": 100}
    assert codes(before, {**before, "time": "2026-11-28T12:00:20+00:00", "since_boot_s": 121}) == set()
    (told,) = notices(before, {**before, "time": "2028-01-02T12:00:20+00:00", "since_boot_s": 120})
    assert told.code == "clock_set" and "+34,560,000 s" in told.message


def test_raspberry_pi_firmware_is_read(tmp_path):
    root = write(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"})
    assert fingerprint(root)["throttle"]["raspberry_pi"] == 0x50005


def test_notices_need_no_key():
    assert notices({}, {}) == []


def test_two_zones_of_one_name_keep_their_own_temperatures_and_trips(tmp_path):
    first, second, third = (f"sys/class/thermal/thermal_zone{number}" for number in range(3))
    files = {
        f"{first}/type": "acpitz", f"{first}/temp": "95000",
        f"{second}/type": "acpitz", f"{second}/temp": "40000",
        f"{second}/trip_point_0_type": "passive", f"{second}/trip_point_0_temp": "90000",
        f"{third}/type": "acpitz", f"{third}/temp": "-256000",  # no reading
    }  # fmt: skip
    shown = fingerprint(write(tmp_path, files))
    assert shown["temperatures_c"] == {"acpitz": 95.0, "acpitz-thermal_zone1": 40.0}
    assert shown["trips_c"] == {"acpitz-thermal_zone1": 90.0} and codes(shown, shown) == set()


@pytest.mark.parametrize(
    "kind", ["x86_64 Kernel Module", "Open Kernel Module for x86_64", "Open Kernel Module for aarch64"]
)
def test_the_driver_is_the_number_after_the_kind_of_module(kind: str, tmp_path: Path) -> None:
    write(tmp_path, {"proc/driver/nvidia/version": f"NVRM version: NVIDIA UNIX {kind}  580.159.04  Release Build\n"})
    assert fingerprint(tmp_path)["nvidia_driver"] == "580.159.04"
