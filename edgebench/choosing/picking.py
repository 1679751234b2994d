"""From a folder of images to what to deploy, inside a time budget.

1. A look at each candidate: a short training, the export, a brief measurement. What is beyond a limit by far on every
   runtime, whatever it would learn, is out.
2. Successive halving (halving.py) by the error on the validation images: the best few are trained for as long as the
   budget allows, less what the end takes.
3. Each of these is exported, evaluated and measured on each runtime, the most accurate first; then `selecting.select`.

Every step is a sweep's: it is done once, and a killed pick goes on where it was. How long trainings are is decided from
what the looks took, and kept in WORKSPACE/pick: the same command comes to the same steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edgebench.choosing import halving
from edgebench.choosing.picked import Asked, Picked, Progress
from edgebench.choosing.selecting import select
from edgebench.errors import EdgebenchError
from edgebench.measuring.running import RunOptions
from edgebench.records import digests, jsonio
from edgebench.records.jobs import Policy
from edgebench.records.limits import Limits
from edgebench.records.recipe import absolute
from edgebench.results import stats
from edgebench.results.rows import rows
from edgebench.specs import Precision
from edgebench.sweeping import build
from edgebench.sweeping.facts import Facts
from edgebench.sweeping.records import Records
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import Outcome, Step, Train
from edgebench.sweeping.this_machine import Local, slots
from edgebench.sweeping.work import Engine, State, settled, work

MODELS = ("mobilenetv3_small_050", "mobilenetv4", "efficientvit", "resnet18")
LOOK_EPOCHS = 3
LOOK_IMAGES = 3000
LOOKS_SHARE = 0.45  # of the budget; who was not looked at by then is left out
MOST_EPOCHS = 100
PART = 0.75  # of the time that there is for a training is planned for: it may go slower than the look did
FAR = 1.3  # times a limit, at which a brief measurement is enough to give up on a candidate
QUICK = RunOptions(duration_s=0.5, warmup_s=0.2, policy=Policy(launches=1, precision_target=0.0, max_seconds=10.0))
FINAL_S = 20.0  # of measuring a finalist on one runtime
SAVE_S = 5.0


class OutOfTime(Exception):
    """The time that a step was given is over: what there is by then is what is chosen from."""


class Pick:
    """One pick under way. `tell` hears a sentence now and then, `show` what is being done and the seconds left."""

    def __init__(
        self, asked: Asked, known: Facts, site: Site, kept: Records, *, images: int,
        tell: Callable[[str], None] = lambda sentence: None,
        show: Callable[[str, float], None] = lambda what, left: None,
        engine: Callable[[Records, Sequence[Step]], Engine] = lambda kept, steps: Local(kept, slots(steps)),
        began: float | None = None,
    ) -> None:  # fmt: skip
        self.asked, self.known, self.site, self.kept = asked, known, site, kept
        self.tell, self.show, self.engine = tell, show, engine
        self.configs = {config.model: absolute(config) for config in asked.configs}
        name = digests.of_data(asked)[:16]
        self.file = kept.workspace.root / "pick" / f"{name}.json"
        self.progress = jsonio.read_if_good(Progress, self.file) or Progress()
        self.began = (time.monotonic() if began is None else began) - self.progress.seconds
        self.saved = time.monotonic()
        self.images = images
        self.left_out: dict[str, str] = {}
        self.best: dict[str, tuple[float, Outcome]] = {}  # by model: the least validation error, and its training
        self.looks: dict[str, list[Outcome]] = {}  # by model: the brief measurements
        self.tail_s: dict[str, float] = {}  # by model: what its export and final measurements take
        self.trained = 0  # finalists in the last round

    @property
    def left_s(self) -> float:
        return self.asked.budget_s - (time.monotonic() - self.began)

    def decide(self) -> Picked:
        """Do all of it. Raises EdgebenchError if nothing came of any candidate."""
        order = list(halving.halve(list(self.configs), self._look))
        finished = self._finish(order)
        # What has no final measurement is judged by its look: it breaks a limit, or has an accuracy nobody knows.
        seen = [o for model, found in self.looks.items() if model not in finished for o in found]
        outcomes = [*(o for found in finished.values() for o in found), *seen]
        pairs = [(self.kept.result(o), self.kept.workspace.root / o.path) for o in outcomes if o.path]
        if not any(result.status == "ok" for result, _ in pairs):
            reasons = "; ".join(f"{model}: {why}" for model, why in self.left_out.items())
            raise EdgebenchError(
                f"no candidate could be trained, exported and measured: {reasons}", "a longer --budget"
            )
        found, files = zip(*pairs, strict=True)
        decision = select(rows(found), self.asked.limits, device=self.site.device, prefer=self.asked.prefer)
        self._save()
        return Picked(decision, found, files, self.left_out, time.monotonic() - self.began)

    def _do(self, steps: Sequence[Step], until_s: float) -> dict[str, Outcome]:
        """Do the steps while more than `until_s` of the budget is left. Raises OutOfTime; what is done is kept."""

        def on_change(state: State) -> None:
            running = [o for o in state.outcomes.values() if o.status == "running"]
            for outcome in running[:1]:
                phase = self.kept.phase(outcome.step.identity)
                self.show(f"{outcome.step.title}{f': {phase}' if phase else ''}", self.left_s)
            if time.monotonic() - self.saved > SAVE_S:
                self._save()
            if running and self.left_s < until_s:
                raise OutOfTime

        return work(steps, self.kept, self.engine(self.kept, steps), on_change)

    def _save(self) -> None:
        self.saved = time.monotonic()
        self.progress = replace(self.progress, seconds=round(self.saved - self.began, 1))
        jsonio.write(self.file, self.progress)

    def _train(self, model: str, epochs: int, subset: str | None = None) -> Train:
        config = replace(self.configs[model], epochs=epochs)
        return build.train(replace(config, subset=subset) if subset else config, self.known)

    def _look(self, model: str, number: int) -> float | None:
        """The validation error of a candidate after this round of halving; None puts it out."""
        if number == 0:
            return self._first_look(model)
        error, before = self.best[model]
        training = self.kept.artifact(before, verify=False).training
        epoch_s = training.seconds / max(1, training.config.epochs) * self._all_images() / training.data.train
        start_s = max(0.0, (before.seconds or 0.0) - training.seconds)
        room = 1 if number < halving.LAST else max(1, min(halving.FINALISTS, len(self.best)) - self.trained)
        self.trained += number == halving.LAST
        free = self.left_s - self._tail()
        share = free * (0.3 / len(self.best) if number < halving.LAST else 1 / room)
        key = f"{model} {number}"
        if key not in self.progress.epochs:
            epochs = int((share * PART - start_s) / max(epoch_s, 1e-3))
            most = LOOK_EPOCHS * 3 if number < halving.LAST else MOST_EPOCHS
            self.progress = replace(self.progress, epochs=self.progress.epochs | {key: min(most, epochs)})
            self._save()
        epochs = self.progress.epochs[key]
        if epochs <= training.config.epochs:
            self.tell(f"{model}: no time for a longer training")
            return error
        step = self._train(model, epochs)
        try:
            done = self._do([step], self.left_s - share)[step.identity]
        except OutOfTime:
            self.tell(f"{model}: {epochs} epochs took longer than there is time for: its shorter training stands")
            return error
        return self._judged(model, done, f"{epochs} epochs") if done.status == "ok" else error

    def _first_look(self, model: str) -> float | None:
        over = self.asked.budget_s * (1 - LOOKS_SHARE) if self.best else 0.0  # one there has to be
        subset = self.configs[model].subset
        few = str(LOOK_IMAGES) if subset == "full" and self.images * 0.6 > LOOK_IMAGES else None
        step = self._train(model, LOOK_EPOCHS, few)
        *before, exported = build.export(step, self.asked.target, "fp32", self.known)
        measures = [build.measure(exported, runtime, self.site, QUICK) for runtime in self.asked.runtimes]
        steps, began = [step, *before, exported, *measures], time.monotonic()
        if self.left_s < over and len(settled(steps, self.kept)) < len(steps):
            return self._out(model, f"there was no time to look at it in {self.asked.budget_s:g} s")
        try:
            outcomes = self._do(steps, over)
        except OutOfTime:
            return self._out(model, f"its look was not done after {time.monotonic() - began:.0f} s")
        trained, made = outcomes[step.identity], [outcomes[m.identity] for m in measures]
        failed = next((o for o in outcomes.values() if o.status != "ok"), trained)
        if trained.status != "ok" or all(o.status != "ok" for o in made):
            return self._out(model, f"{failed.status}: {failed.message}")
        self.looks[model] = [o for o in made if o.status == "ok"]
        # an evaluation opens the model as a measurement does, and then runs each test image once
        self.tail_s[model] = (outcomes[exported.identity].seconds or 0.0) + len(self.asked.runtimes) * FINAL_S * 1.5
        if why := self._far_off(model):
            return self._out(model, why)
        return self._judged(model, trained, "look")

    def _out(self, model: str, why: str) -> None:
        self.left_out[model] = why
        self.tell(f"{model}: out: {why}")

    def _far_off(self, model: str) -> str:
        """Why no training can bring a candidate within the limits; empty if one may."""
        given = {name: bound * FAR for name, bound in self.asked.limits.given().items() if name.startswith("max_")}
        found = rows([self.kept.result(outcome) for outcome in self.looks[model]])
        decision = select(found, Limits(**given), device=self.site.device, prefer="latency")
        miss = decision.nearest
        if miss is None or any(c.outcome != "broken" for c in decision.candidates):
            return ""
        return "; ".join(f"{c.metric} {c.value:.3g} where {c.bound / FAR:.3g} is the limit" for c in miss.broken)

    def _judged(self, model: str, trained: Outcome, after: str) -> float:
        accuracy = self.kept.artifact(trained, verify=False).training.validation_accuracy
        error = 1 - accuracy
        if model not in self.best or error < self.best[model][0]:
            self.best[model] = (error, trained)
        self.tell(f"{model}: validation accuracy {accuracy:.1%} after {after} ({trained.seconds or 0:.0f} s)")
        return error

    def _all_images(self) -> int:
        """About how many images are trained on: of the labelled ones a fifth is for the test, an eighth validates."""
        return max(1, round(self.images * 0.8 * 7 / 8))

    def _tail(self) -> float:
        """Seconds that exporting, evaluating and measuring the finalists takes."""
        slowest = sorted(self.tail_s.values(), reverse=True)[: halving.FINALISTS]
        return sum(slowest) * len(self.asked.precisions)

    def _finish(self, order: Sequence[str]) -> dict[str, list[Outcome]]:
        """Export, evaluate and measure the finalists, the best first, while there is time; the first in any case."""
        finished: dict[str, list[Outcome]] = {}
        for model in order:
            needed = self.tail_s[model] * len(self.asked.precisions)
            plans = [self._final(model, precision) for precision in self.asked.precisions]
            undone = any(len(settled(steps, self.kept)) < len(steps) for steps in plans)
            if finished and self.left_s < needed and undone:
                self.left_out[model] = f"there was no time for its final measurement ({needed:.0f} s)"
                continue
            until = 0.0 if finished else -2 * needed  # an answer a little late is more than none
            done: dict[str, Outcome] = {}
            for steps in plans:
                try:
                    done |= self._do(steps, until)
                    if again := self._longer(steps, done):
                        done |= self._do(again, until)
                except OutOfTime:
                    self.left_out[model] = "its final measurement took longer than there was time for"
            kept = [o for o in done.values() if o.step.kind in ("measure", "evaluate")]
            if failed := [o for o in done.values() if o.status != "ok"]:
                self.left_out[model] = f"{failed[0].status}: {failed[0].message}"
            if kept:
                finished[model] = kept
        return finished

    def _longer(self, steps: Sequence[Step], done: dict[str, Outcome]) -> list[Step]:
        """The steps, with longer measurements where p99 has a limit and too few requests were made to tell it."""
        changed: list[Step] = []
        for step in steps:
            outcome = done[step.identity]
            if self.asked.limits.max_p99_ms and step.kind == "measure" and outcome.status == "ok":
                found = self.kept.result(outcome).summary
                if found is not None and found.p99_ns is None:
                    seconds = round(1.5 * stats.min_samples(0.99) / found.throughput_per_s, 1)
                    policy = replace(step.options.policy, max_seconds=FINAL_S + seconds)
                    step = replace(step, options=replace(step.options, duration_s=seconds, policy=policy))
            changed.append(step)
        return changed if changed != list(steps) else []

    def _final(self, model: str, precision: Precision) -> list[Step]:
        trained = self.best[model][1].step
        *before, exported = build.export(trained, self.asked.target, precision, self.known)
        medians = [self.kept.result(outcome).summary for outcome in self.looks[model]]
        slowest_s = max((s.median_ns or s.mean_ns for s in medians if s), default=0) / 1e9
        enough_s = 1.15 * stats.min_samples(0.99) * slowest_s / 2  # that p99 can be told, though time be short
        policy = Policy(precision_target=0.02, max_seconds=FINAL_S)
        options = RunOptions(duration_s=round(min(max(0.5, enough_s), FINAL_S / 2), 1), warmup_s=0.3, policy=policy)
        steps: list[Step] = [trained, *before, exported]
        steps += [build.evaluate(exported, runtime, self.site, options) for runtime in self.asked.runtimes]
        return [*steps, *(build.measure(exported, runtime, self.site, options) for runtime in self.asked.runtimes)]
