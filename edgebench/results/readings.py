"""How the figures of a row are read from a result; what was not measured is None."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from edgebench.records.energy import Energy
from edgebench.records.result import Result
from edgebench.specs import Layers

NO_ENERGY = Energy()  # of a result from before there were meters, or of a failure


def latency_ms(result: Result, of_summary: str, of_loadgen: str) -> float | None:
    """A percentile of the latency: of all launches, or what LoadGen tells."""
    if result.summary:
        return ms(getattr(result.summary, of_summary))
    return ms(_told(result).get(of_loadgen))


def median_end_ms(result: Result, end: int) -> float | None:
    """The lower (0) or upper (1) end of the median's 95 % interval over launches."""
    interval = result.summary and result.summary.median_ci95_ns
    return ms(interval[end]) if interval else None


def half_width(result: Result) -> float | None:
    from edgebench.results import stats  # with numpy, which the options of `select` do without

    return result.summary and stats.half_width(result.summary)


def throughput(result: Result) -> float | None:
    """Images a second. LoadGen's: of offline, of server, of single-stream; it gives none for multi-stream."""
    if result.summary:
        return result.summary.throughput_per_s
    names = ("samples_per_s", "completed_samples_per_s", "queries_per_s")
    return next((_told(result)[name] for name in names if name in _told(result)), None)


def requests(result: Result) -> int:
    told = _told(result)
    return result.summary.n if result.summary else int(told.get("queries", told.get("samples", 0)))


def camera(result: Result, name: str) -> Any:
    seen = result.summary.camera if result.summary else None
    return seen and getattr(seen, name)


def verdict(result: Result) -> str:
    if result.loadgen:
        return result.loadgen.word
    return result.summary.sustained.verdict if result.summary and result.summary.sustained else ""


def message(result: Result) -> str:
    """What went wrong; else what LoadGen found unsatisfied and what to do, whose advice in full is in the result."""
    if result.message or result.loadgen is None or result.loadgen.valid:
        return result.message
    unmet = (why for why in result.loadgen.reasons if why.endswith(": NO"))
    return "; ".join([*unmet, result.loadgen.hint])


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


def _told(result: Result) -> dict[str, float]:
    """LoadGen's figures."""
    return result.loadgen.figures if result.loadgen else {}
