"""Whether an artifact of lower precision is accurate enough to be deployed, judged beside torch picture by picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgebench.errors import EdgebenchError, VerificationFailed
from edgebench.measuring import testset
from edgebench.records.answers import Evaluation, Judgement
from edgebench.records.workspace import Workspace
from edgebench.results import stats
from edgebench.specs import Artifact, Precision

BOUND = 0.01  # the share of the pictures that an artifact may lose, if nothing else is asked for
MOST = 2000  # pictures; with 5 % that one of the two alone has right, the drop is then known within ± 1 point
Z_80 = 0.841621  # the 80 % quantile of the normal distribution
FIXES = {
    "int8": "--accuracy-drop {bound:g} leaves the worst layers in floating point; more --calibration-images; or "
    "--precision fp16"
}


def judging_images(
    given: Path | None, start: Artifact, workspace: Workspace,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Callable[[], Path] | None:  # fmt: skip
    """A function that returns the file of images by which lower precisions are judged. Its first call makes the file,
    and tells `on_image(done, total)` how far it is.

    The images are those of `given`, else of the validation split of the artifact's checkpoint. None if the checkpoint
    is not here, as on a board, and for an adopted model: how close its answers are to the reference's says what is
    lost.
    """
    if start.adopted:
        return None
    where = workspace.validation_set(start)
    if given or testset.kept(where, start):
        return lambda: given or where
    try:
        checkpoint = workspace.checkpoint_of(start) if start.format != "checkpoint" else start
    except EdgebenchError:
        return None

    def made() -> Path:
        if not testset.kept(where, start):
            from edgebench.training.checkpoint import write_split

            write_split(checkpoint, where, on_image, "validation", most=MOST)
        return where

    return made


def judge(found: Evaluation, runtime: str, bound: float, precision: Precision = "int8") -> Judgement:
    """What the artifact loses against torch on the same pictures. Raises VerificationFailed if that is too much.

    Too much is: more than `bound` with a confidence of 80 %, and more than nothing with one of 97.5 %. On 1,500
    pictures, of which one of the two alone has 6 % right, that refuses 98 of 100 artifacts that lose 3 points, and none
    that loses nothing (scripts/bench_judging.py). Few pictures refuse what is plainly worse alone, and prove nothing.
    """
    lost, won, n = found.only_reference, found.only_artifact, found.images
    drop = (lost - won) / n
    low, high = stats.paired_difference(lost, won, n)
    least, _ = stats.paired_difference(lost, won, n, Z_80)
    made = Judgement(
        images=n, runtime=runtime, torch_accuracy=found.torch_accuracy, accuracy=found.accuracy, drop=drop, low=low,
        high=high, bound=bound, proven=high <= bound,
    )  # fmt: skip
    if least > bound and low > 0:
        raise VerificationFailed(
            f"it {explain(replace(made, proven=True))}; it may lose {_points(bound)}",
            FIXES.get(precision, "--precision fp32; or --accuracy-drop, if it may lose more").format(bound=bound),
        )
    return made


def explain(made: Judgement) -> str:
    """One sentence: "loses 0.40 points of accuracy (-0.31 to 1.11) on 1,500 validation pictures: 91.2% on …"."""
    sign = -1 if made.drop < 0 else 1
    size, low, high = (100 * share for share in (sign * made.drop, *sorted((sign * made.low, sign * made.high))))
    told = (
        f"{'gains' if sign < 0 else 'loses'} {size:.2f} points of accuracy ({low:.2f} to {high:.2f}) on "
        f"{made.images:,} validation pictures: {made.accuracy:.1%} on {made.runtime}, torch {made.torch_accuracy:.1%}"
    )
    return told if made.proven else f"{told}; so few pictures do not show that it loses at most {_points(made.bound)}"


def _points(share: float) -> str:
    return f"{100 * share:g} point{'s' * (share != 0.01)}"
