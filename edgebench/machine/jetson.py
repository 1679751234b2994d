"""Parses the output of a Jetson's own tools: the modes of nvpmodel, the clocks of jetson_clocks."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """A power mode of nvpmodel; it is set by its number."""

    number: int
    name: str


@dataclass(frozen=True)
class Frequencies:
    """The bounds of a clock and its present rate, in MHz; None if the tool does not print it."""

    min_mhz: float | None
    max_mhz: float | None
    current_mhz: float | None

    @property
    def pinned(self) -> bool:
        return self.min_mhz is not None and self.min_mhz == self.max_mhz


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """The output of `jetson_clocks --show`. `emc_override`: the memory clock is held; `fan`: its line, as printed."""

    cpus: dict[str, Frequencies]
    gpu: Frequencies | None
    emc: Frequencies | None
    emc_override: bool | None
    fan: str = ""

    @property
    def locked(self) -> bool | None:
        """Whether jetson_clocks holds the clocks; None if too little is printed.

        Some power modes limit the CPU to one frequency, so the CPU's bounds alone prove nothing.
        """
        if self.gpu is None or self.gpu.min_mhz is None:
            return None
        return self.gpu.pinned and all(cpu.pinned for cpu in self.cpus.values()) and self.emc_override is not False


def power_modes(conf: str) -> dict[int, str]:
    """The names of the modes in the text of /etc/nvpmodel.conf, by their number."""
    found = {}
    for inside in re.findall(r"^[ \t]*<[ \t]*POWER_MODEL\s([^>]{0,200})>", conf, re.M):
        told = dict(re.findall(r"(ID|NAME)=(\S+)", inside))
        if re.fullmatch(r"[0-9]{1,4}", told.get("ID", "")) and "NAME" in told:
            found[int(told["ID"])] = told["NAME"]
    return found


def current_mode(query: str) -> Mode | None:
    """The mode in the output of `nvpmodel -q`, also with --verbose and among warnings; None if there is none.

    The number stands alone in the line below the name; some wrappers join the two with " / ".
    """
    found = re.search(r"NV Power Mode:[ \t]*(\S+)[ \t]*(?:/|\r?\n)\s*([0-9]{1,4})[ \t]*\r?$", query, re.M)
    return Mode(int(found[2]), found[1]) if found else None


def config_path(query: str) -> str | None:
    """The configuration file that nvpmodel uses, from the output of `nvpmodel -q --verbose`."""
    found = re.search(r"Config file:[ \t]*(/\S+)", query)
    return found[1] if found else None


def needs_reboot(output: str) -> bool:
    """Whether `nvpmodel -m` asked for a reboot instead of changing the mode."""
    return "reboot required" in output.lower() or "want to reboot" in output.lower()


def clocks(show: str) -> Clocks:
    """Parse the output of `jetson_clocks --show`; CPUs that are offline are left out."""
    cpus, gpu, emc, override, fan = {}, None, None, None, ""
    for line in show.splitlines():
        head, told = line.split(" ", 1)[0], dict(re.findall(r"\b(\w+)=([0-9]+)\b", line))
        if re.fullmatch(r"cpu[0-9]+:", head) and told.get("Online") != "0" and "MaxFreq" in told:
            cpus[head[:-1]] = _frequencies(told, 1000)
        elif head == "GPU":
            gpu = _frequencies(told, 1_000_000)
        elif head == "EMC":
            emc = _frequencies(told, 1_000_000)
            override = told["FreqOverride"] != "0" if "FreqOverride" in told else None
        elif head.rstrip(":").lower() == "fan":
            fan = line.strip()
    return Clocks(cpus=cpus, gpu=gpu, emc=emc, emc_override=override, fan=fan)


def _frequencies(told: dict[str, str], per_mhz: int) -> Frequencies:
    values = (told.get(key) for key in ("MinFreq", "MaxFreq", "CurrentFreq"))
    return Frequencies(*(int(v) / per_mhz if v is not None and len(v) < 16 else None for v in values))
