"""When two results are of the same measurement: what must be equal, at each level of strictness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from edgebench.machine import scenario_registry
from edgebench.records.result import Result
from edgebench.specs import TensorSpec

# answers: what an accuracy depends on. repetition: the same artifact measured again; in tables the newest stands for
# all. name, meaning, exactly: any artifact of a model, ever stricter, to pair an old and a new result.
Closeness = Literal["answers", "repetition", "name", "meaning", "exactly"]


def measurement(result: Result, closeness: Closeness) -> dict[str, Any]:
    """What is equal in all results of the same measurement, by level. Known even if a measurement failed."""
    return {name: value for part in _PARTS[closeness] for name, value in part(result).items()}


def _artifact(result: Result) -> dict[str, Any]:
    return {"artifact": result.job.artifact}


def _names(result: Result) -> dict[str, Any]:
    """What a result is called by."""
    made = result.artifact
    return {
        "model": made.model.name, "format": made.format, "runtime": result.job.runtime, "scenario": result.job.scenario,
    }  # fmt: skip


def _shapes(result: Result) -> dict[str, Any]:
    """What a network takes and returns, without the batch: the job sets that, however an export writes it.

    Of an adopted model, the sizes that it was measured with.
    """
    made = result.artifact

    def told(tensors: Sequence[TensorSpec]) -> list[str]:
        return [f"{t.dtype} {' × '.join(map(str, t.shape[1:] if t.sizes is None else t.sizes))}" for t in tensors]

    return {"input": told(made.inputs), "output": told(made.outputs), "parameters": made.model.parameters}


def _place(result: Result) -> dict[str, Any]:
    job = result.job
    return {"device": job.device, "compute": job.compute, "precision": job.precision}


def _asked(result: Result) -> dict[str, Any]:
    """How it was asked for. A search is one measurement, wherever it ends; only the settings that were given count."""
    job = result.job
    free = [len({(point.batch, point.streams)[i] for point in result.search}) > 1 for i in (0, 1)]
    batch, streams = ("searched" if f else given for f, given in zip(free, (job.batch, job.streams), strict=True))
    return {**_place(result), "batch": batch, "streams": streams, "threads": job.threads}


def _evidence(result: Result) -> dict[str, Any]:
    return {"evidence": result.job.evidence}


def _emulation(result: Result) -> dict[str, Any]:
    return {"emulated": result.job.evidence == "emulated", "cores": result.job.cores}


def _scenario_options(result: Result) -> dict[str, Any]:
    """The options of its scenario."""
    return scenario_registry.asked_by(result.job)


def _scenario_request(result: Result) -> dict[str, Any]:
    """The options of its scenario, but not how long it ran."""
    job = result.job
    return {"rate_hz": job.rate_hz, "deadline_ms": job.deadline_ms, **job.own}


def _options(result: Result) -> dict[str, Any]:
    """What the runtime was given as it is, and what steered its libraries from outside."""
    environment = result.job.environment
    return {"options": result.job.options, **({"environment": environment} if environment else {})}


def _host(result: Result) -> dict[str, Any]:
    return {"host": result.host}


def _engine(result: Result) -> dict[str, Any]:
    return {"runtime": result.job.runtime}


def _scenario(result: Result) -> dict[str, Any]:
    return {"scenario": result.job.scenario}


_MEANING = (_names, _asked, _emulation, _scenario_options, _shapes)
_PARTS: dict[Closeness, Sequence[Callable[[Result], dict[str, Any]]]] = {
    "answers": (_artifact, _engine, _place),
    "repetition": (_artifact, _engine, _scenario, _evidence, _asked, _scenario_request, _options),
    "name": (_names,),
    "meaning": _MEANING,
    "exactly": (*_MEANING, _options, _host),
}
