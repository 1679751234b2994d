"""`pick`: from a folder of images to what to deploy, inside a time budget.

1. A trial run of each candidate: a short training, the export, a brief measurement. A candidate that begins with
   learned weights is probed instead of trained: a classifier is fitted to its frozen features. A candidate is dropped
   if it is far beyond a limit on every runtime, whatever it would learn.
2. Successive halving (halving.py) by the error on the validation images: the best few are trained for as long as the
   budget allows, less the time that step 3 takes.
3. Each of these is exported, evaluated and measured on each runtime, the most accurate first; then `selecting.select`.

The steps are those of a sweep: each is done once, and a killed pick goes on where it was. How long to train follows
from how long the trial runs took. It is kept in WORKSPACE/pick, so that the same command arrives at the same steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgebench.choosing import halving
from edgebench.choosing.budget import Budget, OutOfTime, StepsInTime, this_machine
from edgebench.choosing.limits import Limits
from edgebench.choosing.pick_steps import Chain, Steps, seconds_of_final
from edgebench.choosing.picked import Asked, Picked
from edgebench.choosing.ready_pick import ReadyPick
from edgebench.choosing.selecting import select
from edgebench.errors import EdgebenchError
from edgebench.records import digests
from edgebench.records.workspace import Workspace
from edgebench.results.rows import rows
from edgebench.specs import Precision
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Step, StepOutcome
from edgebench.sweeping.work import Engine

TRIAL_EPOCHS = 3
TRIAL_IMAGES = 3000
TIMED_IMAGES = 256  # of the epoch that tells how long a candidate takes that was only probed
TRIALS_SHARE = 0.45  # of the budget; a candidate that had no trial run by then is left out
MOST_EPOCHS = 100
PLANNED_SHARE = 0.75  # Plan 75 % of a training's slot: epochs may run slower than in the trial.
FAR = 1.3  # a brief measurement that is beyond this multiple of a limit is enough to drop a candidate


def pick(
    ready: ReadyPick, workspace: Workspace, *, tell: Callable[[str], None] = lambda sentence: None,
    show: Callable[[str, float], None] = lambda what, left_s: None,
    engine: Callable[[Records, Sequence[Step]], Engine] = this_machine,
) -> Picked:  # fmt: skip
    """Do a pick that is ready. `tell` gets sentences on its progress, `show` what is being done and the seconds left.

    Raises EdgebenchError if no candidate could be trained, exported and measured.
    """
    with Records(workspace) as kept:
        budget = Budget(ready.asked.budget_s, _progress_file(ready.asked, workspace), ready.began)
        return Pick(ready, kept, budget, StepsInTime(kept, budget, show, engine), tell).decide()


def _progress_file(asked: Asked, workspace: Workspace) -> Path:
    return workspace.root / "pick" / f"{digests.of_data(asked)[:16]}.json"


class Pick:
    """The candidates of one pick, and what is known about each so far."""

    def __init__(
        self, ready: ReadyPick, kept: Records, budget: Budget, work: StepsInTime, tell: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._asked, self._site, self._images = ready.asked, ready.site, ready.images
        self._steps = Steps(ready.asked, ready.known, ready.site)
        self._kept, self._budget, self._work, self._tell = kept, budget, work, tell
        self._left_out = dict(ready.left_out)
        self._best: dict[
            str, tuple[float, StepOutcome]
        ] = {}  # by model: the lowest validation error, and the training that had it
        self._timed: dict[str, StepOutcome] = {}  # by model: the training that tells how long an epoch takes
        self._trials: dict[str, list[StepOutcome]] = {}  # by model: the brief measurements
        self._final_s: dict[str, float] = {}  # by model: about how long its final steps take, in all precisions
        self._finalists = 0  # how many have had their longest training

    def decide(self) -> Picked:
        """Do the whole pick. Raises EdgebenchError if no candidate could be measured."""
        order = list(halving.halve(self._steps.models, self._look))
        finished = self._finish(order)
        # A candidate without a final measurement counts with its trial run: it breaks a limit, or its accuracy is
        # unknown.
        seen = [o for model, found in self._trials.items() if model not in finished for o in found]
        outcomes = [*(o for found in finished.values() for o in found), *seen]
        pairs = [(self._kept.result(o), self._kept.workspace.root / o.path) for o in outcomes if o.path]
        if not any(result.status == "ok" for result, _ in pairs):
            reasons = "; ".join(f"{model}: {why}" for model, why in self._left_out.items())
            raise EdgebenchError(
                f"no candidate could be trained, exported and measured: {reasons}", "a longer --budget"
            )
        results, files = zip(*pairs, strict=True)
        decision = select(rows(results), self._asked.limits, device=self._site.device, prefer=self._asked.prefer)
        self._budget.save()
        artifact = None
        if decision.chosen is not None:
            chosen = decision.chosen.row.artifact
            made = next(o for o in self._kept.all() if o.status == "ok" and o.product == chosen)
            artifact = self._kept.artifact(made)
        return Picked(
            decision=decision, artifact=artifact, results=results, files=files, left_out=self._left_out,
            seconds=self._budget.spent_s,
        )  # fmt: skip

    def _look(self, model: str, number: int) -> float | None:
        """The validation error of a candidate after this round of halving; None drops it."""
        return self._trial(model) if number == 0 else self._train_longer(model, number)

    def _trial(self, model: str) -> float | None:
        over = self._asked.budget_s * (1 - TRIALS_SHARE) if self._best else 0.0  # the first one may take all the time
        probed = self._steps.begins_with_weights(model)
        short = self._steps.train(model, TRIAL_EPOCHS, self._at_most(model, TRIAL_IMAGES))
        chain = self._steps.trial(self._steps.probe(model) if probed else short)
        began = time.monotonic()
        if self._budget.left_s < over and not self._work.done(chain.steps):
            return self._drop(model, f"there was no time for its trial run in {self._asked.budget_s:g} s")
        try:
            outcomes = self._work.do(chain.steps, over)
        except OutOfTime:
            return self._drop(model, f"its trial run was not finished after {time.monotonic() - began:.0f} s")
        trained, made = outcomes[chain.trained.identity], [outcomes[m.identity] for m in chain.measurements]
        failed = next((o for o in outcomes.values() if o.status != "ok"), trained)
        if trained.status != "ok" or all(o.status != "ok" for o in made):
            return self._drop(model, f"{failed.status}: {failed.message}")
        self._trials[model] = [o for o in made if o.status == "ok"]
        if probed:
            self._steps.settle_size(model, self._kept.artifact(trained, verify=False).preprocessing.height)
        else:
            self._timed[model] = trained
        export_s = outcomes[chain.exports[-1].identity].seconds or 0.0
        self._final_s[model] = seconds_of_final(export_s, self._asked.runtimes) * len(self._asked.precisions)
        if why := self._far_off(model):
            return self._drop(model, why)
        return self._judge(model, trained, "its probe" if probed else "its trial run")

    def _train_longer(self, model: str, number: int) -> float:
        """Train a candidate for its share of the time left. Its error; the old one if that time is too short."""
        error, best = self._best[model]
        share_s, left_s = self._share_s(last=number == halving.LAST), self._budget.left_s
        if (before := self._timed.get(model) or self._time(model, share_s)) is None:
            return error
        self._timed[model] = before
        share_s -= left_s - self._budget.left_s
        most = MOST_EPOCHS if number == halving.LAST else TRIAL_EPOCHS * 3
        epochs = self._budget.epochs(f"{model} {number}", lambda: min(most, self._epochs_in(share_s, before)))
        if epochs <= (0 if best.step.probe else self._kept.artifact(best, verify=False).training.config.epochs):
            self._tell(f"{model}: no time for a longer training")
            return error
        step = self._steps.train(model, epochs)
        try:
            done = self._work.do([step], self._budget.left_s - share_s)[step.identity]
        except OutOfTime:
            self._tell(f"{model}: there was not enough time for {epochs} epochs: its shorter training is used")
            return error
        return self._judge(model, done, f"{epochs} epochs") if done.status == "ok" else error

    def _time(self, model: str, share_s: float) -> StepOutcome | None:
        """An epoch on a few images, of a candidate that was only probed; None if it fails or takes the whole share."""
        step = self._steps.train(model, 1, self._at_most(model, TIMED_IMAGES))
        try:
            done = self._work.do([step], self._budget.left_s - share_s)[step.identity]
        except OutOfTime:
            self._tell(f"{model}: no time for a training: its probe is used")
            return None
        if done.status != "ok":
            self._tell(f"{model}: cannot be trained, so its probe is used: {done.status}: {done.message}")
            return None
        return done

    def _at_most(self, model: str, images: int) -> str | None:
        """The subset of so many images; None where there are few more, or the candidate's own subset is set."""
        return str(images) if self._steps.config(model).subset == "full" and self._images * 0.6 > images else None

    def _share_s(self, *, last: bool) -> float:
        """Seconds for a training of this round: its share of the time left, without that of the final measurements."""
        slowest = sorted(self._final_s.values(), reverse=True)[: halving.FINALISTS]
        free = self._budget.left_s - sum(slowest)
        if not last:
            return free * (0.3 / len(self._best))
        room = max(1, min(halving.FINALISTS, len(self._best)) - self._finalists)
        self._finalists += 1
        return free * (1 / room)

    def _epochs_in(self, seconds: float, before: StepOutcome) -> int:
        """How many epochs on all images fit into the seconds, judging by how long the training `before` took."""
        training = self._kept.artifact(before, verify=False).training
        all_images = max(1, round(self._images * 0.8 * 7 / 8))  # a fifth is for the test, an eighth validates
        epoch_s = training.seconds / max(1, training.config.epochs) * all_images / training.data.train
        start_s = max(0.0, (before.seconds or 0.0) - training.seconds)
        return int((seconds * PLANNED_SHARE - start_s) / max(epoch_s, 1e-3))

    def _drop(self, model: str, why: str) -> None:
        self._left_out[model] = why
        self._tell(f"{model}: dropped: {why}")

    def _far_off(self, model: str) -> str:
        """Why no training can bring a candidate within the limits; empty if a training may."""
        given = {name: bound * FAR for name, bound in self._asked.limits.given().items() if name.startswith("max_")}
        found = rows([self._kept.result(outcome) for outcome in self._trials[model]])
        decision = select(found, Limits(**given), device=self._site.device, prefer="latency")
        miss = decision.nearest
        if miss is None or any(c.outcome != "broken" for c in decision.candidates):
            return ""
        return "; ".join(f"{c.metric} is {c.value:.3g}, the limit {c.bound / FAR:.3g}" for c in miss.broken)

    def _judge(self, model: str, trained: StepOutcome, after: str) -> float:
        accuracy = self._kept.artifact(trained, verify=False).training.validation_accuracy
        error = 1 - accuracy
        if model not in self._best or error < self._best[model][0]:
            self._best[model] = (error, trained)
        self._tell(f"{model}: validation accuracy {accuracy:.1%} after {after} ({trained.seconds or 0:.0f} s)")
        return error

    def _finish(self, order: Sequence[str]) -> dict[str, list[StepOutcome]]:
        """Export, evaluate and measure the finalists, the best first, while there is time; the best one in any case."""
        finished: dict[str, list[StepOutcome]] = {}
        for model in order:
            needed = self._final_s[model]
            chains = [self._final(model, precision) for precision in self._asked.precisions]
            undone = not all(self._work.done(chain.steps) for chain in chains)
            if finished and self._budget.left_s < needed and undone:
                self._left_out[model] = f"there was no time for its final measurement ({needed:.0f} s)"
                continue
            until = 0.0 if finished else -2 * needed  # a late answer is better than none
            done: dict[str, StepOutcome] = {}
            for chain in chains:
                try:
                    done |= self._work.do(chain.steps, until)
                    if (again := self._longer(chain, done)) != chain:
                        done |= self._work.do(again.steps, until)
                except OutOfTime:
                    self._left_out[model] = "there was not enough time to finish its final measurement"
            kept = [o for o in done.values() if o.step.kind in ("measure", "evaluate")]
            if failed := [o for o in done.values() if o.status != "ok"]:
                self._left_out[model] = f"{failed[0].status}: {failed[0].message}"
            if kept:
                finished[model] = kept
        return finished

    def _final(self, model: str, precision: Precision) -> Chain:
        medians = [self._kept.result(outcome).summary for outcome in self._trials[model]]
        slowest_s = max((s.median_ns or s.mean_ns for s in medians if s), default=0) / 1e9
        trained: Step = self._best[model][1].step
        return self._steps.final(trained, precision, slowest_s)

    def _longer(self, chain: Chain, done: Mapping[str, StepOutcome]) -> Chain:
        measured = (done[step.identity] for step in chain.measurements)
        return self._steps.longer(chain, {o.step.identity: self._kept.result(o) for o in measured if o.status == "ok"})
