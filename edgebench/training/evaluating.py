"""`evaluate`: counts the right answers of artifacts on their runtimes, over the pictures of a test set."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgebench.errors import UsageError
from edgebench.machine.device import detect, load_profile, place
from edgebench.measuring import running
from edgebench.measuring.evaluators import Evaluators
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact


def need_one_checkpoint(artifacts: Sequence[Artifact], option: str) -> None:
    """Raise UsageError unless all artifacts were made from the same checkpoint."""
    if len({a.origin or a.identity for a in artifacts}) > 1:
        raise UsageError(f"{option} is for the artifacts of one checkpoint", "name them")


def evaluate(
    artifacts: Sequence[Artifact], files: Mapping[str, Path], workspace: Workspace, asked: RunOptions, *,
    device: str | None = None, score: Callable[[Result, Path, Path], Result] | None = None,
    on_notice: Callable[[str], None] = lambda notice: None,
    on_start: Callable[[Planned, int, int], None] = lambda item, number, of: None,
    on_phase: Callable[[str], None] = lambda phase: None, on_wait: Callable[[], None] = lambda: None,
) -> list[Result]:  # fmt: skip
    """Judge each artifact on each runtime that opens it here, by the images in its file; a result for each.

    What fails is a result too: its status and message say why. `score`: see running.evaluate. `on_notice` hears if this
    machine is not the device. Raises EdgebenchError if nothing here opens any of them.
    """
    profile = load_profile(device) if device else detect()
    placement = place(profile, require_device=False, environ=os.environ)
    if placement.notice:
        on_notice(placement.notice)
    done = []
    with contextlib.closing(Evaluators()) as evaluators:
        planned = running.plan(
            artifacts, profile, placement, replace(asked, scenario="evaluate"), ask=evaluators.ask
        )  # fmt: skip
        for number, item in enumerate(planned, 1):
            evaluators.keep({each.job.runtime for each in planned[number - 1 :]})
            on_start(item, number, len(planned))
            done.append(
                running.evaluate(
                    item, files[item.artifact.identity], workspace.results, score=score, on_phase=on_phase,
                    on_wait=on_wait, run_job=evaluators.run_job,
                )
            )  # fmt: skip
    return done
