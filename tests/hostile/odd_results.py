"""Results that a file may hold and no measurement makes: one value of a whole one is replaced, or its text is cut."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

from factories import make_adopted, make_artifact, make_job, make_launch, make_result, make_samples
from generated import places, replaced

from edgebench.records import jsonio
from edgebench.records.answers import ClassAccuracy, Evaluation
from edgebench.records.energy import Energy
from edgebench.records.race import Lag, Raced

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, -7, 2**31, 2**63, -(2**64), 10**400, 1e300, -1e300, 5e-324, 1e-9, 1e29, "", "x",
    "\ud800", "../x", "/etc/x", "a/b", "a\x00b", "\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "\u202eabc", "x" * 3000,
    "[bold]x[/]", "a|b", "=1+1", "9999-99-99", "2099-01-01T00:00:00.000000+00:00", "1970-01-01T00:00:00+00:00", [], {},
    [[]], [None], {"": None}, [1.0], [2.0, 1.0], [0.0, 0.0, 0.0], [1, 2, 3], {"cpu": 7}, {"cpu": {"model": []}},
    {"libraries": [1]}, {"nvidia_cards": 3}, {"a" * 300: {"b": {"c": [1, {"d": None}]}}},
)  # fmt: skip


@cache
def whole() -> tuple[dict[str, Any], ...]:
    """Results of all kinds, as JSON."""
    classes = tuple(ClassAccuracy(name=str(i), images=10, correct=i) for i in range(10))
    evaluated = Evaluation(
        images=100, accuracy=0.45, accuracy_ci95=(0.36, 0.55), torch_accuracy=0.45, torch_agreement=1.0, non_finite=0,
        classes=classes,
    )  # fmt: skip
    lag = Lag(job="1" * 64, ratio=1.2, low=1.1, high=1.3, standing="slower")
    raced = Raced(
        race="a", effects=(0.1, None, 0.2), settings=2, scatter=0.01, fastest=lag, next=lag, median_ns=10**6, rounds=3,
        disturbed=0,
    )  # fmt: skip
    energy = Energy(source="ina", scope="module", mean_power_mw=5000.0, gross_j=10.0, mj_per_inference=5.0)
    adopted = make_adopted("net")
    launches = [make_samples()] * 5
    before = {"cpu": {"model": "m", "logical_cores": 4}, "libraries": {"numpy": "2"}, "nvpmodel": "15W"}
    made = (
        make_result(samples=launches, evaluation=evaluated, race=raced, energy=energy, before=before),
        make_result(make_artifact(precision="int8"), samples=launches, host="orin"),
        make_result(adopted, job=make_job(adopted)),
        make_result(status="failed", message="it did not"),
        make_result(scenario="camera", rate_hz=30.0, deadline_ms=33.0),
        make_result(launches=(make_launch(),)),
    )
    return tuple(json.loads(jsonio.dumps(one)) for one in made)


def odd(random_: random.Random) -> str:
    """The text of a result that is not as any measurement writes it."""
    data = random_.choice(whole())
    for _ in range(random_.choice((1, 1, 1, 2, 5))):
        everywhere = places(data)
        path = random_.choice(everywhere)
        if path and random_.random() < 0.1 and isinstance(path[-1], str):
            data = replaced(data, path[:-1], _renamed(data, path))
        else:
            data = replaced(data, path, _close(data, path, random_))
    text = json.dumps(data, indent=1)
    if random_.random() < 0.05:
        text = text[: random_.randrange(len(text))]
    return text


def _close(data: Any, path: tuple[Any, ...], random_: random.Random) -> Any:
    """Another value for this place: one of VALUES, or the present one, changed."""
    for key in path:
        data = data[key]
    choices: list[Any] = [random_.choice(VALUES)] * 3
    if isinstance(data, (int, float)) and not isinstance(data, bool) and abs(data) < 1e300:
        choices += [-data, data * 10**6, data / 10**6, data + 1]
    if isinstance(data, list):
        choices += [data[:-1], data + data]
    return random_.choice(choices)


def _renamed(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        data = data[key]
    return {(f"{key}\x1b[1m" if key == path[-1] else key): item for key, item in data.items()}
