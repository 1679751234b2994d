"""Device profiles as data: their keys, finding one by name or path, and checking its values."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from edgebench.errors import BadFile, unknown_name
from edgebench.records import toml
from edgebench.records.jsonio import decode
from edgebench.specs import Precision

SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# The units of the keys, with bounds that no device exceeds: a value outside was written in another unit.
UNITS = {
    "max_mhz": ("MHz", 10, 20_000), "total_mib": ("MiB", 32, 2**26), "bandwidth_gb_s": ("GB/s", 0.1, 1e5),
    "fp32_gflops": ("GFLOP/s", 0.1, 1e8), "fp16_gflops": ("GFLOP/s", 0.1, 1e8), "int8_gops": ("GOP/s", 0.1, 1e8),
    "watts": ("W", 0.1, 1e5), "idle_w": ("W", 0.001, 1e5), "max_w": ("W", 0.01, 1e5), "cores": ("cores", 1, 4096),
}  # fmt: skip


@dataclass(frozen=True)
class Dmi:
    """The names of a PC's firmware (/sys/class/dmi/id): globs, case-sensitive. All given ones must match."""

    vendor: str | None = None
    product: str | None = None
    board: str | None = None


@dataclass(frozen=True, kw_only=True)
class Match:
    """How a device is recognised: one match is enough. Globs, case-sensitive.

    device_tree: entries of /proc/device-tree/compatible; dmi: the firmware's names; gpu_model: an NVIDIA card's name;
    cpu_model: the processor's name; cpu_part: an Arm core's implementer and part, "0x41 0xd0b"; nvidia_gpu: any NVIDIA
    card in a machine that is not a Jetson; any: every machine; unknown: no machine, since the device is not out yet.
    """

    device_tree: tuple[str, ...] = ()
    dmi: Dmi = Dmi()
    gpu_model: tuple[str, ...] = ()
    cpu_model: tuple[str, ...] = ()
    cpu_part: tuple[str, ...] = ()
    nvidia_gpu: bool = False
    any: bool = False
    unknown: bool = False


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
    """total_mib is the nominal size in MiB; `shared`: the GPU uses the same memory."""

    total_mib: int | None = None
    shared: bool = False
    bandwidth_gb_s: float | None = None


@dataclass(frozen=True)
class Power:
    """The rails that add up to the whole (`total_rails`), and what the whole is (`scope`).

    Figures of different scope are never compared. idle_w and max_w: the declared draw of the whole with the CPU idle
    and fully busy, for a figure that is modelled from the CPU's use, and labelled so, if nothing measures it.
    """

    scope: Literal["package", "gpu", "module", "system", "battery"] | None = None
    total_rails: tuple[str, ...] = ()
    idle_w: float | None = None
    max_w: float | None = None


@dataclass(frozen=True)
class PowerMode:
    """One nvpmodel mode. `watts` is the budget in its name: a cap on the clocks, not a measurement."""

    name: str
    watts: float | None = None
    default: bool = False


@dataclass(frozen=True)
class Peaks:
    """The data sheet's peaks, dense (no sparsity); None if it does not state one."""

    fp32_gflops: float | None = None
    fp16_gflops: float | None = None
    int8_gops: float | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known about a kind of device. Choosing a profile never makes another machine pretend to be it."""

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
        """The power of the whole (`power.scope`) in mW, None if total_rails or one of the rails is missing."""
        if not self.power.total_rails or any(rails_mw.get(rail) is None for rail in self.power.total_rails):
            return None
        return sum(rails_mw[rail] for rail in self.power.total_rails)


def profile_names() -> list[str]:
    """Every name that load_profile knows, built-in or the user's; reads no file, so that completion stays fast."""
    return sorted({*_builtin(), *_own()})


def is_own(name: str) -> bool:
    """Whether the profile of that name is the user's own."""
    return name not in _builtin()


def load_profile(name_or_path: str) -> Profile:
    """The profile of that name, or in that .toml file. Raises UsageError for an unknown name, otherwise BadFile."""
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path).expanduser()
        return _load(path.stem, path)
    builtin, own = _builtin(), _own()
    if not NAME.fullmatch(name_or_path) or name_or_path not in {*builtin, *own}:
        raise unknown_name("device", name_or_path, {*builtin, *own}, where="`edgebench devices`")
    if name_or_path in builtin and name_or_path in own:
        raise BadFile(f"{own[name_or_path]} has the name of a built-in profile", "give your profile another name")
    return _load(name_or_path, own.get(name_or_path) or builtin[name_or_path])


def _load(name: str, path: Any) -> Profile:
    data = toml.read(path, what="the device profile", example="device_profiles/README.md has an example")
    return parse_profile(name, data, str(path))


def parse_profile(name: str, data: dict[str, Any], where: str) -> Profile:
    """A profile from the values of a TOML file; `where` names the file in messages. Raises only BadFile."""
    schema = data.get("schema")
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        fix = f"begin the file with schema = {SCHEMA}; a higher one needs a newer edgebench"
        raise BadFile(f"{where}: expected schema = {SCHEMA}, found {schema!r}", fix)
    _check_keys(Profile, data, where, "")
    try:
        profile = decode(Profile, {**data, "name": name}, f"{where}: profile")
    except BadFile as error:
        message = error.message.replace("expected tuple,", "expected a list,")
        unit = next((UNITS[key][0] for key in UNITS if f".{key}: expected" in message), None)
        fix = error.fix or (_in(unit) if unit else "device_profiles/README.md describes every key")
        raise BadFile(message, fix) from None
    _check_numbers(profile, where, "")
    if profile.match == Match():
        raise BadFile(f"{where}: [match] recognises nothing", 'add, say, device_tree = ["vendor,board-*"]')
    if sum(mode.default for mode in profile.power_modes) > 1:
        raise BadFile(f"{where}: more than one power mode is the default", "keep default = true on one of them")
    _check_power(profile.power, where)
    return profile


def _check_power(power: Power, where: str) -> None:
    if (power.idle_w is None) != (power.max_w is None) or (power.max_w or 1) <= (power.idle_w or 0):
        raise BadFile(f"{where}: [power] needs idle_w and a larger max_w", "add the missing one, or drop both")
    if bool(power.scope) != bool(power.total_rails or power.idle_w):
        fix = "add the missing one, or drop the table"
        raise BadFile(f"{where}: [power] needs scope, and total_rails or idle_w and max_w", fix)


def _check_keys(kind: Any, data: dict[str, Any], where: str, table: str) -> None:
    """Raise BadFile for the first unknown key in this table or a table inside it, with the closest known key."""
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
                raise BadFile(
                    f"{where}: {table}{item.name} must be a positive number", "leave it out if it is not known"
                )
            elif type(part) in (int, float) and item.name in UNITS:
                unit, least, most = UNITS[item.name]
                if not least <= part <= most:
                    raise BadFile(
                        f"{where}: {table}{item.name} = {part:g} is not a plausible number of {unit}", _in(unit)
                    )


def _in(unit: str) -> str:
    return f"write a bare number of {unit}, as 8192 for 8 GiB in MiB or 1500 for 1.5 GHz in MHz"


def _builtin() -> dict[str, Any]:
    folder = resources.files("edgebench.device_profiles")
    return {item.name[:-5]: item for item in folder.iterdir() if item.name.endswith(".toml")}


def own_folder() -> Path:
    """The folder of the user's own profiles, NAME.toml: edgebench/devices in the configuration folder."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "edgebench", "devices")


def _own() -> dict[str, Path]:
    return {path.stem: path for path in own_folder().glob("*.toml") if NAME.fullmatch(path.stem)}
