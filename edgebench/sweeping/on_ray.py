"""The Ray engine: trainings on the cluster's GPUs or cores, measurements on the node that carries `device:PROFILE`.

Nodes share the workspace's folder. Ray itself moves only the names of steps: a step reads what it needs from the
workspace, by its hash, as on one machine, and its outcome is kept there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from edgebench.errors import EdgebenchError, Unsupported, UsageError, unknown_name
from edgebench.machine import locks
from edgebench.machine.device import load_profile
from edgebench.records.workspace import Workspace
from edgebench.sweeping import cluster
from edgebench.sweeping.records import Records
from edgebench.sweeping.site import Site
from edgebench.sweeping.step_process import StepProcess
from edgebench.sweeping.steps import Step, StepOutcome, Train, alone

POLL_S = 0.1
LOST_AT_MOST = 3  # nodes that one step may lose; after more, the step itself is the likely cause
NO_NODE_S = 60.0  # a step is given up when its device has had no node for this long


def connect(address: str | None) -> Any:
    """Connect to the Ray cluster at `address`, or the one that RAY_ADDRESS names, or the one on this machine."""
    try:
        import ray
    except ModuleNotFoundError:
        raise Unsupported("the engine ray needs the Python module 'ray'", "pip install 'edgebench[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(address=address or "auto", log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            first = str(error).strip().splitlines()[0]
            raise EdgebenchError(
                f"no Ray cluster answers at {address or 'RAY_ADDRESS or on this machine'}: {first}",
                "start one: `ray start --head`, and `ray start --address HEAD` on each node",
            ) from None
    return ray


def sites(reports: Sequence[cluster.Node], devices: Sequence[str]) -> list[Site]:
    """A site for each device of a plan, by default for all devices that the cluster has.

    Raises UsageError for a device that no node carries, EdgebenchError if its node cannot take part.
    """
    carried = {device: node for node in reversed(reports) for device in node.devices}
    if not carried:
        raise EdgebenchError("no node of the cluster carries a device", cluster.how_to_carry("cpu"))
    found = []
    for device in devices or sorted(carried):
        profile = load_profile(device)
        if device not in carried:
            raise UsageError(
                f"no node of the cluster carries device:{device}; it has {', '.join(sorted(carried))}",
                cluster.how_to_carry(device),
            )
        node = carried[device]
        if problems := node.problems():
            raise EdgebenchError(f"node {node.address} carries device:{device}, but {problems[0]}", "fix that first")
        found.append(Site(device=device, compute=profile.compute, machine=node.machine, probes=node.probes))
    return found


@dataclass
class Task:
    """A step that Ray has. `lost`: how many of its nodes died; `homeless_since`: since when no node has its device."""

    begun: StepOutcome
    reference: Any
    lost: int = 0
    homeless_since: float | None = None


class OnRay:
    """Does steps as Ray tasks. If a node dies, its steps start again elsewhere; all others go on."""

    def __init__(self, kept: Records, ray: Any, reports: Sequence[cluster.Node], say: Callable[[str], None]) -> None:
        self._kept, self._ray, self._say = kept, ray, say
        self._reports = list(reports)
        self._tasks: dict[str, Task] = {}
        self._perform = ray.remote(perform_here)

    def has_room(self, step: Step) -> bool:
        return True  # Ray keeps the queue

    def start(self, steps: Sequence[Step]) -> list[StepOutcome]:
        """Each as a task of its own: measurements do not race on a cluster."""
        begun = [self._kept.begin(step) for step in steps]
        for one in begun:
            self._tasks[one.step.identity] = Task(one, self._submit(one.step))
        return begun

    def _submit(self, step: Step) -> Any:
        needs = demands(step, self._reports)
        share = 0 if alone(step) else int(needs["num_cpus"])
        root = str(self._kept.workspace.root.absolute())
        return self._perform.options(max_retries=0, **needs).remote(root, step.identity, share)

    def ended(self, timeout_s: float) -> list[StepOutcome]:
        by_reference = {task.reference: identity for identity, task in self._tasks.items()}
        ready, _ = self._ray.wait(list(by_reference), num_returns=1, timeout=timeout_s)
        over = [outcome for reference in ready if (outcome := self._over(by_reference[reference]))]
        return over + self._without_a_node()

    def _over(self, identity: str) -> StepOutcome | None:
        """The outcome of a task that Ray has finished; None if its node was lost and Ray got the task again."""
        task, errors = self._tasks[identity], self._ray.exceptions
        message = ""
        try:
            self._ray.get(task.reference)
        except errors.RayTaskError as error:
            message = str(error.cause or error).strip().splitlines()[-1]
        except errors.OutOfMemoryError as error:
            return self._end(identity, "out_of_memory", str(error).strip().splitlines()[0])
        except errors.RayError as error:
            task.lost += 1
            if task.lost <= LOST_AT_MOST:
                self._say(f"a node was lost: {task.begun.step.title} starts again")
                task.begun = self._kept.begin(task.begun.step)
                task.reference = self._submit(task.begun.step)
                return None
            why = str(error).strip().splitlines()[0]
            return self._end(identity, "crashed", f"it lost {task.lost} nodes; at the last one Ray said: {why}")
        found = self._kept.read(identity)
        if found is None or found.status == "running":
            return self._end(identity, "failed", message or "its node recorded no outcome")
        del self._tasks[identity]
        return found

    def _without_a_node(self) -> list[StepOutcome]:
        """Give up the steps whose device has had no node for NO_NODE_S."""
        carried = {d for node in self._ray.nodes() if node["Alive"] for d in cluster.devices_in(node["Resources"])}
        over = []
        for identity, task in list(self._tasks.items()):
            device = task.begun.step.device
            if not device or device in carried:
                task.homeless_since = None
                continue
            task.homeless_since = task.homeless_since or time.monotonic()
            if time.monotonic() - task.homeless_since > NO_NODE_S:
                self._ray.cancel(task.reference, force=True)
                over.append(self._end(identity, "failed", f"no node of the cluster carries device:{device} any more"))
        return over

    def _end(self, identity: str, status: Any, message: str) -> StepOutcome:
        from dataclasses import replace

        task = self._tasks.pop(identity)
        return self._kept.end(replace(task.begun, status=status, message=message))

    def close(self) -> None:
        for task in self._tasks.values():
            self._ray.cancel(task.reference, force=True)
        self._tasks.clear()


def demands(step: Step, reports: Sequence[cluster.Node]) -> dict[str, Any]:
    """The resources that Ray reserves for a step. A measurement gets all cores and GPUs of its device's node."""
    if alone(step):
        nodes = [node for node in reports if step.device in node.devices]
        if not nodes:
            raise unknown_name("device of the cluster", step.device, [d for node in reports for d in node.devices])
        whole = {name: min(node.resources.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU")}
        return {"num_cpus": whole["CPU"], "num_gpus": whole["GPU"], "resources": {cluster.PREFIX + step.device: 1}}
    cards = max((node.resources.get("GPU", 0.0) for node in reports), default=0.0)
    return {"num_cpus": 1, "num_gpus": 1 if cards and isinstance(step, Train) else 0}


def perform_here(root: str, identity: str, share: int) -> None:
    """Runs on a node: does the step that is recorded as begun in the workspace `root`, on `share` cores (0: all)."""
    kept = Records(Workspace(Path(root)))
    begun = kept.read(identity)
    if begun is None:
        raise EdgebenchError(f"on this node, {root} is not the sweep's workspace: share that folder")
    if alone(begun.step):
        _wait(StepProcess([begun], kept))
        return
    usage = psutil.cpu_percent(interval=0.1, percpu=True)
    calm = sorted(os.sched_getaffinity(0), key=lambda core: usage[core] if core < len(usage) else 0.0)
    while True:
        with locks.machine_shared() as held:
            if held:
                _wait(StepProcess([begun], kept, cores=calm[:share]))
                return
        time.sleep(POLL_S)


def _wait(child: StepProcess) -> None:
    try:
        while child.outcomes() is None:
            time.sleep(POLL_S)
    finally:
        child.stop()
