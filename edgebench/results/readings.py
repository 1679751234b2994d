"""How the figures of a row are read from a result. What was not measured is None."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from edgebench.results import context

if TYPE_CHECKING:  # a cached report needs none of these, and they take longer to import than it takes to read the cache
    from edgebench.protocols import Scenario
    from edgebench.records.answers import ClassAccuracy
    from edgebench.records.energy import Energy
    from edgebench.records.result import Result
    from edgebench.specs import Layers, Training


def _scenario(result: Result) -> Scenario:
    from edgebench.machine.scenario_registry import find

    return find(result.job.scenario)


@cache
def _no_energy() -> Energy:
    """Of a result written before there were meters, or of a failure."""
    from edgebench.records.energy import Energy

    return Energy()


def figure(result: Result, name: str) -> float | None:
    """A figure over all launches; if there is none, as with LoadGen's runs, the one that the scenario gives instead."""
    if result.summary:
        return getattr(result.summary, name)
    told = _scenario(result).figures
    return told(result).get(name) if told else None


def latency_ms(result: Result, name: str) -> float | None:
    return ms(figure(result, name))


def median_end_ms(result: Result, end: int) -> float | None:
    """The lower (0) or upper (1) end of the median's 95 % interval over launches."""
    interval = result.summary and result.summary.median_ci95_ns
    return ms(interval[end]) if interval else None


def half_width(result: Result) -> float | None:
    from edgebench.results import stats  # it needs numpy, which the options of `select` do without

    return result.summary and stats.half_width(result.summary)


def raced(result: Result, name: str, default: Any = None) -> Any:
    """What is known of its part in a race."""
    return getattr(result.race, name) if result.race else default


def beside_fastest(result: Result, name: str) -> Any:
    """What is known of it beside the fastest setting of its race; the fastest is 1 × itself."""
    if result.race is None:
        return None
    if result.race.fastest is None:
        return {"ratio": 1.0, "standing": "fastest"}.get(name)
    return getattr(result.race.fastest, name)


def requests(result: Result) -> int:
    return int(figure(result, "n") or 0)


def camera(result: Result, name: str) -> Any:
    seen = result.summary.camera if result.summary else None
    return seen and getattr(seen, name)


def verdict(result: Result) -> str:
    told = _scenario(result).verdict
    return told(result) if told else ""


def message(result: Result) -> str:
    """What went wrong, or why a result that is ok is not to be trusted. The result has the advice in full."""
    told = _scenario(result).objection
    return result.message or (told(result) if told else "")


def evaluated(result: Result, name: str) -> Any:
    """What an evaluation over the whole test split found, if one succeeded."""
    return getattr(result.evaluation, name) if result.status == "ok" and result.evaluation else None


def in_context(result: Result, name: str) -> Any:
    """A figure of the context of the artifact's accuracy, or of the checkpoint's where it has none of its own."""
    return _figure(evaluated(result, "classes") or trained(result, lambda made: made.test_classes), name)


def deployed(result: Result, name: str) -> Any:
    """A figure of the context of the artifact's own accuracy."""
    return _figure(evaluated(result, "classes"), name)


def lowest(result: Result, name: str) -> Any:
    """What is known of the class with the lowest recall."""
    worst = deployed(result, "worst")
    return worst and getattr(worst, name)


def class_counts(result: Result) -> tuple[tuple[str, int, int], ...]:
    """Each class with its test images, and how many of them the artifact has right."""
    return tuple((each.name, each.images, each.correct) for each in evaluated(result, "classes") or ())


def trained(result: Result, read: Callable[[Training], Any], without: Any = None) -> Any:
    """What is known of the training that made the model; an adopted one has none."""
    training = result.artifact.training
    return without if training is None else read(training)


def split(result: Result) -> context.TestSplit:
    """The test images that its accuracy is of. An adopted model has those that it was judged by; where it was not, it
    has none, and compares with no other by accuracy."""
    training, found = result.artifact.training, result.evaluation
    if training is not None:
        return context.split_of(training.data)
    if result.status == "ok" and found and found.test:
        return context.TestSplit(dataset=found.test.dataset, images=found.images, sha256=found.test.sha256)
    return context.no_split(result.artifact.model.name)


def loss(result: Result, name: str) -> float | None:
    """What is known of the accuracy that the precision of its artifact costs."""
    return getattr(result.artifact.judged, name) if result.artifact.judged else None


def judged(result: Result) -> str:
    """What the precision costs in accuracy at most, with the runtime if it is another; empty for fp32."""
    artifact = result.artifact
    if artifact.precision == "fp32" or not artifact.source:
        return ""
    if artifact.judged is None:
        return "not judged"
    elsewhere = f" ({artifact.judged.runtime})" if artifact.judged.runtime != result.job.runtime else ""
    return f"{artifact.judged.told}{elsewhere}"


def score(result: Result) -> str:
    """What a user's function made of the answers: "f1 0.912, recall 0.87 on 40 pictures of photos"."""
    found = result.score if result.status == "ok" else None
    if found is None:
        return ""
    figures = ", ".join(f"{name} {value:.4g}" for name, value in found.figures.items())
    return f"{figures} on {found.images:,} pictures of {found.test.dataset}"


def input_size(result: Result) -> str:
    """The size of the first input without the batch: "32 px" of square pictures, else "3 × 240 × 320"."""
    made = result.artifact
    if made.preprocessing is not None and made.preprocessing.height == made.preprocessing.width:
        return f"{made.preprocessing.height} px"
    sizes = [f"{' × '.join(map(str, (each.sizes or each.shape)[1:]))}" for each in made.inputs[:1]]
    return sizes[0] if sizes else ""


def trained_for(result: Result) -> str:
    """How long a checkpoint was trained, which tells a trial: "3 epochs", or "probe" where only a head was fitted."""
    training = result.artifact.training
    if training is None:
        return ""
    epochs = training.config.epochs
    return "probe" if training.frozen else f"{epochs} epoch{'s' * (epochs != 1)}" if epochs else ""


def settings(result: Result) -> tuple[str, ...]:
    """What its runtime was given as it is, and what steered its libraries from outside: "inter_op_threads=2"."""
    job = result.job
    return tuple(f"{name}={value}" for name, value in sorted((job.options | job.environment).items()))


def adopted(result: Result) -> str:
    """Of an adopted model: where its inputs come from, and whose answers count. Empty for one of ours."""
    return result.artifact.adopted.told if result.artifact.adopted else ""


def _figure(classes: Sequence[ClassAccuracy] | None, name: str) -> Any:
    found = context.of(classes) if classes else None
    return found and getattr(found, name)


def beside_floor(result: Result, name: str) -> Any:
    """What is known of the checkpoint beside its floor; None if it has none."""
    floor = trained(result, lambda made: made.floor)
    return getattr(floor.beside, name) if floor and floor.beside else None


def accuracy_end(result: Result, end: int) -> float | None:
    """The lower (0) or upper (1) end of the accuracy's 95 % interval."""
    interval = evaluated(result, "accuracy_ci95")
    return interval and interval[end]


def energy(result: Result) -> Energy:
    return result.energy or _no_energy()


def metered(result: Result, name: str, without: Any) -> Any:
    """What the meter reports of itself, if it gave a figure."""
    found = energy(result)
    return without if found.mean_power_mw is None else getattr(found, name)


def gpu_memory(result: Result) -> int | None:
    peaks = [launch.memory.gpu_bytes for launch in result.launches if launch.memory.gpu_bytes is not None]
    return max(peaks, default=None)


def of_launches(result: Result, name: str) -> float | None:
    """The median over the launches of what each has once, such as the time to load."""
    known = [value for launch in result.launches if (value := getattr(launch, name)) is not None]
    return statistics.median(known) if known and result.status == "ok" else None


def effective(result: Result, name: str, without: Any) -> Any:
    """What ran, as the runtime reported it."""
    return getattr(result.effective, name) if result.effective else without


def layer_shares(layers: Sequence[Layers]) -> tuple[tuple[str, float], ...]:
    """The share of a network's layers that computes in each precision, largest first."""
    counts: Counter[str] = Counter()
    for some in layers:
        counts[some.precision] += some.count if some.precision else 0
    total = counts.total()
    return tuple((name, count / total) for name, count in counts.most_common() if count)


def machine(result: Result) -> tuple[str, ...]:
    """What the fingerprint tells of the machine, as far as times depend on it; empty if nothing."""
    before = before_first(result)
    cpu = before.get("cpu") or {}
    cores = cpu.get("logical_cores")
    cards = before.get("nvidia_cards") or []
    parts = [before.get("board"), cpu.get("model"), cores and f"{cores} cores", before.get("arch"), *cards, result.host]
    return tuple(str(part) for part in parts if part)


def before_first(result: Result) -> dict[str, Any]:
    """The fingerprint before the first launch."""
    return result.launches[0].before if result.launches else {}


def billions(count: int | None) -> float | None:
    return None if count is None else count / 1e9


def watts(milliwatts: float | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def seconds(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9


def mib(count: int | None) -> float | None:
    return None if count is None else count / 2**20
