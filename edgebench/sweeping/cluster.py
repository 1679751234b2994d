"""What each node of a Ray cluster offers, and what it lacks: `edgebench cluster doctor`."""

from __future__ import annotations

import json
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgebench import __version__
from edgebench.machine import registry
from edgebench.machine.device import describe_machine, profile_names
from edgebench.measuring import process
from edgebench.records import jsonio
from edgebench.records.probe import Probe
from edgebench.records.workspace import Workspace
from edgebench.sweeping import facts

PREFIX = "device:"
ANSWER_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node's report on itself. `storage`: it sees the sweep's workspace; `error`: why there is no report."""

    address: str
    resources: dict[str, float]
    version: str = ""
    python: str = ""
    machine: str = ""
    storage: bool = False
    probes: tuple[Probe, ...] = ()
    tools: dict[str, str] | None = None
    error: str = ""

    @property
    def devices(self) -> list[str]:
        return devices_in(self.resources)

    @property
    def trains(self) -> bool:
        return bool(self.tools) and all(name in self.tools for name in facts.TRAINING_TOOLS)

    def problems(self) -> list[str]:
        """Why it cannot take part in a sweep, as clauses."""
        if self.error:
            return [self.error]
        found = []
        if self.version != __version__:
            found.append(f"it has edgebench {self.version}, this is {__version__}")
        if not self.storage:
            found.append("it does not see the workspace: share the folder, under the same path")
        known = set(profile_names())
        found += [
            f"it carries device:{name}, but there is no such profile" for name in self.devices if name not in known
        ]
        if not self.devices and not self.trains:
            found.append("it cannot train (pip install 'edgebench[all]') and carries no device")
        return found


def devices_in(resources: Mapping[str, float]) -> list[str]:
    """The profiles that a node carries as custom resources."""
    return sorted(name.removeprefix(PREFIX) for name in resources if name.startswith(PREFIX))


def how_to_carry(device: str) -> str:
    """The fix for a device that no node carries."""
    return f"on its node: ray start --address HEAD --resources '{{\"{PREFIX}{device}\": 1}}'"


def report(ray: Any, workspace: Workspace, runtimes: Sequence[str] = ()) -> list[Node]:
    """Ask every living node, all at the same time. For one that does not answer in time, `error` says so.

    `runtimes`: the runtimes to ask about; by default all except those that run only when they are named.
    """
    token = secrets.token_hex(16)
    mark = workspace.root.absolute() / "sweep" / f".seen-{token}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(token)
    ask = ray.remote(account)
    asked: dict[Any, Node] = {}
    try:
        for node in ray.nodes():
            if node["Alive"]:
                there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = ask.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(
                    str(mark), token, list(runtimes)
                )
                asked[task] = Node(address=node["NodeManagerAddress"], resources=_told(node["Resources"]))
        ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
        return sorted((_answer(ray, task, node) for task, node in asked.items()), key=lambda node: node.address)
    finally:
        mark.unlink(missing_ok=True)


def _told(resources: Mapping[str, float]) -> dict[str, float]:
    """The resources that matter here: CPUs, GPUs and devices, not memory or names that Ray makes up."""
    return {k: float(v) for k, v in resources.items() if k in ("CPU", "GPU") or k.startswith(PREFIX)}


def _answer(ray: Any, task: Any, node: Node) -> Node:
    try:
        text = ray.get(task, timeout=0)
    except ray.exceptions.GetTimeoutError:
        ray.cancel(task, force=True)
        return replace(node, error=f"it did not answer within {ANSWER_S:g} s")
    except ray.exceptions.RayError as error:
        return replace(node, error=str(error).strip().splitlines()[-1])
    return jsonio.decode(Node, json.loads(text) | {"address": node.address, "resources": node.resources}, node.address)


def account(mark: str, token: str, runtimes: list[str]) -> str:
    """Runs on a node: its report on itself, as JSON. `mark` is a file of the workspace that holds `token`."""
    try:
        storage = Path(mark).read_text() == token
    except OSError:
        storage = False
    usual = [name for name, stated in registry.all_facts("runtimes").items() if not stated.only_by_name]
    probes = tuple(process.probe_all(runtimes or usual))
    exporting = [name for stated in registry.all_facts("exporters").values() for name in stated.libraries]
    tools = registry.versions((*facts.TRAINING_TOOLS, *exporting))
    here = Node(
        address="",
        resources={},
        version=__version__,
        python=platform.python_version(),
        machine=describe_machine(),
        storage=storage,
        probes=probes,
        tools=tools,
    )
    return jsonio.dumps(here)


def lacking(nodes: Sequence[Node], devices: Sequence[str]) -> list[str]:
    """What the whole cluster lacks for a plan on these devices, as sentences."""
    found = [f"node {node.address}: {problem}" for node in nodes for problem in node.problems()]
    if not any(node.trains and not node.problems() for node in nodes):
        found.append("no node can train: pip install 'edgebench[all]' on one")
    carried = {device for node in nodes for device in node.devices}
    found += [f"no node carries device:{d}; {how_to_carry(d)}" for d in devices if d not in carried]
    return found


def at_once(nodes: Sequence[Node]) -> int:
    """About how many trainings or exports the cluster does at the same time."""
    return max(1, int(sum(node.resources.get("GPU", 0.0) or node.resources.get("CPU", 0.0) for node in nodes)))
