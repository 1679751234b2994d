"""How sure a deployed folder has to be: which share of its answers is wrong above each threshold, on validation images.

The folder itself answers, in a process of its own, by the infer.py that will run on the robot.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.choosing.picked import Picked
from edgebench.errors import EdgebenchError
from edgebench.exporting import deployable
from edgebench.machine import locks
from edgebench.measuring import testset
from edgebench.records import replacing
from edgebench.records.workspace import Workspace
from edgebench.results import stats
from edgebench.specs import Artifact

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
LONGEST_S = 20.0
START_S = 120.0  # for the child to start and to open the model
# Answers to the pictures in a file, as far as the time reaches.
ANSWER = """import runpy, sys, time
import numpy as np
from PIL import Image
pictures, out, seconds = np.load(sys.argv[2]), sys.argv[3], float(sys.argv[4])
logits, found = runpy.run_path(sys.argv[1] + "/infer.py")["logits"], []
for picture in pictures:
    found.append(logits(Image.fromarray(picture)))
    if not found[1:]: began = time.monotonic()
    if time.monotonic() - began > seconds: break
np.save(out, np.array(found, np.float64))
"""


@dataclass(frozen=True, kw_only=True)
class Sure:
    """What happens if the best class has to reach `threshold`: the share of `images` that is answered, and the share of
    the answers that is wrong, with the upper end of its 95 % interval."""

    threshold: float
    images: int
    coverage: float
    error: float
    error_high: float


def calibrate(folder: Path, artifact: Artifact, images: Path, seconds: float = LONGEST_S) -> tuple[Sure, ...]:
    """The thresholds of the folder's infer.py, by the validation images in the file `images` (testset.py).

    Takes `seconds` for the answers, to a random part of the images if there are more. Raises EdgebenchError if infer.py
    does not answer.
    """
    with testset.opened(images, artifact) as test:
        order = np.random.default_rng(0).permutation(len(test.labels))
        pictures, labels = np.concatenate(list(test.images))[order], test.labels[order]
    with replacing.scratch() as scratch:
        given, out = Path(scratch, "pictures.npy"), Path(scratch, "answers.npy")
        np.save(given, pictures)
        command = [sys.executable, "-B", "-c", ANSWER, *map(str, (folder.resolve(), given, out, seconds))]
        limit_s = START_S + 2 * seconds
        try:
            with locks.machine_shared():  # it computes, and another edgebench may be measuring
                done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise EdgebenchError("infer.py did not answer in time", "try it by hand") from None
        if done.returncode != 0 or not out.is_file():
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise EdgebenchError(f"infer.py did not answer the validation images: {said}", "try it by hand")
        logits = np.load(out, allow_pickle=False)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    best = scores.max(axis=1) / scores.sum(axis=1)
    return curve(best, logits.argmax(axis=1) == labels[: len(logits)])


def calibrating(picked: Picked, workspace: Workspace, budget_s: float) -> Callable[[Path], Sequence[Sure]]:
    """A function that calibrates the threshold of the folder, or raises EdgebenchError."""

    def calibrated(folder: Path) -> Sequence[Sure]:
        if (images := deployable.judging_images(None, picked.artifact, workspace)) is None:
            return ()
        return calibrate(folder, picked.artifact, images(), min(LONGEST_S, 0.02 * budget_s))

    return calibrated


def curve(shares: np.ndarray, right: np.ndarray) -> tuple[Sure, ...]:
    """What each threshold does that answers about a share of COVERAGES. `shares`: of the class that came first."""
    falling, found = np.sort(shares)[::-1], {}
    for wanted in COVERAGES:
        threshold = (
            0.0 if wanted == 1 else float(np.floor(falling[max(1, round(wanted * len(falling))) - 1] * 1e6) / 1e6)
        )
        answered = shares >= threshold
        n, wrong = int(answered.sum()), int((answered & ~right).sum())
        found[n] = Sure(
            threshold=threshold, images=len(shares), coverage=n / len(shares), error=wrong / n,
            error_high=stats.wilson(wrong, n)[1],
        )  # fmt: skip
    return tuple(found.values())


def table(found: Sequence[Sure]) -> str:
    """The thresholds in Markdown, with what they mean."""
    lines = [f"| {one.threshold:.3f} | {one.coverage:.1%} | {one.error:.1%} | {one.error_high:.1%} |" for one in found]
    return "\n".join([
        "## When it may say that it does not know", "",
        f"On {found[0].images:,} validation images, answered by this folder's infer.py. Below the threshold the answer "
        "is \"unknown\".", "",
        "| threshold | answered | wrong among the answers | at most (95 %) |",
        "| ---: | ---: | ---: | ---: |", *lines, "",
        "`python infer.py --threshold SHARE` takes one of them, or any other; `--max-error SHARE` takes the line that "
        "answers most and has no more in its last column. The network was chosen by these images too, so that it may "
        "be wrong more often on new ones. Pictures of what is in none of the classes are not among them.", "",
    ])  # fmt: skip
