"""A measurement or evaluation as a step: the job that it stands for, and its results in the workspace."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebench.errors import EdgebenchError
from edgebench.machine import locks
from edgebench.machine.device import load_profile, place
from edgebench.measuring import running
from edgebench.measuring.running import Planned
from edgebench.racing import together
from edgebench.records.result import Result
from edgebench.results import store
from edgebench.specs import Artifact
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import StepOutcome

Told = Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """A step's measurement. A killed attempt may have left a complete result, or launches of one."""

    begun: StepOutcome
    source: Artifact
    item: Planned
    kept: Records

    @staticmethod
    def of(begun: StepOutcome, kept: Records) -> Measurement:
        """Raises EdgebenchError if what it measures is not there, or cannot be measured here."""
        source, step = kept.source(begun.step), begun.step
        profile = load_profile(step.device)
        placement = place(profile, require_device=False, environ=os.environ)
        (item,) = running.plan([source], profile, placement, step.options)
        return Measurement(begun, source, item, kept)

    def complete(self) -> tuple[Result, Path] | None:
        """The result that is complete already, but was killed before it was recorded, and its file."""
        for path, result in self._same():
            if result.created >= self.begun.since and result.status == "ok" and result.stop != "interrupted":
                return result, path
        return None

    def made(self, tell: Told) -> tuple[Result, Path]:
        """Make it, alone."""
        results, wait = self.kept.workspace.results, _waiting(tell)
        if self.begun.step.kind == "evaluate":
            images = self.kept.workspace.test_set(self.source)
            if not images.is_file():
                raise EdgebenchError(f"there are no test images in {images}", "delete the checkpoint, and sweep again")
            return self.ended(running.evaluate(self.item, images, results, on_phase=tell, on_wait=wait))
        ((result, _),) = running.run([self.item], results, self.begun.step.options, on_phase=tell, on_wait=wait)
        return self.ended(result)

    def ended(self, result: Result) -> tuple[Result, Path]:
        """Its result, and the file of that. It replaces the launches of a killed attempt."""
        made = Path()
        for path, other in self._same():
            if other.created == result.created:
                made = path
            elif other.created >= self.begun.since and other.stop == "interrupted":
                path.unlink(missing_ok=True)
        return result, made

    def _same(self) -> list[tuple[Path, Result]]:
        """The results of this very job, oldest first."""
        job = self.item.job
        paths = sorted(self.kept.workspace.results.glob(f"*-{job.runtime}-{job.identity[:12]}.json"))
        return [(path, store.read(path, samples=False)) for path in paths]


def race(measurements: Sequence[Measurement], kept: Records, tell: Told) -> dict[str, Result]:
    """Make several at once, in a race where they can: by job, the result of each."""
    items = {m.item.job.identity: m.item for m in measurements}
    if not items:
        return {}
    options = replace(measurements[0].begun.step.options, runtimes=())
    found = together.run(
        list(items.values()), kept.workspace.results, options, on_phase=tell, on_wait=_waiting(tell)
    )  # fmt: skip
    return {result.job.identity: result for result, _ in found}


def _waiting(tell: Told) -> Callable[[], None]:
    return lambda: tell(locks.waiting())
