"""The first look and the trial runs of a pick: which candidates are worth a training, and how long each would take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgebench.choosing import pick_times
from edgebench.choosing.budget import Budget, OutOfTime, StepsInTime
from edgebench.choosing.limits import Limits
from edgebench.choosing.pick_steps import Steps
from edgebench.choosing.pick_times import Counted
from edgebench.choosing.ready_pick import ReadyPick
from edgebench.choosing.selecting import select
from edgebench.records.sifted import Sieve, SieveAnswer, Sifted
from edgebench.results.figures import LIMITS
from edgebench.results.rows import rows
from edgebench.specs import Training
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import StepOutcome, Train

FINALISTS = 3  # candidates with a trial run, of those that begin with learned weights; and trainings
TOLD = 5  # candidates whose first look is told
TRIAL_EPOCHS = 3
TRIAL_IMAGES = 3000
FAR = 1.3  # a brief measurement that is beyond this multiple of a limit is enough to drop a candidate
KEPT = 0.9  # of a limit on time: what images of another size are expected to take


class Trials:
    """The candidates of one pick, and what is known about each so far.

    By model: `best`, the lowest validation error and the training or probe that had it; `seen`, what the first look
    found; `measured`, the brief measurements; `trial_s` and `deploy_s`, about how long a trial run takes, and an export
    with its brief measurements; `most_pixels`, where larger images break a limit; `left_out`, why.
    """

    def __init__(
        self, ready: ReadyPick, steps: Steps, kept: Records, budget: Budget, work: StepsInTime,
        tell: Callable[[str], None], sift: Callable[[Sieve], SieveAnswer],
    ) -> None:  # fmt: skip
        self._asked, self._device, self._images = ready.asked, ready.site.device, ready.images
        self._steps, self._kept, self._budget, self._work = steps, kept, budget, work
        self._tell, self._sift = tell, sift
        self.counted = Counted.of(ready.images)
        self.left_out = dict(ready.left_out)
        self.best: dict[str, tuple[float, StepOutcome]] = {}
        self.seen: dict[str, Sifted] = {}
        self.measured: dict[str, list[StepOutcome]] = {}
        self.trial_s: dict[str, float] = {}
        self.deploy_s: dict[str, float] = {}
        self.most_pixels: dict[str, int] = {}

    def run(self) -> None:
        """Look at all candidates, and try the best of them."""
        self._try_best(self._ranked())

    def training(self, outcome: StepOutcome) -> Training:
        """The training of the checkpoint that a step made."""
        return self._kept.artifact(outcome, verify=False).training

    def pixels(self, outcome: StepOutcome) -> int:
        """The side of the images that a checkpoint takes."""
        return self._kept.artifact(outcome, verify=False).preprocessing.height

    def judge(self, model: str, trained: StepOutcome, after: str) -> None:
        """Take the validation accuracy of a training or probe into account."""
        accuracy = self.training(trained).validation_accuracy
        error = 1 - accuracy
        if model not in self.best or error < self.best[model][0]:
            self.best[model] = (error, trained)
        self._tell(f"{model}: validation accuracy {accuracy:.1%} after {after} ({trained.seconds or 0:.0f} s)")

    def _ranked(self) -> list[str]:
        """The candidates in the order of their trial runs: after a first look those with learned weights, the best
        first; then the others."""
        models = self._steps.models
        learned = {m: b for m in models if (b := self._steps.began_with(m)).learned}
        if not learned:
            return models
        seconds = pick_times.SIEVE_UNTIL * self._asked.budget_s - self._budget.spent_s
        sieve = Sieve(
            configs=tuple(self._steps.config(model) for model in learned),
            planned={model: began.identity for model, began in learned.items()}, seconds=max(5.0, seconds),
        )  # fmt: skip
        answer = self._budget.sifted(lambda: self._sift(sieve))
        for one in answer.found:
            self.seen[one.model] = one
            if one.accuracy is None:
                self.left_out[one.model] = one.why
        order = [one.model for one in answer.found if one.accuracy is not None]
        if not order:  # nothing could be compared: each is tried as it comes
            return models
        best = ", ".join(f"{m} {self.seen[m].accuracy:.1%} of {self.seen[m].images}" for m in order[:TOLD])
        self._tell(
            f"a first look at {len(learned)} candidate{'s' * (len(learned) != 1)} took {answer.seconds:.0f} s; "
            f"the best, by small training images that are right, each left out once: {best}"
        )
        return [*order, *(model for model in models if model not in learned)]

    def _try_best(self, order: Sequence[str]) -> None:
        """The trial runs: of FINALISTS candidates with learned weights that may keep the limits, and of the others.

        Whoever is clearly behind one of those after the first look has none.
        """
        for model in order:
            learned, seen = self._steps.began_with(model).learned, self.seen.get(model)
            tried = [self.seen[m] for m in self.best if m in self.seen]
            enough = sum(self._steps.began_with(m).learned for m in self.best) >= FINALISTS
            if learned and (enough or (seen and any(one.clearly_above(seen) for one in tried))):
                self.left_out[model] = "behind others after the first look"
            else:
                self._trial(model)

    def _trial(self, model: str, smaller: bool = False) -> None:
        """A probe or a short training, the export, and a brief measurement; again with smaller images if need be."""
        probed = self._steps.began_with(model).learned
        rest_s = self._asked.budget_s * (1 - pick_times.TRIALS_UNTIL)  # of the budget, which is not for trials
        # Until there is an answer, a trial may take all the time and be late: a late answer is better than none.
        slot_s, over = self._budget.left_s - rest_s, rest_s if self.best else -self._budget.late_s
        expected_s = pick_times.PLANNED * max(self.trial_s.values(), default=0.0) if probed else 0.0
        late = bool(self.best) and slot_s < expected_s
        size = self._probe_size(model, slot_s * (1 if self.best else 0.5), late) if probed else None
        trained = self._steps.probe(model, size) if probed else self._short_training(model)
        chain = self._steps.trial(trained)
        began = half = time.monotonic()
        if (late or self._budget.left_s < over) and not self._work.done(chain.steps):
            self.left_out[model] = "no time was left for its trial run"
            return None
        try:
            outcomes = self._work.do([trained], over)
            half = time.monotonic()
            outcomes |= self._work.do(chain.steps, over)
        except OutOfTime as over_time:
            outcomes = over_time.done
            if not any(m.identity in outcomes for m in chain.measurements):
                return self._drop(model, f"its trial run was not finished after {time.monotonic() - began:.0f} s")
        made = [outcomes[m.identity] for m in chain.measurements if m.identity in outcomes]
        failed = next((o for o in outcomes.values() if o.status != "ok"), outcomes[trained.identity])
        if outcomes[trained.identity].status != "ok" or all(o.status != "ok" for o in made):
            return self._drop(model, f"{failed.status}: {failed.message}")
        self.measured[model] = [o for o in made if o.status == "ok"]
        self.trial_s[model] = time.monotonic() - began
        taken_s = [outcomes[s.identity].seconds or 0.0 for s in chain.steps[1:] if s.identity in outcomes]
        self.deploy_s[model] = max(time.monotonic() - half, sum(taken_s))
        why, used = self._far_off(model)
        made_by = outcomes[trained.identity]
        if probed and used > 0 and model in self.seen and not self._steps.config(model).image_size:
            size = self.pixels(made_by)
            fits = [s for s in pick_times.sizes(self.seen[model]) if used * (s / size) ** 2 <= KEPT]
            if fits:
                self.most_pixels[model] = max(fits)
            if used > 1 and fits and not smaller:
                self._tell(f"{model}: beyond a limit at {size} pixels, so it is tried at {max(fits)}")
                return self._trial(model, smaller=True)
        if why:
            return self._drop(model, why)
        self.left_out.pop(model, None)
        return self.judge(model, made_by, f"its probe at {self.pixels(made_by)} pixels" if probed else "its trial run")

    def _probe_size(self, model: str, slot_s: float, late: bool) -> int | None:
        """Pixels a side of a probe that fits into the time, which is kept unless there is none left for it (`late`).

        None where the user decided, or nothing is known.
        """
        seen = self.seen.get(model)
        if self._steps.config(model).image_size or seen is None or seen.image_s is None:
            return None
        if model in self.most_pixels:
            return self.most_pixels[model]
        return int(
            self._budget.decided(
                f"probe {model}", lambda: pick_times.probe_size(seen, self.counted, slot_s), keep=not late
            )
        )

    def probe_again(self, model: str, slot_s: float) -> bool:
        """Probe a candidate on larger images, if they fit into the time; whether there was a size that does."""
        seen, before = self.seen.get(model), self.pixels(self.best[model][1])
        if seen is None or not seen.image_s or self._steps.config(model).image_size:
            return False
        most = self.most_pixels.get(model)
        decide = lambda: pick_times.probe_size(seen, self.counted, slot_s, most)  # noqa: E731
        size = int(self._budget.decided(f"larger probe {model}", decide))
        if size <= before:
            return False
        step = self._steps.probe(model, size)
        try:
            done = self._work.do([step], self._budget.left_s - slot_s)[step.identity]
        except OutOfTime:
            self._tell(f"{model}: its probe at {size} pixels did not end in {slot_s:.0f} s")
            return True
        if done.status == "ok":
            self.judge(model, done, f"its probe at {size} pixels")
        return True

    def _short_training(self, model: str) -> Train:
        """Three epochs, on a subset where there are many more images and the recipe does not name one."""
        many = self._steps.config(model).subset == "full" and self._images * 0.6 > TRIAL_IMAGES
        return self._steps.trial_training(model, TRIAL_EPOCHS, str(TRIAL_IMAGES) if many else None)

    def _drop(self, model: str, why: str) -> None:
        self.left_out[model] = why
        self._tell(f"{model}: dropped: {why}")

    def _far_off(self, model: str) -> tuple[str, float]:
        """Why no training can bring a candidate within the limits, "" if one may; and which share of the limits on the
        time of an image it uses: above 1 beyond one of them, 0 where there are none."""
        given = {name: bound for name, bound in self._asked.limits.given().items() if name.startswith("max_")}
        speed = {name: bound for name, bound in given.items() if LIMITS[name].kind == "speed"}
        found = rows([self._kept.result(outcome) for outcome in self.measured[model]])
        slow = select(found, Limits(**speed), device=self._device, prefer="latency")
        decision = select(
            found, Limits(**{name: FAR * bound for name, bound in given.items()}), device=self._device, prefer="latency"
        )
        shares = [[c.value / c.bound for c in one.checks if c.value is not None] for one in slow.candidates]
        used = min((max(share) for share in shares if share), default=0.0)
        miss = decision.nearest
        if miss is None or any(c.outcome != "broken" for c in decision.candidates):
            return "", used
        return "; ".join(f"{c.metric} is {c.value:.3g}, the limit {c.bound / FAR:.3g}" for c in miss.broken), used
