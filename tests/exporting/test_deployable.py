"""When an export of lower precision is kept: by what it loses beside torch, and by how well that is known."""

from __future__ import annotations

import pytest

from edgebench.errors import VerificationFailed
from edgebench.exporting import deployable
from edgebench.records.answers import Evaluation, Judgement


def judge(images: int, only_torch: int, only_artifact: int, bound: float = 0.01) -> Judgement:
    found = Evaluation(
        images=images, accuracy=0.9 - (only_torch - only_artifact) / images, accuracy_ci95=(0.0, 1.0),
        torch_accuracy=0.9, torch_agreement=None, non_finite=0, classes=(), only_reference=only_torch,
        only_artifact=only_artifact,
    )  # fmt: skip
    return deployable.judge(found, "onnxruntime", bound)


@pytest.mark.parametrize(
    ("images", "lost", "won", "bound"),
    [(1500, 75, 30, 0.01), (1500, 45, 0, 0.01), (64, 13, 0, 0.01), (1000, 90, 5, 0.05), (10_000, 200, 60, 0.01)],
)
def test_what_plainly_loses_more_than_it_may_is_refused(images: int, lost: int, won: int, bound: float) -> None:
    with pytest.raises(VerificationFailed) as refused:
        judge(images, lost, won, bound)
    assert f"loses {100 * (lost - won) / images:.2f} points" in refused.value.message
    assert f"it may lose {100 * bound:g}" in refused.value.message and f"--accuracy-drop {bound:g}" in refused.value.fix


@pytest.mark.parametrize(
    ("images", "lost", "won", "proven"),
    [(1500, 3, 3, True), (2000, 30, 32, True), (1500, 50, 48, False), (64, 2, 0, False), (64, 0, 0, False),
     (1500, 40, 20, False), (10_000, 60, 40, True)],
)  # fmt: skip
def test_what_may_be_as_good_is_kept_and_says_whether_that_is_shown(
    images: int, lost: int, won: int, proven: bool
) -> None:
    made = judge(images, lost, won)
    assert made.proven == proven == (made.high <= made.bound)
    assert ("do not show" in deployable.explain(made)) != proven


def test_a_gain_is_told_as_a_gain_with_its_interval_in_order() -> None:
    told = deployable.explain(judge(2000, 10, 40))
    assert told.startswith("gains 1.50 points of accuracy (0.") and "torch 90.0%" in told


def test_a_larger_bound_accepts_what_a_smaller_one_refuses() -> None:
    assert judge(1500, 75, 30, bound=0.05).bound == 0.05
    with pytest.raises(VerificationFailed):
        judge(1500, 75, 30, bound=0.02)
