"""How the figures of a row are read from a result; what was not measured is None."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from edgebench.machine.scenario_registry import find
from edgebench.records.energy import Energy
from edgebench.records.result import Result
from edgebench.specs import Layers

NO_ENERGY = Energy()  # of a result from before there were meters, or of a failure


def figure(result: Result, name: str) -> float | None:
    """A figure of all launches; where there is none, such as of LoadGen's runs, what the scenario tells instead."""
    if result.summary:
        return getattr(result.summary, name)
    told = find(result.job.scenario).figures
    return told(result).get(name) if told else None


def latency_ms(result: Result, name: str) -> float | None:
    return ms(figure(result, name))


def median_end_ms(result: Result, end: int) -> float | None:
    """The lower (0) or upper (1) end of the median's 95 % interval over launches."""
    interval = result.summary and result.summary.median_ci95_ns
    return ms(interval[end]) if interval else None


def half_width(result: Result) -> float | None:
    from edgebench.results import stats  # with numpy, which the options of `select` do without

    return result.summary and stats.half_width(result.summary)


def requests(result: Result) -> int:
    return int(figure(result, "n") or 0)


def camera(result: Result, name: str) -> Any:
    seen = result.summary.camera if result.summary else None
    return seen and getattr(seen, name)


def verdict(result: Result) -> str:
    told = find(result.job.scenario).verdict
    return told(result) if told else ""


def message(result: Result) -> str:
    """What went wrong, or why what went well is not to be trusted; an advice in full is in the result."""
    told = find(result.job.scenario).objection
    return result.message or (told(result) if told else "")


def evaluated(result: Result, name: str) -> Any:
    """What an evaluation over the whole test split found, where one came through."""
    return getattr(result.evaluation, name) if result.status == "ok" and result.evaluation else None


def accuracy_end(result: Result, end: int) -> float | None:
    """The lower (0) or upper (1) end of the accuracy's 95 % interval."""
    interval = evaluated(result, "accuracy_ci95")
    return interval and interval[end]


def energy(result: Result) -> Energy:
    return result.energy or NO_ENERGY


def metered(result: Result, name: str, without: Any) -> Any:
    """What the meter says of itself, where it gave a figure."""
    found = energy(result)
    return without if found.mean_power_mw is None else getattr(found, name)


def gpu_memory(result: Result) -> int | None:
    peaks = [launch.memory.gpu_bytes for launch in result.launches if launch.memory.gpu_bytes is not None]
    return max(peaks, default=None)


def effective(result: Result, name: str, without: Any) -> Any:
    """What ran, as the runtime read it back."""
    return getattr(result.effective, name) if result.effective else without


def layer_shares(layers: Sequence[Layers]) -> tuple[tuple[str, float], ...]:
    """In what share of its layers a network computes in which precision, the largest first."""
    counts: Counter[str] = Counter()
    for some in layers:
        counts[some.precision] += some.count if some.precision else 0
    total = counts.total()
    return tuple((name, count / total) for name, count in counts.most_common() if count)


def machine(result: Result) -> tuple[str, ...]:
    """What the fingerprint says of where something ran, as far as it makes times comparable; empty if nothing."""
    before = before_first(result)
    cpu = before.get("cpu") or {}
    cores = cpu.get("logical_cores")
    cards = before.get("nvidia_cards") or []
    parts = [before.get("board"), cpu.get("model"), cores and f"{cores} cores", before.get("arch"), *cards, result.host]
    return tuple(str(part) for part in parts if part)


def before_first(result: Result) -> dict[str, Any]:
    """The fingerprint before the first launch."""
    return result.launches[0].before if result.launches else {}


def watts(milliwatts: float | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def mib(count: int | None) -> float | None:
    return None if count is None else count / 2**20
