"""Writes a starter profile for a machine that no profile names: known figures filled in, unknown ones left open."""

from __future__ import annotations

import glob
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import registry
from edgebench.machine.device import matches
from edgebench.machine.fingerprint import ROOT, cpu_model, cpu_part, device_tree, dmi, memory_bytes, nvidia_cards, read
from edgebench.machine.jetson import power_modes
from edgebench.machine.profiles import NAME, Profile, is_own, own_folder, parse_profile, profile_names
from edgebench.records import toml
from edgebench.records.jsonio import write_text


def identity(root: Path = ROOT) -> dict[str, Any]:
    """Everything by which a profile can recognise this machine; None or empty if the machine does not tell it."""
    mhz = read(root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq") or ""
    memory = memory_bytes(root, "MemTotal")
    return {
        "board": (read(root / "proc/device-tree/model") or "").strip("\0 ") or None,
        "device_tree": device_tree(root),
        "dmi": dmi(root),
        "gpus": nvidia_cards(root),
        "cpu_model": cpu_model(root),
        "cpu_part": cpu_part(root),
        "cores": len(re.findall("^processor", read(root / "proc/cpuinfo") or "", re.M)) or None,
        "max_mhz": int(mhz) // 1000 if re.fullmatch(r"\d{4,10}", mhz) else None,
        "memory_mib": -(-memory // 2**20) if memory else None,
    }


def text(root: Path = ROOT) -> str:
    """The text of a profile that recognises this machine. Raises EdgebenchError if nothing identifies the machine."""
    known = identity(root)
    match = _match(known)
    if match is None:
        message = "this machine names neither its board nor its firmware, card or processor"
        raise EdgebenchError(message, "in a container: docker run --security-opt systempaths=unconfined")
    tegra = any(entry.startswith("nvidia,tegra") for entry in known["device_tree"])
    cuda = tegra or bool(known["gpus"])
    stated = registry.all_facts("runtimes")
    kinds = ("cuda" if cuda else platform.machine(), "any")
    runtimes = [name for kind in kinds for name, facts in stated.items() if kind in facts.suits]
    title = (
        known["board"] or " ".join(dict.fromkeys(known["dmi"].values())) or (known["gpus"] or [known["cpu_model"]])[0]
    )
    lines = [
        "# Written by `edgebench devices detect --write`: the figures here were read from this machine. Fill in",
        "# the commented lines from the data sheet, with the source, or leave them: do not guess.",
        "schema = 1",
        f"title = {_quoted(title)}",
        f'compute = "{"cuda" if cuda else "cpu"}"',
        f"runtimes = {json.dumps(runtimes)}",
        f"precisions = {json.dumps(['fp32', 'fp16', 'int8'] if cuda else ['fp32', 'int8'])}",
        "", "[match]", match,
        "", "[cpu]",
        _line("model", known["cpu_model"] and _quoted(known["cpu_model"])),
        _line("cores", known["cores"]),
        _line("max_mhz", known["max_mhz"]),
        "", "[memory]",
        _line("total_mib", known["memory_mib"], "as Linux reports it, less than what was bought"),
        *(["shared = true"] if tegra else []),
        "# bandwidth_gb_s = 0       # the theoretical peak",
        "", "# [power]", '# scope = "module"         # what the rails cover: package, gpu, module, system or battery',
        '# total_rails = []         # the rails that add up to it, none of them inside another',
        "", "# [peaks]                  # dense, of what computes alone",
        "# fp32_gflops = 0", "# fp16_gflops = 0", "# int8_gops = 0",
    ]  # fmt: skip
    for mode in power_modes(read(root / "etc/nvpmodel.conf") or "").values():
        lines += ["", "[[power_modes]]", f"name = {_quoted(mode)}"]
    content = "\n".join(lines) + "\n"
    profile = parse_profile("starter", toml.loads(content), "the starter profile")
    assert matches(profile, root), "a starter profile must recognise the machine that it is written on"
    return content


def write(name: str, *, force: bool = False, root: Path = ROOT) -> Path:
    """Save the starter profile under `name`. Raises UsageError for a name that is impossible or taken."""
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a device", "letters, digits, - and _, a letter or digit first")
    if name in profile_names() and not is_own(name):
        raise UsageError(f"{name} is a built-in profile", "choose another name")
    path = own_folder() / f"{name}.toml"
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path} exists", "choose another name, or overwrite it with --force")
    write_text(path, text(root))
    return path


def _match(known: dict[str, Any]) -> str | None:
    if known["device_tree"]:
        return f"device_tree = [{_exactly(known['device_tree'][0])}]"
    if {"product", "board"} & set(known["dmi"]):
        return f"dmi = {{ {', '.join(f'{key} = {_exactly(name)}' for key, name in known['dmi'].items())} }}"
    if known["gpus"]:
        return f"gpu_model = [{_exactly(known['gpus'][0])}]"
    if known["cpu_part"]:
        return f"cpu_part = [{_exactly(known['cpu_part'])}]"
    return f"cpu_model = [{_exactly(known['cpu_model'])}]" if known["cpu_model"] else None


def _exactly(text: str) -> str:
    return _quoted(glob.escape(text))


def _quoted(text: str) -> str:
    """A TOML string: the escapes of JSON, and one for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(key: str, value: Any, remark: str = "") -> str:
    if value is None:
        return f"# {key} = "
    return f"{key} = {value}" + (f"    # {remark}" if remark else "")


def unknown(profile: Profile) -> list[str]:
    """What the profile does not say, each as a sentence."""
    found = []
    if profile.match.any or profile.match.nvidia_gpu:
        found.append(f"which device this is: no profile names it, and {profile.name} stands for any such machine")
    if not profile.power.total_rails:
        found.append(
            "which power rails add up to the whole ([power] total_rails): totals come from other meters or not at all"
        )
    peaks = [key for key, value in vars(profile.peaks).items() if value is None]
    peaks += ["bandwidth_gb_s"] if profile.memory.bandwidth_gb_s is None else []
    if peaks:
        found.append(f"peaks: {', '.join(peaks)}; `edgebench estimate` makes no floor from what is absent")
    if not profile.power_modes and profile.match.device_tree:
        found.append("power modes ([[power_modes]])")
    return found
