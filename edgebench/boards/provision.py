"""Sets edgebench up on a board over ssh: plans what the board needs, and installs it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

from edgebench.boards.messages import Installing, RuntimesTried
from edgebench.boards.ssh import Connection, Host
from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import jetpack, packing, registry
from edgebench.machine.device import Profile, load_profile, profile_names
from edgebench.protocols import RuntimeFacts

ROOT = "~/.local/share/edgebench"
SILENCE_LIMIT_S = 1800.0  # pip may have to compile something on a slow board
USUAL_CUDA = "12"  # where the board does not tell the major version of its own
READY = b"edgebench installer"
# One constant argument for sh. python3 comes first: it is the system's own, with the system's libraries.
INSTALL = """exec sh -c 'cd / && for p in python3 python3.10 python3.11 python3.12 python3.13; do \
command -v "$p" >/dev/null 2>&1 && "$p" -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>/dev/null \
&& exec "$p" -; done; python3 -V 2>&1 || echo "no Python"'"""


@dataclass(frozen=True, kw_only=True)
class SetupPlan:
    """What must be done on a board; `needed` is False if all of it was done before."""

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


def plan(host: Host, runtimes: Sequence[str] = ()) -> SetupPlan:
    """Inspect the board and plan what it needs. Raises EdgebenchError if it is unreachable or has no suitable Python.

    If no runtime is named, the plan has those of the board's profile whose library its system has, and of those that
    pip can install the first one that opens what edgebench exports, and the first that opens what is exported straight
    from a checkpoint.
    """
    chosen = tuple(registry.canonical("runtimes", name) for name in runtimes)
    stated: dict[str, RuntimeFacts] = registry.all_facts("runtimes")
    for name in chosen:
        if stated[name].requirements is None:
            raise UsageError(f"setup does not know what {name} needs", "install it there by hand")
    modules = sorted({facts.system_module for facts in stated.values() if facts.system_module})
    seen = _converse(host, {"do": "look", "modules": modules}, lambda text: None).facts
    if seen is None:
        raise EdgebenchError(f"{host.name}: its answer has no facts", "is it the right board?")
    profile = _recognised(seen.device_tree)
    if not chosen:
        fit = [name for name in profile.runtimes if name in stated and stated[name].requirements is not None]
        there = [name for name in fit if stated[name].system_module in seen.modules]
        exporters = registry.all_facts("exporters")
        useful = [name for name in fit if not stated[name].system_module and stated[name].accepts & exporters.keys()]
        straight = {name for name, facts in exporters.items() if ("checkpoint", "fp32") in facts.accepts.values()}
        opening = [name for name in useful if stated[name].accepts & straight]
        chosen = tuple(dict.fromkeys((*there, *useful[:1], *opening[:1])))
    cuda = re.match(r"\d{1,3}", str(seen.cuda))
    known = jetpack.of(seen.l4t or "")
    major = cuda[0] if cuda else known.cuda if known else USUAL_CUDA
    made = SetupPlan(
        python=seen.python,
        machine=seen.machine,
        device=profile.name,
        runtimes=chosen,
        requirements=tuple(r.format(cuda=major) for name in chosen for r in stated[name].requirements or ()),
        system_site_packages=any(stated[name].system_module for name in chosen),
        needed=True,
    )
    return made if seen.before != made.wished else replace(made, needed=False)


def carry_out(host: Host, plan: SetupPlan, say: Callable[[str], None]) -> None:
    """Do what is planned, then check that the runtimes work there. Raises EdgebenchError."""
    if plan.needed:
        name, content = packing.wheel()
        asked = {
            "do": "install", "wheel_name": name, "wheel": base64.b64encode(content).decode(), "wished": plan.wished,
            "system_site_packages": plan.system_site_packages,
        }  # fmt: skip
        say(f"sending edgebench, {len(asked['wheel']) / 1e6:.1f} MB")
        _converse(host, asked, say)
    say(f"checking that it works: {', '.join(('edgebench', *plan.runtimes))}")
    with Connection(host) as connection:
        connection.greet()
        probes = connection.ask(RuntimesTried, "probe", runtimes=list(plan.runtimes)).probes
    for name, error in probes.items():
        if error:
            raise EdgebenchError(f"{host.name}: {name} was installed, but does not work: {error}", "correct this there")


def _converse(host: Host, asked: dict[str, Any], say: Callable[[str], None]) -> Installing:
    """Run the installer there. Returns its last answer."""
    program = resources.files("edgebench.boards").joinpath("installer.py").read_text(encoding="utf-8")
    program += f"\nmain({json.dumps(asked | {'root': ROOT})!r})\n"
    with Connection(host, INSTALL) as connection:
        connection.feed(program)
        connection.beginning(READY)
        while True:
            answer = connection.hear(Installing, SILENCE_LIMIT_S)
            if answer.say is None:
                return answer
            say(answer.say)


def _recognised(device_tree: Sequence[str]) -> Profile:
    """The profile of the board with these entries of /proc/device-tree/compatible; `cpu` if no profile has them."""
    for profile in map(load_profile, profile_names()):
        if any(fnmatchcase(entry, glob) for glob in profile.match.device_tree for entry in device_tree):
            return profile
    return load_profile("cpu")
