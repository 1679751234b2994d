"""Setting edgebench up on a board over ssh: what fits it, what would be done, and doing it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

from edgebench.boards.ssh import Connection, Host
from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import packing, registry
from edgebench.machine.device import Profile, load_profile, profile_names

ROOT = "~/.local/share/edgebench"
SILENCE_LIMIT_S = 1800.0  # pip may have to compile something on a slow board
# What pip has to bring for a runtime. TensorRT itself comes with JetPack, and is not on PyPI for boards; beside it
# goes the cuda-python of JetPack's own CUDA: 12 on JetPack 6, 13 on JetPack 7.
REQUIREMENTS = {
    "onnxruntime": ("onnxruntime>=1.17",), "openvino": ("openvino>=2024.4",), "tensorrt": ("cuda-python=={cuda}.*",),
    "fake": (),
}  # fmt: skip
READY = b"edgebench installer"
# One argument for sh, in which nothing varies. python3 first: it is the system's own, with the system's libraries.
INSTALL = """exec sh -c 'cd / && for p in python3 python3.10 python3.11 python3.12 python3.13; do \
command -v "$p" >/dev/null 2>&1 && "$p" -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>/dev/null \
&& exec "$p" -; done; python3 -V 2>&1 || echo "no Python"'"""


@dataclass(frozen=True)
class Plan:
    """What is to be done on a board: `needed` is False where all of it was done before."""

    python: str
    machine: str
    device: str
    runtimes: tuple[str, ...]
    requirements: tuple[str, ...]
    system_site_packages: bool
    needed: bool

    @property
    def wished(self) -> dict[str, Any]:
        return {"code": packing.code_digest(), "python": self.python, "requirements": list(self.requirements)}


def plan(host: Host, runtimes: Sequence[str] = ()) -> Plan:
    """Look at the board and say what it needs. Raises EdgebenchError if it cannot be reached or has no fit Python."""
    chosen = tuple(registry.canonical("runtimes", name) for name in runtimes)
    for name in chosen:
        if name not in REQUIREMENTS:
            raise UsageError(f"setup does not know what {name} needs", "install it there by hand")
    facts = _converse(host, {"do": "look"}, lambda text: None)["facts"]
    profile = _recognised(facts["device_tree"])
    if not chosen:
        fit = [name for name in profile.runtimes if name in REQUIREMENTS and name != "tensorrt"]
        chosen = (*["tensorrt"] * bool(facts["tensorrt"] and "tensorrt" in profile.runtimes), *fit[:1])
    cuda = re.match(r"\d{1,3}", str(facts["cuda"]))
    requirements = tuple(r.format(cuda=cuda[0] if cuda else 12) for name in chosen for r in REQUIREMENTS[name])
    made = Plan(
        str(facts["python"]), str(facts["machine"]), profile.name, chosen, requirements,
        system_site_packages="tensorrt" in chosen, needed=True,
    )  # fmt: skip
    return made if facts["before"] != made.wished else Plan(**{**vars(made), "needed": False})


def carry_out(host: Host, plan: Plan, say: Callable[[str], None]) -> None:
    """Do what is planned, then see that a run would find what it needs. Raises EdgebenchError."""
    if plan.needed:
        name, content = packing.wheel()
        asked = {
            "do": "install", "wheel_name": name, "wheel": base64.b64encode(content).decode(), "wished": plan.wished,
            "system_site_packages": plan.system_site_packages,
        }  # fmt: skip
        _converse(host, asked, say)
    say("looking whether it works")
    with Connection(host) as connection:
        connection.greet()
        probes = connection.ask("probe", runtimes=list(plan.runtimes))["probes"]
    for name, error in probes.items():
        if error:
            raise EdgebenchError(f"{host.name}: {name} was installed, but does not work: {error}", "see to it there")


def _converse(host: Host, asked: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """Run the installer there. Returns its last answer."""
    program = resources.files("edgebench.boards").joinpath("installer.py").read_text(encoding="utf-8")
    program += f"\nmain({json.dumps(asked | {'root': ROOT})!r})\n"
    with Connection(host, INSTALL) as connection:
        connection.feed(program)
        connection.beginning(READY)
        while True:
            answer = connection.hear(SILENCE_LIMIT_S)
            if "say" not in answer:
                return answer
            say(str(answer["say"]))


def _recognised(device_tree: Sequence[str]) -> Profile:
    """The profile of the board with these entries of /proc/device-tree/compatible; `cpu` where there is none."""
    for profile in map(load_profile, profile_names()):
        if any(fnmatchcase(entry, glob) for glob in profile.match.device_tree for entry in device_tree):
            return profile
    return load_profile("cpu")
