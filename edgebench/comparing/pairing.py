"""Which results of two sets are about the same thing, and how a pair of them differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from edgebench.records import jsonio
from edgebench.records.result import Launch, Result
from edgebench.results.same import Closeness, measurement
from edgebench.specs import Artifact


def asked(result: Result) -> dict[str, Any]:
    """What the user means by a cell, apart from its name."""
    names = measurement(result, "name")
    return {name: value for name, value in measurement(result, "meaning").items() if name not in names}


def ran(result: Result) -> dict[str, Any]:
    """What must be equal as well, as reported by the runtime and the machine."""

    def seen(read: Callable[[Launch], Any]) -> Any:
        found = sorted({jsonio.dumps(read(launch)) for launch in result.launches})
        return found[0] if len(found) == 1 else ", ".join(found)

    machine = {
        f"machine's {name}": seen(lambda launch, name=name: launch.before.get(name))
        for name in ("board", "arch", "nvpmodel", "nvidia_cards")
    }
    cpu = {
        f"CPU {name}": seen(lambda launch, name=name: (launch.before.get("cpu") or {}).get(name))
        for name in ("model", "logical_cores", "governors", "turbo")
    }
    effective = {
        f"effective {name}": seen(lambda launch, name=name: getattr(launch.effective, name))
        for name in ("precision", "threads")
    }
    environment = {f"environment's {name}": value for name, value in result.job.environment.items()}
    return {"evidence": result.evidence, **effective, **machine, **cpu, **environment}


def free(result: Result) -> dict[str, Any]:
    """What may differ, because the comparison is about it; differences are listed."""
    job, launch = result.job, result.launches[0]
    libraries = launch.before.get("libraries") or {}
    points = {"searched batch": job.batch, "searched streams": job.streams} if result.search else {}
    return {
        "artifact": result.artifact.identity[:12], **_judged_on(result.artifact),
        "provider": launch.effective.provider,
        f"{job.runtime} (effective)": launch.effective.version,
        **{f"library {name}": version for name, version in libraries.items()}, "board": result.host or "this machine",
        **{f"option {name}": value for name, value in job.options.items()},
        **{name: launch.before.get(name) for name in ("os", "python", "nvidia_driver", "l4t")},
        "warmup_s": job.warmup_s, "duration_s": job.duration_s, **points,
        "measured": "by turns, in a race" if result.race else "alone",
    }  # fmt: skip


def _judged_on(made: Artifact) -> dict[str, Any]:
    """The images that its accuracy is of; of an adopted model, its inputs and whose answers count."""
    if made.adopted:
        return {"inputs": made.adopted.inputs, "reference": made.adopted.reference}
    data = made.training.data
    return {"dataset": data.dataset, "test images": data.test, "test split": data.test_sha256[:8] or None}


def differences(base: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Each key whose values differ, with both values."""

    def text(value: Any) -> str:
        return "unknown" if value in (None, "null") else str(value)

    keys = [*base, *(key for key in new if key not in base)]
    return [f"{key} {text(base.get(key))} → {text(new.get(key))}" for key in keys if base.get(key) != new.get(key)]


def _key(result: Result, closeness: Closeness) -> str:
    return jsonio.dumps(measurement(result, closeness))


def newest(side: Sequence[Result]) -> list[Result]:
    """The newest ok result of each cell; the newest of all for a cell without one."""
    found: dict[str, Result] = {}
    for result in sorted(side, key=lambda result: (result.status == "ok", result.created)):
        found[_key(result, "exactly")] = result
    return list(found.values())


def paired(base: list[Result], new: list[Result]) -> list[tuple[Result | None, Result | None]]:
    """Pair by ever looser keys, if a key leaves one candidate on each side; then list what has no partner.

    The second key lets a runtime's option change. Pairs that only the last key finds are unlike, and are refused by
    name.
    """
    pairs: list[tuple[Result | None, Result | None]] = []
    for closeness in ("exactly", "meaning", "name"):
        key = partial(_key, closeness=closeness)
        for value in {key(result): None for result in base}:
            left, right = ([r for r in side if key(r) == value] for side in (base, new))
            if len(left) == len(right) == 1:
                pairs.append((left[0], right[0]))
                base, new = ([r for r in side if key(r) != value] for side in (base, new))
    return [*pairs, *((left, None) for left in base), *((None, right) for right in new)]
