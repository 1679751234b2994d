"""`pick`: from a folder of images to what to deploy, inside a time budget.

1. A first look at all candidates that begin with learned weights (training/sieve.py): how well their frozen features
   tell the classes apart on a few small images.
2. A trial run of the best few: a probe, which fits a classifier to the frozen features of all images, the export, and a
   brief measurement. A candidate is dropped if it is far beyond a limit on every runtime, and the next one takes its
   place. Candidates with random weights have a short training instead of both.
3. The best of these on the validation images are trained. Each training plans its own epochs to end in its time.
4. Each is exported, evaluated and measured on each runtime, the most accurate first; then `selecting.select`.

The steps are those of a sweep: each is done once, and a killed pick goes on where it was. What depends on how fast this
machine was (the first look, image sizes, minutes) is kept in WORKSPACE/pick, so that the same command arrives at the
same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgebench.choosing import first_look, pick_doubts, pick_times
from edgebench.choosing.budget import Budget, OutOfTime, StepsInTime, this_machine
from edgebench.choosing.first_look import Sift
from edgebench.choosing.pick_steps import Chain, Steps
from edgebench.choosing.pick_trials import FINALISTS, Trials
from edgebench.choosing.picked import Asked, Picked
from edgebench.choosing.ready_pick import ReadyPick
from edgebench.choosing.selecting import select
from edgebench.errors import EdgebenchError
from edgebench.records import digests
from edgebench.records.sifted import Sieve, SieveAnswer, Sifted
from edgebench.records.workspace import Workspace
from edgebench.results.rows import rows
from edgebench.specs import Precision
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Step, StepOutcome
from edgebench.sweeping.work import Engine

MOST_EPOCHS = 100
AMPLE = 1.5  # times what final measurements are expected to take: they are made together, in a race
LATE = 1.1  # a training that takes so many times its slot is ended


def pick(
    ready: ReadyPick, workspace: Workspace, *, tell: Callable[[str], None] = lambda sentence: None,
    show: Callable[[str, float], None] = lambda what, left_s: None,
    engine: Callable[[Records, Sequence[Step]], Engine] = this_machine, sift: Sift = first_look.sift,
) -> Picked:  # fmt: skip
    """Do a pick that is ready. `tell` gets sentences on its progress, `show` what is being done and the seconds left.

    Raises EdgebenchError if no candidate could be trained, exported and measured.
    """
    with Records(workspace) as kept:
        budget = Budget(ready.asked.budget_s, _progress_file(ready.asked, workspace), ready.began)
        work = StepsInTime(kept, budget, show, engine)
        steps = Steps(ready.asked, ready.known, ready.site)
        trials = Trials(ready, steps, kept, budget, work, tell, partial(_sifted, sift, budget, show))
        return Pick(ready, steps, kept, budget, work, tell, trials).decide()


def _progress_file(asked: Asked, workspace: Workspace) -> Path:
    return workspace.root / "pick" / f"{digests.of_data(asked)[:16]}.json"


def _sifted(sift: Sift, budget: Budget, show: Callable[[str, float], None], asked: Sieve) -> SieveAnswer:
    def now_and_then() -> None:
        show(f"a first look at {len(asked.configs)} candidate{'s' * (len(asked.configs) != 1)}", budget.left_s)
        budget.save_now_and_then()

    return sift(asked, now_and_then)


class Pick:
    """One pick: what its trials found, the trainings that follow from them, and the final measurements."""

    def __init__(
        self, ready: ReadyPick, steps: Steps, kept: Records, budget: Budget, work: StepsInTime,
        tell: Callable[[str], None], trials: Trials,
    ) -> None:  # fmt: skip
        self._ready, self._asked, self._device, self._steps = ready, ready.asked, ready.site.device, steps
        self._kept, self._budget, self._work, self._tell, self._trials = kept, budget, work, tell, trials
        self._doubts: list[str] = []

    def decide(self) -> Picked:
        """Do the whole pick. Raises EdgebenchError if no candidate could be measured."""
        trials = self._trials
        trials.run()
        self._train_best()
        finished = self._finish()
        # A candidate without a final measurement counts with that of its trial run.
        whole = {model for model, found in finished.items() if any(o.step.kind == "measure" for o in found)}
        seen = [o for model, found in trials.measured.items() if model not in whole for o in found]
        outcomes = [*(o for found in finished.values() for o in found), *seen]
        pairs = [(self._kept.result(o), self._kept.workspace.root / o.path) for o in outcomes if o.path]
        if not any(result.status == "ok" for result, _ in pairs):
            reasons = "; ".join(f"{model}: {why}" for model, why in trials.left_out.items())
            raise EdgebenchError(
                f"no candidate could be trained, exported and measured: {reasons}", "a longer --budget"
            )
        results, files = zip(*pairs, strict=True)
        decision = select(rows(results), self._asked.limits, device=self._device, prefer=self._asked.prefer)
        doubts = pick_doubts.of(decision, self._ready, results, trials.left_out, self._doubts)
        decision = replace(decision, notes=(*decision.notes, *doubts))
        self._budget.save()
        artifact = None
        if decision.chosen is not None:
            chosen = decision.chosen.row.artifact
            made = next(o for o in self._kept.all() if o.status == "ok" and o.product == chosen)
            artifact = self._kept.artifact(made)
        return Picked(
            decision=decision, artifact=artifact,
            results=results, files=files, left_out=trials.left_out, seconds=self._budget.spent_s,
            waited_s=self._budget.waited_s,
        )  # fmt: skip

    def _doubt(self, sentence: str) -> None:
        """Tell it, and keep it with the answer."""
        self._tell(sentence)
        self._doubts.append(sentence)

    def _by_error(self) -> list[str]:
        """The candidates that are left, the lowest validation error first."""
        return sorted(self._trials.best, key=lambda model: self._trials.best[model][0])

    def _final_s(self, model: str) -> float:
        """About how long the final steps of a candidate take, in all precisions."""
        deploy_s, runtimes = self._trials.deploy_s[model], len(self._trials.measured[model])
        # An evaluation starts a process as a brief measurement does, and then runs each test image once.
        evaluated_s = deploy_s / (1 + runtimes) + self._trials.counted.test * min(self._medians_s(model).values())
        return (deploy_s + runtimes * (self._steps.final_s + evaluated_s)) * len(self._asked.precisions)

    def _medians_s(self, model: str) -> dict[str, float]:
        """By runtime, the median of the brief measurement."""
        found = {o.step.runtime: self._kept.result(o).summary for o in self._trials.measured[model]}
        return {name: (s.median_ns or s.mean_ns) / 1e9 if s else 0.0 for name, s in found.items()}

    def _free_s(self) -> float:
        """Seconds for trainings: what is left without the final measurements, those of others only where they are
        brief beside the budget."""
        first, *others = [self._final_s(model) for model in self._by_error()[:FINALISTS]]
        for final_s in others:
            first += final_s if first + final_s <= pick_times.FINALS_SHARE * self._asked.budget_s else 0.0
        return self._budget.left_s - first - pick_times.MARGIN * self._asked.budget_s

    def _train_best(self) -> None:
        """Train the best few in the time that is left, the best first, and with as many more pixels as it allows."""
        trials, order = self._trials, self._by_error()
        if not order:
            return
        most = pick_times.WORTHWHILE * trials.best[order[0]][0]
        close = [model for model in order if trials.best[model][0] <= most or model == order[0]]
        least_s = [self._least_s(model) for model in close]
        count = int(self._budget.decided("trainings", lambda: pick_times.trainings(least_s, self._free_s(), FINALISTS)))
        if count and least_s[0] > self._free_s() and trials.probe_again(order[0], self._free_s()):
            return  # larger images bring more than a training that is too short for a few epochs
        if not count:
            self._doubt("no time for a longer training: the probe or the trial run is used")
        for place, model in enumerate(close[:count]):
            if trials.best[model][0] > 0.0:
                self._train(model, self._free_s() / (count - place))

    def _least_s(self, model: str) -> float:
        """Seconds of a training that may be worth it: a few epochs of small images, or twice the trial run."""
        if (seen := self._shrinkable(model)) is None:
            return 2 * self._trials.trial_s[model]
        smallest = min(pick_times.sizes(seen, self._trials.most_pixels.get(model)))
        return pick_times.training_s(seen, self._trials.counted) * (smallest / seen.pixels) ** 2

    def _shrinkable(self, model: str) -> Sifted | None:
        """What is known about a candidate whose image size is open."""
        seen = self._trials.seen.get(model)
        return None if self._steps.config(model).image_size or seen is None or not seen.image_s else seen

    def _train(self, model: str, slot_s: float) -> None:
        """Train a candidate for so many seconds. If that fails or takes too long, what it had before is used."""
        size, trials, left_s = None, self._trials, self._budget.left_s
        if seen := self._shrinkable(model):
            most = trials.most_pixels.get(model)
            decide = lambda: pick_times.training_size(seen, trials.counted, slot_s, most)  # noqa: E731
            size = int(self._budget.decided(f"pixels {model}", decide))
        minutes = self._budget.decided(f"minutes {model}", lambda: round(pick_times.PLANNED * slot_s / 60, 2))
        if minutes <= 0:
            return self._doubt(f"{model}: no time for a longer training")
        step = self._steps.training(model, minutes, MOST_EPOCHS, size)
        try:
            done = self._work.do([step], left_s - slot_s * LATE)[step.identity]
        except OutOfTime:
            return self._doubt(f"{model}: its training did not end in {slot_s:.0f} s: what it had before is used")
        if done.status != "ok":
            return self._doubt(f"{model}: not trained any longer: {done.status}: {done.message}")
        return trials.judge(model, done, f"{minutes:g} min of training" + f" at {size} pixels" * bool(size))

    def _finish(self) -> dict[str, list[StepOutcome]]:
        """Export, evaluate and measure, the most accurate first, while there is time; the first in any case."""
        finished: dict[str, list[StepOutcome]] = {}
        for model in self._by_error():
            done: dict[str, StepOutcome] = {}
            for precision in self._asked.precisions:
                chain = self._final(model, precision)
                needed_s = self._final_s(model) / len(self._asked.precisions)
                if (finished or done) and self._budget.left_s < needed_s and not self._work.done(chain.steps):
                    self._trials.left_out[model] = f"there was no time for its final measurement ({needed_s:.0f} s)"
                    continue
                try:
                    self._measure(chain, done, needed_s, late_s=0.0 if finished or done else 2 * needed_s)
                except OutOfTime as over:
                    done |= over.done
                    if not over.done:
                        self._trials.left_out[model] = "there was not enough time for its final measurement"
            kept = [o for o in done.values() if o.step.kind in ("measure", "evaluate")]
            if failed := [o for o in done.values() if o.status != "ok"]:
                self._trials.left_out[model] = f"{failed[0].status}: {failed[0].message}"
            if kept:
                finished[model] = kept
        return finished

    def _measure(self, chain: Chain, done: dict[str, StepOutcome], needed_s: float, *, late_s: float) -> None:
        """Do the final steps of a chain into `done`: of all runtimes together where there is ample time, else the
        faster runtime first. An answer that is `late_s` late is better than none, but one runtime is enough for that.
        Raises OutOfTime."""
        ample = self._budget.left_s > AMPLE * needed_s
        for number, part in enumerate([chain] if ample else [chain.on(runtime) for runtime in chain.runtimes]):
            until_s = 0.0 if number else -late_s
            done |= self._work.do(part.steps, until_s)
            measured = {step.identity: done[step.identity] for step in part.measurements}
            results = {i: self._kept.result(o) for i, o in measured.items() if o.status == "ok"}
            if (again := self._steps.longer(part, results)) != part:
                done |= self._work.do(again.steps, until_s)

    def _final(self, model: str, precision: Precision) -> Chain:
        return self._steps.final(self._trials.best[model][1].step, precision, self._medians_s(model))
