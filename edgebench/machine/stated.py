"""Refuses what no runtime takes, by what runtimes state about themselves: before a library is loaded or a file read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgebench.errors import UsageError, unknown_name
from edgebench.machine import registry
from edgebench.machine.device import load_profile


def check(
    runtimes: Sequence[str] = (), compute: str | None = None, options: Mapping[str, str] | None = None,
    device: str | None = None,
) -> None:  # fmt: skip
    """Raise UsageError for a runtime or a device that nobody knows, or a compute or an option that none of these takes.

    Without names, all runtimes are meant. A runtime that states nothing may take anything.
    """
    if device:
        load_profile(device)
    names = [registry.canonical("runtimes", name) for name in runtimes]
    if compute:
        _check_compute(names, compute)
    for name in names:
        _check_options(name, options or {})


def _check_compute(names: Sequence[str], compute: str) -> None:
    stated = registry.all_facts("runtimes")
    every = _able(stated, list(stated))
    if every is not None and compute not in every:
        raise unknown_name("compute", compute, every)
    able = _able(stated, names or list(stated))
    if able is not None and compute not in able:
        others = [name for name, facts in stated.items() if facts.on and compute in facts.on and not facts.only_by_name]
        fix = f"--compute {' or '.join(able)}"
        if others:
            fix += f"; or for {compute} --runtime {' or '.join(others)}"
        raise UsageError(f"{' or '.join(names)} does not run on {compute}", fix)


def _able(stated: Mapping[str, Any], names: Sequence[str]) -> list[str] | None:
    """What these compute on, those of the first one first; None if one of them does not say."""
    if any(stated[name].on is None for name in names):
        return None
    return list(dict.fromkeys(compute for name in names for compute in stated[name].on))


def _check_options(name: str, given: Mapping[str, str]) -> None:
    takes = registry.facts("runtimes", name).takes
    if takes is None:
        return
    for key, value in given.items():
        prefix = f"{key.partition('.')[0]}."
        if key not in takes and not (prefix in takes and key != prefix):
            if not takes:
                raise UsageError(f"{name} has no option {key!r}", "drop it: it has none")
            raise unknown_name(f"option of {name}", key, [one for one in takes if not one.endswith(".")])
        if (values := takes.get(key)) and value not in values:
            raise UsageError(f"{name}'s option {key} is {value!r}", f"{key}={' or '.join(values)}")
