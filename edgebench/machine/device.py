"""Recognises this machine by the device profiles, and decides whether a run here counts as measured or emulated."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from edgebench.errors import EdgebenchError
from edgebench.machine import virtual
from edgebench.machine.fingerprint import (  # fmt: skip
    ROOT,
    cpu_model,
    cpu_part,
    cpu_quota,
    device_tree,
    dmi,
    memory_bytes,
    nvidia_cards,
    read,
)
from edgebench.machine.profiles import Profile, is_own, load_profile, profile_names

HOSTED = "EDGEBENCH_HOSTED"  # set when a desk starts the run over ssh: nothing is emulated then
DEFAULT_TABLE = "p3701-0000"  # NVIDIA's nvpmodel.sh gives it to any Orin that it has no branch for, so it tells nothing
SAME_VARIANT = 0.75  # less memory than this share of the profile's is another variant; firmware takes far less


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How a run under a profile is labelled and bounded here. `notice`, unless empty, must be shown prominently.

    `compute` is the only one there is if this machine stands in for another, and else what is taken by default.
    """

    evidence: Literal["measured", "emulated"]
    compute: str
    stands_in: bool = False
    cores: int | None = None
    memory_limit_mib: int | None = None
    notice: str = ""


def detect(root: Path = ROOT) -> Profile:
    """The profile that recognises this machine most specifically; `cpu` recognises every machine."""
    return recognised(root)[0]


def recognised(root: Path = ROOT) -> list[Profile]:
    """Every profile that recognises this machine, the most specific first; among equals the user's own, then by name.

    From the most specific: a board's device tree, a PC's firmware, its card, its processor, any NVIDIA card, any
    machine. In a device tree an earlier entry is more specific, and among globs the one with more literal characters.
    """
    found = [(how, profile) for name in profile_names() if (how := _specificity(profile := load_profile(name), root))]
    found.sort(key=lambda pair: (pair[0], is_own(pair[1].name)), reverse=True)  # stable: equals stay in order
    return [profile for _, profile in found]


def matches(profile: Profile, root: Path = ROOT) -> bool:
    """Whether this machine is a device of that profile."""
    return _specificity(profile, root) is not None


def _specificity(profile: Profile, root: Path) -> tuple[int, int, int] | None:
    """The best match of a profile's rules: its kind, the place in the device tree, the literal characters."""
    rule, tree, cards, names = profile.match, device_tree(root), nvidia_cards(root), dmi(root)
    hits = [(6, -i, _spelt(glob)) for i, entry in enumerate(tree) for glob in rule.device_tree if _fits(entry, glob)]
    wanted = {key: glob for key, glob in vars(rule.dmi).items() if glob is not None}
    if wanted and all(_fits(names.get(key, ""), glob) for key, glob in wanted.items()):
        hits.append((5, 0, sum(map(_spelt, wanted.values()))))
    for kind, values, globs in (
        (4, cards, rule.gpu_model),
        (3, [cpu_model(root) or ""], rule.cpu_model),
        (3, [cpu_part(root) or ""], rule.cpu_part),
    ):
        hits += [(kind, 0, _spelt(glob)) for value in values for glob in globs if _fits(value, glob)]
    # The Jetsons' own GPUs appear among the driver's cards from JetPack 7 on.
    if rule.nvidia_gpu and cards and not any(entry.startswith("nvidia,tegra") for entry in tree):
        hits.append((2, 0, 0))
    if rule.any:
        hits.append((1, 0, 0))
    return max(hits, default=None)


def _fits(value: str, glob: str) -> bool:
    return bool(value) and fnmatchcase(value, glob)


def _spelt(glob: str) -> int:
    return len(re.sub(r"\[[^\[\]]*\]|[*?]", "", glob))


def describe_machine(root: Path = ROOT) -> str:
    """This machine in one phrase: the board or the processor, cores, memory and NVIDIA cards."""
    tree, total, cards = device_tree(root), memory_bytes(root, "MemTotal"), nvidia_cards(root)
    board = (read(root / "proc/device-tree/model") or "").strip("\0 ")
    board = board or " ".join(dict.fromkeys(dmi(root).values()))
    what = (board or cpu_model(root) or "a processor of unknown model") + (f" ({tree[0]})" if tree else "")
    memory = f"{total // 2**20} MiB of memory" if total else "memory of unknown size"
    return f"{what} with {available_cores(root)} usable cores, {memory} and {', '.join(cards) or 'no NVIDIA card'}"


def available_cores(root: Path = ROOT) -> int:
    """The cores that this process may really use: its affinity, limited by the container's CPU quota."""
    quota = cpu_quota(root)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def place(profile: Profile, *, require_device: bool, environ: Mapping[str, str], root: Path = ROOT) -> Placement:
    """Decide how a run under `profile` is made here: measured on that device, elsewhere emulated or refused.

    Raises EdgebenchError with `require_device`, and in CI, where an emulated figure would be taken for a measured one.
    """
    if matches(profile, root) and (sign := virtual.mark(root)):
        found = f"this machine is a virtual one of QEMU, whatever its device tree says: {sign}"
        if (require_device and HOSTED not in environ) or _in_ci(environ):
            raise EdgebenchError(found, "run on the board itself")
        notice = f"EMULATED, NOT MEASURED: {found}. Its times say nothing of a board's; its results are never ranked "
        return Placement(evidence="emulated", compute=profile.compute, notice=notice + "or gated with measured ones.")
    if matches(profile, root) and (other := _not_itself(profile, root)):
        found = f"this board is recognised as {profile.title}, but it is not as that is: {other}"
        fix = "edgebench devices detect --write NAME, on the board: a profile of its own, as which it is measured"
        if require_device or _in_ci(environ):
            raise EdgebenchError(found, fix)
        notice = f"NOT MEASURED AS {profile.name}: {found}. Its results are labelled emulated. For measured ones: {fix}"
        return Placement(evidence="emulated", compute=profile.compute, notice=notice)
    if matches(profile, root):
        return Placement(evidence="measured", compute=profile.compute, notice=_other_variant(profile, root))
    found = f"--device is {profile.name} ({profile.title}), but this machine is {describe_machine(root)}"
    if profile.cpu.cores is None and profile.memory.total_mib is None:
        raise EdgebenchError(found, "run where that hardware is, or use --device cpu: there is nothing to emulate")
    in_ci = _in_ci(environ)
    if require_device or in_ci:
        drop = " and ".join(["drop --require-device"] * require_device + ["unset CI"] * in_ci)
        board = "the board itself (in a container: docker run --security-opt systempaths=unconfined)"
        fix = f"run on {board}; for an emulated run, {drop}"
        hosted = "is it the right board? without --device it is measured as the device it is"
        raise EdgebenchError(found, hosted if HOSTED in environ else fix)
    wanted, limit, total = profile.cpu.cores, profile.memory.total_mib, memory_bytes(root, "MemTotal")
    cores = min(wanted or sys.maxsize, available_cores(root))
    bounds = f"{cores} cores" + (f" (the board has {wanted})" if wanted and wanted > cores else "")
    if limit is not None:
        bounds += f" and {limit} MiB" + (" (this machine has less)" if total and total < limit * 2**20 else "")
    notice = (
        f"EMULATED, NOT MEASURED: {found}. The run uses this machine's CPU, limited to {bounds}. Its instruction "
        "set (ISA), caches, memory bandwidth, TensorRT tactics, clock scaling (DVFS) and thermals are not the board's: "
        "no power is reported, and these results are never ranked or gated with measured ones."
    )
    return Placement(
        evidence="emulated", compute="cpu", stands_in=True, cores=cores, memory_limit_mib=limit, notice=notice
    )


def _in_ci(environ: Mapping[str, str]) -> bool:
    return environ.get("CI", "").lower() not in ("", "0", "false")


def _not_itself(profile: Profile, root: Path) -> str:
    """How this board differs from the device that it is recognised as; empty if it does not, or does not tell.

    A Jetson can be set up as a smaller module, and its device tree stays the larger one's. The cores are those that are
    present: power modes switch some of them off. nvpmodel's table says, or its file's name, for which module it is.
    The user's own profile describes a board as it was set up, with the cores that were on, and is not compared.
    """
    if is_own(profile.name):
        return ""
    found = []
    last = re.fullmatch(r"0-(\d{1,4})", (read(root / "sys/devices/system/cpu/present") or "").strip())
    if last and profile.cpu.cores and int(last[1]) + 1 != profile.cpu.cores:
        found.append(f"it has {int(last[1]) + 1} cores instead of {profile.cpu.cores}")
    made_for = re.match(r"nvpmodel_(p\d{4})_(\d{4})", _link(root / "etc/nvpmodel.conf"))
    if made_for and not _is_of(name := "-".join(made_for.groups()), profile, root):
        found.append(f"its power model is that of the module {name.upper()}")
    module = re.search(r"\bT\d000\b", profile.title)
    told = set(re.findall(r"(?<![A-Za-z0-9])T\d000(?![0-9])", read(root / "etc/nvpmodel.conf") or ""))
    if module and told and module[0] not in told:
        found.append(f"its power model is that of the {' and '.join(sorted(told))}")
    return "; ".join(found)


def _is_of(module: str, profile: Profile, root: Path) -> bool:
    """Whether a power model for this module is right here: for the board's own, or for another of the profile's."""
    own = any(module in entry for entry in device_tree(root))
    return own or module == DEFAULT_TABLE or any(_fits(f"nvidia,{module}", glob) for glob in profile.match.device_tree)


def _link(path: Path) -> str:
    """The name of the file that this is a link to; empty if it is none."""
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return ""


def _other_variant(profile: Profile, root: Path) -> str:
    nominal, total = profile.memory.total_mib, memory_bytes(root, "MemTotal")
    if not nominal or not total or SAME_VARIANT * nominal <= total / 2**20 <= nominal:
        return ""
    return (
        f"this board has {total // 2**20} MiB of memory, {profile.title} has {nominal}: the measurement is valid, but "
        "this is another variant, whose peaks and bandwidth may differ from the profile's"
    )
