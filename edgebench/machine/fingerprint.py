"""Records the state of this machine before and after a measurement, and notices what makes figures doubtful."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import time
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from edgebench.machine import jetson, registry
from edgebench.machine.disturbances import throttled

ROOT = Path("/")
# Placeholders of firmware whose maker did not fill in the names.
NO_NAME = {
    "", "to be filled by o.e.m.", "default string", "system product name", "system manufacturer", "not specified",
    "none", "o.e.m.", "not applicable",
}  # fmt: skip
# The kernel's cooling devices that slow something down; a fan is one too, and is none of these.
SLOWS = re.compile(r"(thermal-)?(cpufreq|devfreq|cpuidle|idle)-.*|Processor|intel_powerclamp")
LOWEST_TRIP = 40_000  # in thousandths of a °C; some firmware has trips of 0 °C, or below
# The instruction sets by which runtimes choose their kernels.
ISA = re.compile(r"avx2|avx512f|avx512_vnni|avx_vnni|avx512_bf16|amx_\w+|asimd|asimdhp|asimddp|sve2?|i8mm|bf16")
# Arm cores report a number, not a name (Linux: arch/arm64/include/asm/cputype.h).
# A Jetson's GPU: 17000000.ga10b, or from Thor on gpu-gpc-0, beside which gpu-nvd-0 is the video engine.
GPU_CLOCK = re.compile(r"\bg(pu(?!-nvd)|[ampv]\d\d[a-z])\b")
ARM_CORES = {
    "0x41 0xd07": "Arm Cortex-A57", "0x41 0xd08": "Arm Cortex-A72", "0x41 0xd0b": "Arm Cortex-A76",
    "0x41 0xd42": "Arm Cortex-A78AE", "0x41 0xd83": "Arm Neoverse-V3AE", "0x4e 0x004": "NVIDIA Carmel",
}  # fmt: skip


def fingerprint(root: Path = ROOT) -> dict[str, Any]:
    """A snapshot for JSON. What cannot be read is None or left out, never 0. It has no host name and no user name."""
    load = re.match(r"(\d{1,9}\.?\d*) \S+ \S+ (\d{1,9})/", read(root / "proc/loadavg") or "")
    stat, vm = _table(root / "proc/stat"), _table(root / "proc/vmstat")
    jiffies = [int(n) for n in re.findall(r"\d{1,19}", stat.get("cpu", ""))[:8]]  # guest is inside user
    swap, swap_free = memory_bytes(root, "SwapTotal"), memory_bytes(root, "SwapFree")
    limit = integer(
        read(root / "sys/fs/cgroup/memory.max") or read(root / "sys/fs/cgroup/memory/memory.limit_in_bytes")
    )
    driver = re.search(
        r"Kernel Module(?: for \S{1,20})?\s{1,10}([\d.]+)", read(root / "proc/driver/nvidia/version") or ""
    )
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "since_boot_s": round(time.clock_gettime(time.CLOCK_BOOTTIME)) if hasattr(time, "CLOCK_BOOTTIME") else None,
        "os": f"{platform.system()} {platform.release()}",
        "arch": platform.machine(),
        "python": platform.python_version(),
        "board": (read(root / "proc/device-tree/model") or "").strip("\0 ") or None,
        "device_tree": device_tree(root) or None,
        "cpu": _cpu(root),
        "load1": float(load[1]) if load else None,
        "runnable": int(load[2]) if load else None,  # in the run queue now, including this process
        "steal_jiffies": jiffies[7] if len(jiffies) > 7 else None,
        "total_jiffies": sum(jiffies) if jiffies else None,
        "context_switches": integer(stat.get("ctxt")),
        "memory_available_bytes": memory_bytes(root, "MemAvailable"),
        "memory_total_bytes": memory_bytes(root, "MemTotal"),
        "swap_used_bytes": swap - swap_free if None not in (swap, swap_free) else None,
        "swapped_in_pages": integer(vm.get("pswpin")),
        "swapped_out_pages": integer(vm.get("pswpout")),
        "temperatures_c": _temperatures(root),
        "throttle": _throttle(root),
        "cgroup_cores": cpu_quota(root),
        "cgroup_memory_bytes": limit if limit and limit < 2**60 else None,  # v1 writes "no limit" as a huge number
        "nvpmodel": power_mode(root),
        "clocks": _bounds(root),
        "cpu_cap_mhz": _cap(root),
        "trips_c": _trips(root),
        "fan": _fan(root),
        "l4t": (read(root / "etc/nv_tegra_release") or "").partition("\n")[0] or None,
        "nvidia_driver": driver[1] if driver else None,
        "nvidia_cards": nvidia_cards(root) or None,
        "libraries": dict(_libraries()),
    }


@cache
def _libraries() -> dict[str, str]:
    """What is installed; looking it up takes a process as long as loading a small runtime, so each does it once."""
    return registry.versions(("edgebench", "numpy", *registry.runtime_libraries()))


def power_mode(root: Path = ROOT) -> str | None:
    """The name of the Jetson's power mode; None on other machines. Read from files if possible: no process starts."""
    status = read(root / "var/lib/nvpmodel/status")
    if status is None and root == ROOT and shutil.which("nvpmodel"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(["nvpmodel", "-q"], capture_output=True, text=True, errors="replace", timeout=5)
            mode = jetson.current_mode(done.stdout)
            return mode.name if mode else None
    number = re.search(r"pmode:(\d{1,4})\b", status or "")
    modes = jetson.power_modes(read(root / "etc/nvpmodel.conf") or "")
    return modes.get(int(number[1]), status) if number else status


def _bounds(root: Path) -> dict[str, list[int]]:
    """The lowest and highest clock in MHz that the governors may choose, for the CPU and a Jetson's GPU and memory."""
    found = {}
    for name, folders, low, high, per_mhz in (
        ("cpu", "sys/devices/system/cpu/cpu[0-9]*/cpufreq", "scaling_min_freq", "scaling_max_freq", 1000),
        ("gpu", "sys/class/devfreq/*", "min_freq", "max_freq", 1_000_000),
        ("emc", "sys/kernel/debug/bpmp/debug/clk/emc", "min_rate", "max_rate", 1_000_000),  # only root may read it
    ):
        paths = [p for p in root.glob(folders) if name != "gpu" or GPU_CLOCK.search(p.name)]
        bounds = [[integer(read(p / low)), integer(read(p / high))] for p in paths]
        known = [pair for pair in bounds if None not in pair]
        if known:
            found[name] = [min(a for a, _ in known) // per_mhz, max(b for _, b in known) // per_mhz]
    return found


def _cap(root: Path) -> list[int] | None:
    """The highest clock in MHz that the fastest core may take, and the one that it could; None if they are the same."""
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")
    pairs = [(integer(read(p / "cpuinfo_max_freq")), integer(read(p / "scaling_max_freq"))) for p in folders]
    could, may = max((pair for pair in pairs if None not in pair), default=(0, 0))
    return [may // 1000, could // 1000] if may < could else None


def _trips(root: Path) -> dict[str, float]:
    """For each zone the lowest temperature in °C at which the kernel slows something down, or worse."""
    found = {}
    for name, zone in _zones(root).items():
        kinds = {p.name[: -len("type")]: read(p) for p in zone.glob("trip_point_*_type")}
        trips = [
            integer(read(zone / f"{p}temp")) for p, kind in kinds.items() if kind in ("passive", "hot", "critical")
        ]
        if real := [trip for trip in trips if trip is not None and trip >= LOWEST_TRIP]:
            found[name] = min(real) / 1000
    return found


def _fan(root: Path) -> dict[str, int]:
    """The duty cycle of each fan that the board controls, from 0 to 255."""
    paths = [*root.glob("sys/devices/pwm-fan/target_pwm"), *root.glob("sys/class/hwmon/hwmon*/pwm1")]
    return {str(path.relative_to(root / "sys")): n for path in sorted(paths) if (n := integer(read(path))) is not None}


def clocks(root: Path = ROOT) -> tuple[int | None, float | None, bool]:
    """The fastest core's clock in MHz, the hottest sensor in °C, and whether the machine is throttling now."""
    mhz = _mhz(root)
    throttle = _throttle(root)
    return max(mhz, default=None), max(_temperatures(root).values(), default=None), bool(throttled(throttle, throttle))


def _mhz(root: Path) -> list[int]:
    paths = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    return [khz // 1000 for path in paths if (khz := integer(read(path)))]


def read(path: Path) -> str | None:
    """The text of a file, stripped; None if it is absent, empty or cannot be read (a sleeping sensor says EAGAIN)."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError):
        return None
    # On EAGAIN Python returns None as the content; reading as text would raise TypeError.
    return None if content is None else content.decode("utf-8", "replace").strip() or None


def integer(text: str | None) -> int | None:
    """The whole number that a file's text begins with, or None."""
    found = re.match(r"-?\d{1,19}", text or "")
    return int(found[0]) if found else None


def _table(path: Path) -> dict[str, str]:
    """A file of `key: value` or `key value` lines; the first line of a repeated key counts."""
    table: dict[str, str] = {}
    for line in (read(path) or "").splitlines():
        key, _, value = line.partition(":" if ":" in line else " ")
        table.setdefault(key.strip(), value.strip())
    return table


def memory_bytes(root: Path, key: str) -> int | None:
    """A figure of /proc/meminfo, such as MemTotal."""
    kib = integer(_table(root / "proc/meminfo").get(key))
    return None if kib is None else kib * 1024


def device_tree(root: Path = ROOT) -> list[str]:
    """The board's own names, most specific first; empty on a machine without a device tree."""
    text = read(root / "proc/device-tree/compatible") or read(root / "sys/firmware/devicetree/base/compatible") or ""
    return [entry for entry in text.split("\0") if entry.strip()]


def nvidia_cards(root: Path = ROOT) -> list[str]:
    """The names of the cards that NVIDIA's driver manages."""
    paths = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    found = [_table(path).get("Model") or "NVIDIA GPU" for path in paths]
    return found or (_nvml_cards() if root == ROOT else [])


def _nvml_cards() -> list[str]:
    """The same from NVML (extra `nvidia`), for WSL and containers without the driver's /proc files."""
    try:
        import pynvml

        pynvml.nvmlInit()
        names = [
            pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(pynvml.nvmlDeviceGetCount())
        ]
    except (ImportError, OSError):
        return []
    except pynvml.NVMLError:
        return []
    found = [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names]
    return [name for name in found if "nvgpu" not in name]  # a Jetson's own GPU: "Orin (nvgpu)"


def cpu_model(root: Path = ROOT) -> str | None:
    """The name of the processor; on Arm, of its first core."""
    name, part = _table(root / "proc/cpuinfo").get("model name"), cpu_part(root)
    return name or ARM_CORES.get(part or "") or (f"Arm core {part}" if part else None)


def cpu_part(root: Path = ROOT) -> str | None:
    """Implementer and part of the first Arm core, such as "0x41 0xd0b"."""
    info = _table(root / "proc/cpuinfo")
    return f"{info.get('CPU implementer')} {info['CPU part']}" if "CPU part" in info else None


def dmi(root: Path = ROOT) -> dict[str, str]:
    """The vendor, product and board names of a PC's firmware, without placeholders."""
    files = {"vendor": "sys_vendor", "product": "product_name", "board": "board_name"}
    found = {key: read(root / "sys/class/dmi/id" / file) or "" for key, file in files.items()}
    return {key: name for key, name in found.items() if name.lower() not in NO_NAME}


def _cpu(root: Path) -> dict[str, Any]:
    info, sysfs = _table(root / "proc/cpuinfo"), root / "sys/devices/system/cpu"
    flags = set((info.get("flags") or info.get("Features") or "").split())
    topology = {(read(p / "physical_package_id"), read(p / "core_id")) for p in sysfs.glob("cpu[0-9]*/topology")}
    mhz = _mhz(root)
    no_turbo, boost = read(sysfs / "intel_pstate/no_turbo"), read(sysfs / "cpufreq/boost")
    return {
        "model": cpu_model(root),
        "isa": sorted(flag for flag in flags if ISA.fullmatch(flag)),
        "logical_cores": len(re.findall("^processor", read(root / "proc/cpuinfo") or "", re.M)) or None,
        "physical_cores": len(topology) or None,
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governors": sorted({read(p) or "?" for p in sysfs.glob("cpu[0-9]*/cpufreq/scaling_governor")}) or None,
        "turbo": no_turbo == "0" if no_turbo else boost == "1" if boost else None,
        "mhz": [min(mhz), max(mhz)] if mhz else None,
    }


def _zones(root: Path) -> dict[str, Path]:
    """The folder of each thermal zone by its name, which may be that of several."""
    found: dict[str, Path] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name = read(zone / "type") or zone.name
        found[f"{name}-{zone.name}" if name in found else name] = zone
    return found


def _temperatures(root: Path) -> dict[str, float]:
    values = {name: integer(read(zone / "temp")) for name, zone in _zones(root).items()}
    # Some report -256 °C for "no reading".
    return {name: value / 1000 for name, value in values.items() if value is not None and value > -100_000}


def _throttle(root: Path) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count"):
        if (n := integer(read(path))) is not None:
            counts[path.name] = counts.get(path.name, 0) + n
    for path in (root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt"):  # a Jetson's over-current events
        if (n := integer(read(path))) is not None:
            counts[path.name] = counts.get(path.name, 0) + n
    devices = sorted((root / "sys/class/thermal").glob("cooling_device*"))
    states = {read(device / "type") or "": integer(read(device / "cur_state")) for device in devices}
    slowed = [device for device in devices if SLOWS.fullmatch(read(device / "type") or "")]
    steps = {read(device / "type"): [integer(read(device / f"{n}_state")) for n in ("cur", "max")] for device in slowed}
    pi = [read(path) for path in root.glob("sys/devices/platform/soc*/*firmware/get_throttled")]
    return {
        "counts": counts,
        "cooling": {name: step for name, step in steps.items() if None not in step and step[0] > 0},
        "alerts": {name: state for name, state in states.items() if name.endswith("-throttle-alert")},
        "raspberry_pi": int(pi[0], 16) if pi and re.fullmatch("(0x)?[0-9a-f]+", pi[0] or "") else None,
    }


def cpu_quota(root: Path = ROOT) -> float | None:
    """The cores' worth of time that the control group allows (docker --cpus), None without a limit."""
    group = root / "sys/fs/cgroup"  # version 2, else 1; "max" or -1 means no limit
    text = read(group / "cpu.max") or f"{read(group / 'cpu/cpu.cfs_quota_us')} {read(group / 'cpu/cpu.cfs_period_us')}"
    found = re.fullmatch(r"(\d{1,19}) (\d{1,19})", text)
    return int(found[1]) / int(found[2]) if found and int(found[2]) else None
