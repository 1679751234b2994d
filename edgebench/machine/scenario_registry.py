"""Scenarios by name: those installed, their options, and a stand-in for a scenario whose plug-in is not installed."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from edgebench.errors import EdgebenchError, Unsupported, UsageError, unknown_name
from edgebench.machine import registry
from edgebench.protocols import Scenario
from edgebench.records import options
from edgebench.records.jobs import Conditions, Job, Policy
from edgebench.records.result import Result

# The order in which help lists ours; those of plug-ins follow by name.
FIRST = ("latency", "throughput", "camera", "sustained", "single-stream", "multi-stream", "server", "offline")
# Options of scenarios that have a field in a job; all others are in its field `own`.
_SLOTS = {f.name for f in dataclasses.fields(Conditions) if not f.metadata}


def names() -> list[str]:
    """The registered names, whether or not they load."""
    return sorted(registry.names("scenarios"), key=lambda name: (name not in FIRST, (*FIRST, name).index(name), name))


def load(name: str) -> Scenario:
    """The scenario of that name. Raises UsageError if it is not installed, Unsupported if it does not load."""
    if name not in registry.names("scenarios"):
        raise unknown_name("scenario", name, timed())
    return _loaded(name)


@cache
def _loaded(name: str) -> Scenario:
    found = registry.load_object("scenarios", name)
    if not isinstance(found, Scenario) or found.name != name:
        raise Unsupported(
            f"the scenario {name} does not load: its entry point is not a Scenario of that name",
            "reinstall its library",
        )
    if taken := [each.flag for each in options.options_of(found.options) if each.key in _taken()]:
        raise Unsupported(
            f"the scenario {name} does not load: every run has an option {taken[0]} already",
            "give the option another name",
        )
    return found


@cache
def _taken() -> set[str]:
    """Names that a scenario cannot use for its own options, because every run has an option of that name."""
    from edgebench.machine.power import PowerOptions

    return {*options.keys(Conditions), *options.keys(Policy), *options.keys(PowerOptions), "runtimes"} - _SLOTS


@cache
def find(name: str) -> Scenario:
    """The scenario of that name; if it does not load, a stand-in that can show stored results but measures nothing."""
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
    """The options that belong to single scenarios, each with the names of the scenarios that have it."""
    found: dict[str, tuple[options.Option, list[str]]] = {}
    for scenario in installed():
        for each in options.options_of(scenario.options):
            found.setdefault(each.key, (each, []))[1].append(scenario.name)
    return list(found.values())


def own(asked: Conditions) -> Any:
    """The scenario's own options, with defaults for those that are not given.

    Raises UsageError for an option that only other scenarios have, or none.
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
    """The given values of options that only some scenarios have."""
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
    """By key, the values of the scenario's own options for a job, also if the scenario's plug-in is not installed."""
    scenario = find(job.scenario)
    if scenario.asked_by:
        return scenario.asked_by(job)
    return {key: value for key in sorted(_SLOTS) if (value := getattr(job, key)) is not None} | job.own


def objections(result: Result) -> tuple[str, ...]:
    """Why a result that is ok cannot be trusted, a line for each reason; empty if it can."""
    told = find(result.job.scenario).objections
    return told(result) if told else ()
