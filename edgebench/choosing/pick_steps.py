"""Builds the steps of a pick: a candidate's trial run, its longer trainings, and its final measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgebench.choosing.limits import highest_percentile
from edgebench.choosing.picked import Asked
from edgebench.measuring.options import RunOptions
from edgebench.records.beginning import Beginning
from edgebench.records.jobs import Policy
from edgebench.records.recipe import TrainConfig, absolute
from edgebench.records.result import Result
from edgebench.results import stats
from edgebench.specs import Precision
from edgebench.sweeping import build
from edgebench.sweeping.facts import Facts, key
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import Export, Measure, Step, Train

QUICK = RunOptions(duration_s=0.5, warmup_s=0.2, policy=Policy(launches=1, precision_target=0.0, max_seconds=10.0))
BRIEF_MIN = 5.0  # a shorter training on a CPU does not try mixed precision: where a CPU has none, that takes long
FINAL_S, FINAL_SHARE = 20.0, 1 / 60  # at most, and of the budget: for measuring a finalist on one runtime


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A training, the exports from it, and the evaluations and measurements of what the last one makes."""

    trained: Train
    exports: tuple[Export, ...]
    evaluations: tuple[Measure, ...] = ()
    measurements: tuple[Measure, ...]

    @property
    def steps(self) -> list[Step]:
        return [self.trained, *self.exports, *self.evaluations, *self.measurements]

    @property
    def runtimes(self) -> list[str]:
        return [step.runtime for step in self.measurements]

    def on(self, runtime: str) -> Chain:
        """The part of it that one runtime needs."""
        evaluations, measurements = (
            tuple(step for step in steps if step.runtime == runtime) for steps in (self.evaluations, self.measurements)
        )
        return replace(self, evaluations=evaluations, measurements=measurements)


class Steps:
    """Makes the steps of each candidate from what was asked and the facts that were looked up."""

    def __init__(self, asked: Asked, known: Facts, site: Site) -> None:
        self._asked, self._known, self._site = asked, known, site
        self._configs = {config.model: absolute(config) for config in asked.configs}

    @property
    def models(self) -> list[str]:
        return list(self._configs)

    def config(self, model: str) -> TrainConfig:
        return self._configs[model]

    def trial_training(self, model: str, epochs: int, subset: str | None) -> Train:
        """A short training, on a subset where one is named."""
        config = replace(self._configs[model], epochs=epochs)
        return build.train(replace(config, subset=subset) if subset else config, self._known)

    def training(self, model: str, minutes: float, most_epochs: int, image_size: int | None = None) -> Train:
        """A training that plans its own epochs; `image_size`: pixels a side, if not those of the recipe."""
        config = replace(self._configs[model], minutes=minutes, epochs=most_epochs)
        if minutes < BRIEF_MIN and self._site.compute == "cpu":
            config = replace(config, amp="none")
        return build.train(replace(config, image_size=image_size) if image_size else config, self._known)

    def began_with(self, model: str) -> Beginning:
        """The weights that were found for a candidate."""
        return self._known.beginnings[key(self._configs[model])]

    def probe(self, model: str, image_size: int | None) -> Train:
        """The probe of a candidate's frozen features, at so many pixels a side."""
        config = self._configs[model]
        config = replace(config, epochs=1, image_size=image_size or config.image_size)
        return build.train(config, self._known, probe=True)

    def trial(self, trained: Train) -> Chain:
        """The export of a short training or a probe, measured briefly on each runtime."""
        exports = self._exports(trained, "fp32")
        options = replace(QUICK, race=self._asked.race)
        measured = [build.measure(exports[-1], runtime, self._site, options) for runtime in self._asked.runtimes]
        return Chain(trained=trained, exports=exports, measurements=tuple(measured))

    @property
    def final_s(self) -> float:
        """Seconds of measuring a finalist on one runtime, at most."""
        return min(FINAL_S, self._asked.budget_s * FINAL_SHARE)

    def final(self, trained: Train, precision: Precision, medians_s: Mapping[str, float]) -> Chain:
        """A finalist's export, evaluated and measured. `medians_s`: by runtime, of its trial run; the fastest first."""
        exports, runtimes = self._exports(trained, precision), sorted(medians_s, key=lambda name: medians_s[name])
        share = max(0.99, highest_percentile(self._asked.limits) or 0.0)
        # long enough for p99, or for a higher percentile that has a limit
        enough_s = 1.15 * stats.min_samples(share) * max(medians_s.values()) / 2
        policy = Policy(precision_target=0.02, max_seconds=self.final_s)
        duration_s = round(min(max(0.5, enough_s), self.final_s / 2), 1)
        options = RunOptions(duration_s=duration_s, warmup_s=0.3, policy=policy, race=self._asked.race)
        return Chain(
            trained=trained, exports=exports,
            evaluations=tuple(build.evaluate(exports[-1], runtime, self._site, options) for runtime in runtimes),
            measurements=tuple(build.measure(exports[-1], runtime, self._site, options) for runtime in runtimes),
        )  # fmt: skip

    def longer(self, chain: Chain, results: Mapping[str, Result]) -> Chain:
        """The chain, with longer measurements if a percentile has a limit and too few requests were made for it.

        `results`: of the measurements that went well, by identity. Returns the same chain if none has to be longer.
        """
        if not (share := highest_percentile(self._asked.limits)):
            return chain
        measurements = tuple(_longer(step, results.get(step.identity), share) for step in chain.measurements)
        return chain if measurements == chain.measurements else replace(chain, measurements=measurements)

    def _exports(self, trained: Train, precision: Precision) -> tuple[Export, ...]:
        return tuple(build.export(trained, self._asked.target, precision, self._known, device=self._site.device))


def _longer(step: Measure, result: Result | None, share: float) -> Measure:
    summary = result.summary if result else None
    if summary is None or summary.n >= (needed := stats.min_samples(share)):
        return step
    seconds = round(1.5 * needed / summary.throughput_per_s, 1)
    policy = replace(step.options.policy, max_seconds=step.options.policy.max_seconds + seconds)
    return replace(step, options=replace(step.options, duration_s=seconds, policy=policy))
