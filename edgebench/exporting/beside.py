"""Runs an artifact of lower precision and its fp32 source by turns, on each runtime here that opens both."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from edgebench.errors import EdgebenchError
from edgebench.machine import locks, registry
from edgebench.machine.device import available_cores
from edgebench.machine.fingerprint import fingerprint
from edgebench.measuring import alternating
from edgebench.records import replacing
from edgebench.records.batches import only_batch
from edgebench.records.beside import BesideFp32, cpu_kind
from edgebench.records.declared import as_ratio
from edgebench.records.jobs import Job
from edgebench.results import stats
from edgebench.specs import Artifact

PAIRS = 21  # of bursts: the interval of their ratio's median then leaves out five on each side
MOST_S = 10.0  # on one runtime, if the bursts of a large network take longer
WARMUP_S = 0.2


def measure(made: Artifact, source: Artifact, tell: Callable[[str], None]) -> tuple[BesideFp32, ...]:
    """How fast `made` is beside `source` on the CPU, by runtime. A runtime that does not run both is left out.

    The two run in short bursts by turns, so that what else the machine does slows both alike.
    """
    found = []
    for name, stated in registry.all_facts("runtimes").items():
        if stated.only_by_name or not {made.format, source.format} <= stated.accepts:
            continue
        try:
            with locks.device_to_ourselves(lambda: tell(locks.waiting())):
                tell(f"its speed beside {source.precision} on {name}")
                found.append(_on(name, made, source))
        except EdgebenchError:  # not installed, or it cannot run one of them: `edgebench run` says why
            continue
    return tuple(found)


def _on(runtime: str, made: Artifact, source: Artifact) -> BesideFp32:
    with replacing.scratch() as scratch:
        sides = [
            alternating.contestant(_job(runtime, artifact), artifact, Path(scratch), verify=False)
            for artifact in (source, made)
        ]
        with alternating.both(*sides) as (base, new):
            end, turns = time.monotonic() + MOST_S, iter(range(PAIRS - alternating.FEWEST))
            over = lambda: next(turns, None) is None or time.monotonic() > end  # noqa: E731
            bursts = alternating.alternate(base, new, until=over)
    ratio, low, high = map(as_ratio, stats.median_ratio(*bursts))
    return BesideFp32(runtime=runtime, cpu=cpu_kind(fingerprint()), ratio=ratio, low=low, high=high)


def _job(runtime: str, artifact: Artifact) -> Job:
    cores = available_cores()
    return Job(
        artifact=artifact.identity, runtime=runtime, device="", compute="cpu", scenario="latency",
        precision=artifact.precision, batch=only_batch(artifact) or 1,
        threads=min(cores, psutil.cpu_count(logical=False) or cores), warmup_s=WARMUP_S,
    )  # fmt: skip
