"""The Ray engine on Ray's own test cluster of real processes: the local engine's results, and a node that is killed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sweeping
from conftest import lacking

from edgebench.errors import UsageError
from edgebench.records.workspace import Workspace
from edgebench.results import store
from edgebench.sweeping import cluster, on_ray
from edgebench.sweeping.records import Records
from edgebench.sweeping.work import SweepState, work

try:
    import ray
    from ray.cluster_utils import Cluster
except ModuleNotFoundError:
    lacking("Ray is not installed: pip install 'edgebench[ray]'")


def ports() -> dict[str, int]:
    """Free ports for a node's agents: it dies where they do not choose some themselves within 15 s (ray#65983)."""
    names = ("metrics_agent_port", "runtime_env_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
    sockets = [socket.socket() for _ in names]
    for one in sockets:
        one.bind(("", 0))
    found = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    for one in sockets:
        one.close()
    return found


def patient(start: Callable[..., Any], **given: Any) -> Any:
    """Start a node; Ray gives one 30 s and no more, which is little on a machine that does much else."""
    for _ in range(4):
        try:
            return start(**given, **ports())
        except Exception as error:  # Ray raises no class of its own
            if "timed out during startup" not in str(error):
                raise
            last = error
    raise last


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A head that trains, and a function that adds a node which carries device:cpu."""
    made = Cluster()
    try:
        patient(made.add_node, num_cpus=1, include_dashboard=False)
        made.device = lambda: patient(made.add_node, num_cpus=1, resources={"device:cpu": 1})
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray's own, of its log files
def test_the_same_results_as_local_and_a_node_that_is_killed(nodes: Any, tmp_path: Path) -> None:
    here = sweeping.prepare(tmp_path / "local")
    there = sweeping.prepare(tmp_path / "ray")
    carrier = nodes.device()
    on_ray.connect(nodes.address)
    reports = cluster.report(ray, there, ["fake"])
    assert not cluster.lacking(reports, ["cpu"]) and sum(bool(node.devices) for node in reports) == 1
    assert cluster.lacking(reports, ["jetson_orin"])[0].startswith("no node carries device:jetson_orin")
    with pytest.raises(UsageError, match="no node of the cluster carries device:jetson_orin"):
        on_ray.sites(reports, ["jetson_orin"])
    (site,) = on_ray.sites(reports, [])
    steps = sweeping.steps(there, site)
    assert [step.identity for step in steps] == [step.identity for step in sweeping.steps(here)]

    killed: list[str] = []
    with Records(there) as kept:

        def kill_the_carrier(state: SweepState) -> None:
            """Once something is measured on it; a new node carries the device then."""
            at_work = [i for i, o in state.outcomes.items() if o.step.kind == "measure" and kept.phase(i)]
            if at_work and not killed:
                killed.extend(at_work)
                nodes.remove_node(carrier, allow_graceful=False)
                nodes.device()

        said: list[str] = []
        outcomes = work(steps, kept, on_ray.OnRay(kept, ray, reports, said.append), kill_the_carrier)
    assert {o.status for o in outcomes.values()} == {"ok"}, [o.message for o in outcomes.values()]
    assert {o.step.identity for o in outcomes.values() if o.attempts > 1} == set(killed) and len(said) == 1

    local = sweeping.sweep(Workspace(here.root))
    assert outcomes.keys() == local.keys()
    assert jobs(there) == jobs(here) and len(jobs(here)) == 3


def jobs(workspace: Workspace) -> list[tuple[str, str]]:
    """What was measured, each as (job, status), in no order."""
    found, problems = store.read_all(workspace.results)
    assert not problems
    return sorted((result.job.identity, result.status) for result in found if result.stop != "interrupted")
