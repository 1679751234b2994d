"""Device profiles: read one, tell whether this machine is that device, and decide how a run may be labelled."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from edgebench.errors import BadFile, EdgebenchError, unknown_name
from edgebench.fingerprint import ROOT, cpu_model, cpu_quota, device_tree, memory_bytes, nvidia_cards, read
from edgebench.jsonio import decode
from edgebench.specs import Precision

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = 1
SAME_VARIANT = 0.75  # a memory below this share of the profile's is another variant; firmware takes far less
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Match:
    """How a device is recognised: one hit is enough. Globs, case-sensitive.

    device_tree: entries of /proc/device-tree/compatible; cpu_model: the processor's name; gpu_model: an NVIDIA card's
    name; nvidia_gpu: any NVIDIA card in a machine that is no Jetson; any: every machine.
    """

    device_tree: tuple[str, ...] = ()
    cpu_model: tuple[str, ...] = ()
    gpu_model: tuple[str, ...] = ()
    nvidia_gpu: bool = False
    any: bool = False


@dataclass(frozen=True)
class Cpu:
    model: str | None = None
    cores: int | None = None
    max_mhz: int | None = None


@dataclass(frozen=True)
class Gpu:
    model: str | None = None
    compute_capability: str | None = None
    max_mhz: int | None = None


@dataclass(frozen=True)
class Memory:
    """total_mib is the nominal size in MiB; `shared`: the GPU works in it too."""

    total_mib: int | None = None
    shared: bool = False
    bandwidth_gb_s: float | None = None


@dataclass(frozen=True)
class Power:
    """Which rails add up to the whole, and what that whole is. Figures of different scope are never compared."""

    scope: Literal["package", "gpu", "module", "system", "battery"] | None = None
    total_rails: tuple[str, ...] = ()


@dataclass(frozen=True)
class PowerMode:
    """One nvpmodel mode. `watts` is the budget in its name: a cap on the clocks, not a measurement."""

    name: str
    watts: float | None = None
    default: bool = False


@dataclass(frozen=True)
class Peaks:
    """What the data sheet promises, dense (no sparsity); None where it does not say."""

    fp32_gflops: float | None = None
    fp16_gflops: float | None = None
    int8_gops: float | None = None


@dataclass(frozen=True)
class Profile:
    """What is known about a kind of device. An assertion, not a costume: it never makes a machine into that device."""

    name: str
    title: str
    compute: Literal["cpu", "cuda"]
    match: Match
    runtimes: tuple[str, ...]
    precisions: tuple[Precision, ...]
    cpu: Cpu = Cpu()
    gpu: Gpu = Gpu()
    memory: Memory = Memory()
    power: Power = Power()
    power_modes: tuple[PowerMode, ...] = ()
    peaks: Peaks = Peaks()
    schema: int = SCHEMA

    def total_power_mw(self, rails_mw: Mapping[str, int]) -> int | None:
        """The power of the whole (`power.scope`), or None if the rule or one of its rails is missing."""
        if not self.power.total_rails or any(rails_mw.get(rail) is None for rail in self.power.total_rails):
            return None
        return sum(rails_mw[rail] for rail in self.power.total_rails)


@dataclass(frozen=True)
class Placement:
    """How a run under a profile is labelled and bounded here; `notice` is to be shown loudly where it is not empty."""

    evidence: Literal["measured", "emulated"]
    compute: str
    cores: int | None = None
    memory_limit_mib: int | None = None
    notice: str = ""


def profile_names() -> list[str]:
    """Every name that load_profile knows, built-in and the user's own; reads no file, so that completion stays fast."""
    return sorted({*_builtin(), *_own()})


def load_profile(name_or_path: str) -> Profile:
    """The profile of that name, or in that .toml file. Raises UsageError for an unknown name, BadFile for the rest."""
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path).expanduser()
        return _load(path.stem, path)
    builtin, own = _builtin(), _own()
    if not _NAME.fullmatch(name_or_path) or name_or_path not in {*builtin, *own}:
        raise unknown_name("device", name_or_path, {*builtin, *own}, where="`edgebench devices`")
    if name_or_path in builtin and name_or_path in own:
        raise BadFile(f"{own[name_or_path]} has the name of a built-in profile", "give your profile another name")
    return _load(name_or_path, own.get(name_or_path) or builtin[name_or_path])


def _load(name: str, path: Any) -> Profile:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"cannot read the device profile {path}: {error.strerror}", "check the path") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise BadFile(f"{path} is not TOML: {error}", "device_profiles/README.md has an example") from None
    return parse_profile(name, data, str(path))


def parse_profile(name: str, data: dict[str, Any], where: str) -> Profile:
    """A profile from the values of a TOML file; `where` names the file in messages. Raises BadFile alone."""
    schema = data.get("schema")
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        fix = f"begin the file with schema = {SCHEMA}; a higher one needs a newer edgebench"
        raise BadFile(f"{where}: expected schema = {SCHEMA}, found {schema!r}", fix)
    _check_keys(Profile, data, where, "")
    try:
        profile = decode(Profile, {**data, "name": name}, f"{where}: profile")
    except BadFile as error:
        message = error.message.replace("expected tuple,", "expected a list,")
        raise BadFile(message, error.fix or "device_profiles/README.md describes every key") from None
    _check_numbers(profile, where, "")
    if profile.match == Match():
        raise BadFile(f"{where}: [match] recognises nothing", 'add, say, device_tree = ["vendor,board-*"]')
    if sum(mode.default for mode in profile.power_modes) > 1:
        raise BadFile(f"{where}: more than one power mode is the default", "leave default = true on one of them")
    if bool(profile.power.scope) != bool(profile.power.total_rails):
        raise BadFile(f"{where}: [power] needs both scope and total_rails", "add the missing one, or drop the table")
    return profile


def _check_keys(kind: Any, data: dict[str, Any], where: str, table: str) -> None:
    """Raise BadFile with the closest known key for the first that is unknown, in this table or one inside it."""
    hints = typing.get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind) if kind is not Profile or f.name != "name"]
    for key, value in data.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            fix = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise BadFile(f"{where}: unknown key {table + key!r}", fix)
        inner = (typing.get_args(hints[key]) or (hints[key],))[0]
        if dataclasses.is_dataclass(inner):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    _check_keys(inner, item, where, f"{table}{key}.")


def _check_numbers(value: Any, where: str, table: str) -> None:
    for item in dataclasses.fields(value):
        inner = getattr(value, item.name)
        for part in inner if isinstance(inner, tuple) else (inner,):
            if dataclasses.is_dataclass(part):
                _check_numbers(part, where, f"{table}{item.name}.")
            elif type(part) in (int, float) and not 0 < part < math.inf:
                raise BadFile(f"{where}: {table}{item.name} must be a positive number", "leave out what is not known")


def _builtin() -> dict[str, Any]:
    folder = resources.files("edgebench.device_profiles")
    return {item.name[:-5]: item for item in folder.iterdir() if item.name.endswith(".toml")}


def _own() -> dict[str, Path]:
    """The user's own profiles: NAME.toml in edgebench/devices of the configuration folder."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "edgebench", "devices")
    return {path.stem: path for path in folder.glob("*.toml") if _NAME.fullmatch(path.stem)}


def detect(root: Path = ROOT) -> Profile:
    """What this machine is: the board that a profile recognises, else `cuda` with an NVIDIA card, else `cpu`."""
    for name in profile_names():
        profile = load_profile(name)
        if not (profile.match.any or profile.match.nvidia_gpu) and matches(profile, root):
            return profile
    cuda = load_profile("cuda")
    return cuda if matches(cuda, root) else load_profile("cpu")


def matches(profile: Profile, root: Path = ROOT) -> bool:
    """Whether this machine is a device of that profile."""
    rule, tree, cards = profile.match, device_tree(root), nvidia_cards(root)
    # The Jetsons' own GPUs appear among the driver's cards from JetPack 7 on.
    discrete = bool(cards) and not any(entry.startswith("nvidia,tegra") for entry in tree)
    return (
        rule.any
        or (rule.nvidia_gpu and discrete)
        or _hit(rule.device_tree, tree)
        or _hit(rule.cpu_model, [cpu_model(root) or ""])
        or _hit(rule.gpu_model, cards)
    )


def _hit(globs: tuple[str, ...], values: list[str]) -> bool:
    return any(fnmatchcase(value, glob) for value in values for glob in globs)


def describe_machine(root: Path = ROOT) -> str:
    """What this machine is, in one phrase: the board or the processor, cores, memory and NVIDIA cards."""
    tree, total, cards = device_tree(root), memory_bytes(root, "MemTotal"), nvidia_cards(root)
    board = (read(root / "proc/device-tree/model") or "").strip("\0 ")
    what = (board or cpu_model(root) or "a processor of unknown model") + (f" ({tree[0]})" if tree else "")
    memory = f"{total // 2**20} MB of memory" if total else "memory of unknown size"
    return f"{what} with {available_cores(root)} usable cores, {memory} and {', '.join(cards) or 'no NVIDIA card'}"


def available_cores(root: Path = ROOT) -> int:
    """The cores this process may really use: its affinity, cut by the container's CPU quota."""
    quota = cpu_quota(root)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def place(profile: Profile, *, require_device: bool, environ: Mapping[str, str], root: Path = ROOT) -> Placement:
    """How a run under `profile` may go ahead here: measured on that device; elsewhere emulated, or refused.

    Refused (EdgebenchError) with `require_device` or in CI, where an emulated figure would pass for a measured one.
    """
    if matches(profile, root):
        return Placement("measured", profile.compute, notice=_other_variant(profile, root))
    found = f"{profile.name} ({profile.title}) was asked for, but what is here is {describe_machine(root)}"
    if profile.cpu.cores is None and profile.memory.total_mib is None:
        raise EdgebenchError(found, "run where that hardware is, or use --device cpu: there is nothing to emulate")
    in_ci = environ.get("CI", "").lower() not in ("", "0", "false")
    if require_device or in_ci:
        drop = " and ".join(["drop --require-device"] * require_device + ["unset CI"] * in_ci)
        board = "the board itself (in a container: docker run --security-opt systempaths=unconfined)"
        raise EdgebenchError(found, f"run on {board}; for an emulated run, {drop}")
    wanted, limit, total = profile.cpu.cores, profile.memory.total_mib, memory_bytes(root, "MemTotal")
    cores = min(wanted or sys.maxsize, available_cores(root))
    bounds = f"{cores} cores" + (f" (the board has {wanted})" if wanted and wanted > cores else "")
    if limit is not None:
        bounds += f" and {limit} MB" + (" (this machine has less)" if total and total < limit * 2**20 else "")
    notice = (
        f"EMULATED, NOT MEASURED: {found}. The run goes ahead on this machine's CPU, held to {bounds}. Its instruction "
        "set (ISA), caches, memory bandwidth, TensorRT tactics, clock scaling (DVFS) and thermals are not the board's: "
        "no power is reported, and these results are never ranked or gated with measured ones."
    )
    return Placement("emulated", "cpu", cores, limit, notice)


def _other_variant(profile: Profile, root: Path) -> str:
    nominal, total = profile.memory.total_mib, memory_bytes(root, "MemTotal")
    if not nominal or not total or SAME_VARIANT * nominal <= total / 2**20 <= nominal:
        return ""
    return (
        f"this board has {total // 2**20} MB of memory, {profile.title} has {nominal}: the measurement stands, but it "
        "is another variant, and the profile's peaks and bandwidth may not be its own"
    )
