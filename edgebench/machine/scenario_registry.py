"""Scenarios by name: those that are installed, their options, and a stand-in for one whose plug-in is not."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from edgebench.errors import EdgebenchError, Unsupported, UsageError, unknown_name
from edgebench.machine import registry
from edgebench.machine.power import PowerOptions
from edgebench.protocols import Scenario
from edgebench.records import options
from edgebench.records.jobs import Conditions, Job, Policy
from edgebench.records.result import Result

# The order in which help lists ours; those of plug-ins follow by name.
FIRST = ("latency", "throughput", "camera", "sustained", "single-stream", "multi-stream", "server", "offline")
# The options of scenarios that have a field of their own in a job; any other stands in `own`.
_SLOTS = {f.name for f in dataclasses.fields(Conditions) if not f.metadata}
# What a scenario cannot call an option of its own, since every run has one of that name.
_TAKEN = {*options.keys(Conditions), *options.keys(Policy), *options.keys(PowerOptions), "runtimes"} - _SLOTS


def names() -> list[str]:
    """The registered names, whether or not they load."""
    return sorted(registry.names("scenarios"), key=lambda name: (name not in FIRST, (*FIRST, name).index(name), name))


def load(name: str) -> Scenario:
    """The scenario of that name. Raises UsageError for one that is not installed, Unsupported if it does not load."""
    if name not in registry.names("scenarios"):
        raise unknown_name("scenario", name, timed())
    return _loaded(name)


@cache
def _loaded(name: str) -> Scenario:
    found = registry.load_object("scenarios", name)
    if not isinstance(found, Scenario) or found.name != name:
        raise Unsupported(
            f"the scenario {name} does not load: its entry point is no Scenario of that name", "reinstall its library"
        )
    if taken := [each.flag for each in options.options_of(found.options) if each.key in _TAKEN]:
        raise Unsupported(
            f"the scenario {name} does not load: its option {taken[0]} is one of every run", "it needs another name"
        )
    return found


@cache
def find(name: str) -> Scenario:
    """The scenario of that name; where it cannot be had, one that knows what any result tells."""
    try:
        return load(name)
    except EdgebenchError:
        return Scenario(name=name, help="", perform=_missing)


def _missing(*given: Any) -> Any:
    raise NotImplementedError("load() tells the user that a scenario is missing")


@cache
def installed() -> tuple[Scenario, ...]:
    """All that load, in the order of `names`."""
    return tuple(found for found in map(find, names()) if found.perform is not _missing)


def timed() -> list[str]:
    """The names of what `edgebench run` can be asked for."""
    return [name for name in names() if find(name).timed]


def own_options() -> list[tuple[options.Option, list[str]]]:
    """The options that scenarios have of their own, and the scenarios that have each."""
    found: dict[str, tuple[options.Option, list[str]]] = {}
    for scenario in installed():
        for each in options.options_of(scenario.options):
            found.setdefault(each.key, (each, []))[1].append(scenario.name)
    return list(found.values())


def own(asked: Conditions) -> Any:
    """The scenario's own options as they are asked for, as by default where they are not.

    Raises UsageError for one that another scenario has, or none.
    """
    scenario = load(asked.scenario)
    known = {each.key for each in options.options_of(scenario.options)}
    given = _given(asked)
    for key in given:
        if key not in known:
            having = {each.key: (each.flag, where) for each, where in own_options()}
            if key not in having:
                raise unknown_name("option", key, {*having, *options.keys(type(asked))})
            flag, where = having[key]
            raise UsageError(
                f"{flag} has no meaning in the scenario {scenario.name}", f"--scenario {' or '.join(where)}"
            )
    return options.made(scenario.options, given)


def _given(asked: Conditions) -> dict[str, Any]:
    """What is given of options that only some scenarios have."""
    fields = {f.name for f in dataclasses.fields(asked)} & {each.key for each, _ in own_options()}
    told = {key: getattr(asked, key) for key in fields} | asked.own
    return {key: value for key, value in told.items() if value is not None}


def settled(asked: Conditions) -> dict[str, Any]:
    """The fields of a job that the scenario's own options decide."""
    scenario, given = load(asked.scenario), own(asked)
    if scenario.settle:
        return scenario.settle(asked, given)
    values = {each.key: getattr(given, each.field) for each in options.options_of(scenario.options)}
    fields = {key: value for key, value in values.items() if key in _SLOTS}
    rest = {key: value for key, value in values.items() if key not in _SLOTS}
    return {**fields, "own": rest} if rest else fields


def asked_by(job: Job) -> dict[str, Any]:
    """By key, the values of the scenario's own options that made a job; also of one whose plug-in is not here."""
    scenario = find(job.scenario)
    if scenario.asked_by:
        return scenario.asked_by(job)
    return {key: value for key in sorted(_SLOTS) if (value := getattr(job, key)) is not None} | job.own


def objections(result: Result) -> tuple[str, ...]:
    """A line each on why a result that is ok is not to be trusted; none where it is."""
    told = find(result.job.scenario).objections
    return told(result) if told else ()
