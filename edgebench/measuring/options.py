"""The options of a run, as the user gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgebench.errors import UsageError, unknown_name
from edgebench.machine import scenario_registry, stated
from edgebench.machine.power import PowerOptions
from edgebench.records import options
from edgebench.records.jobs import Conditions, Policy
from edgebench.records.options import option


@dataclass(frozen=True, kw_only=True)
class RunOptions(Conditions):
    """The conditions of a run, and what to measure, how often and with which meter.

    `rate_hz`, `deadline_ms`, `minutes` and those in `own` are options of single scenarios, which define them.
    """

    runtimes: tuple[str, ...] = option(
        (), "Only this runtime; may be given several times.  [default: all that can open the artifact]",
        flag="--runtime", metavar="NAME", names="runtimes",
    )  # fmt: skip
    minutes: float | None = None
    race: bool = option(
        True, "Measure several settings by turns, in a race that ends when their order is known (latency on the CPU).",
        later=True,
    )  # fmt: skip
    race_memory_mib: int | None = option(
        None, "What all processes of a race may hold together; settings beyond race in further heats.  "
        "[default: 70 % of the free memory]", flag="--race-memory", key="race_memory_mib", metavar="MiB", least=1,
        later=True,
    )  # fmt: skip
    runtime_options: dict[str, str] = option(
        dict, "Passed to the one --runtime as it is.", flag="--runtime-option", metavar="KEY=VALUE"
    )
    policy: Policy = field(default_factory=Policy)
    power: PowerOptions = field(default_factory=PowerOptions)

    def check(self) -> None:
        """Raise UsageError for options that cannot be run."""
        options.check(self)
        stated.check(self.runtimes, self.compute)
        if not (math.isfinite(self.warmup_s) and self.warmup_s >= 0):
            raise UsageError(f"--warmup is {self.warmup_s:g}", "give a number of seconds, 0 for none")
        scenario, own = scenario_registry.load(self.scenario), scenario_registry.own(self)
        options.check(own)
        if self.streams is not None and not scenario.crowded:
            crowded = [found.name for found in scenario_registry.installed() if found.crowded]
            raise UsageError(
                f"--streams has no meaning in the scenario {self.scenario}", f"--scenario {' or '.join(crowded)}"
            )
        self.policy.check()
        self.power.check()
        if self.runtime_options and len(self.runtimes) != 1:
            raise UsageError("--runtime-option needs exactly one runtime", "name it: --runtime NAME")
        stated.check(self.runtimes, options=self.runtime_options)
        if scenario.check:
            scenario.check(self, own)
        if self.time_limit_s is not None and self.time_limit_s <= self.measured_s:
            raise UsageError(
                f"--time-limit {self.time_limit_s:g} s leaves no room for {self.measured_s:g} s of measuring",
                f"give at least --time-limit {self.measured_s + 60:g}",
            )

    @property
    def measured_s(self) -> float:
        """How long one process measures, warm-up included, in seconds."""
        return self.warmup_s + scenario_registry.settled(self).get("duration_s", self.duration_s)


def asked(given: Mapping[str, Any], base: RunOptions | None = None) -> RunOptions:
    """The options from their values by key, as flags, arguments and TOML name them; the rest as in `base`.

    Raises UsageError for a key that is not an option of any scenario.
    """
    known, base = keys(), base or RunOptions()
    for key in given:
        if key not in known:
            raise unknown_name("option", key, known)
    shared = options.keys(RunOptions)
    rest = {key: value for key, value in given.items() if key not in shared and value is not None}
    return options.made(RunOptions, {**given, "own": base.own | rest} if rest else given, base)


def keys() -> dict[str, Any]:
    """The type of each option of a run, by key, including those of single scenarios."""
    own = {each.key: each.kind for each, _ in scenario_registry.own_options()}
    return own | options.keys(RunOptions)


def documented(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes the options of a run as arguments; a line on each is added to its docstring."""
    shared = [f"{each.key}: {each.help}" for each in options.options_of(RunOptions) if each.key != "runtimes"]
    own = [f"{each.key} ({', '.join(names)}): {each.help}" for each, names in scenario_registry.own_options()]
    lines = "".join(f"\n        {line}" for line in (*shared, *own))
    function.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n    Options:{lines}\n    "
    return function
