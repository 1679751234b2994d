"""One odd picture among the reference's: what is told and judged of the others stays as a plain loop finds it."""

from __future__ import annotations

import numpy as np
import pytest
from factories import StubSession, make_artifact, make_reference

from edgebench.artifact import Reference
from edgebench.measuring import agreement, correctness

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
IMAGES, CLASSES = 64, 10


def answers(odd: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """torch's logits and an artifact's: every fifth of the pictures gets another class, whose logit torch has one
    fifth lower. The last picture's logits are `odd` times as large, and the artifact's are the same."""
    rng = np.random.default_rng(seed)
    known = rng.normal(0, 0.5, (IMAGES, CLASSES))
    known[:, 0], known[:, 1] = 5.0, 4.0
    found = known + rng.normal(0, 1e-3, known.shape)
    found[::5, 1] += 1.2
    if odd:
        known[-1] *= odd
        found[-1] = known[-1]
    return known.astype(np.float32), found.astype(np.float32)


def judged(known: np.ndarray, found: np.ndarray, precision: str):
    pictures = make_reference(images=IMAGES)
    rows = iter(found)
    session = StubSession(lambda inputs: next(rows)[None])
    reference = Reference(pictures.images, pictures.labels, known)
    return correctness.check_parity(session, make_artifact(precision=precision), reference, (1,))


def by_hand(known: np.ndarray, found: np.ndarray) -> tuple[float, float, float]:
    """Agreement, cosine and relative error by a plain loop."""
    same, cosines, errors = 0, [], []
    middle = sorted(max(abs(float(v)) for v in row) for row in known)[(len(known) - 1) // 2]
    for mine, theirs in zip(found.astype(float), known.astype(float), strict=True):
        same += int(np.argmax(mine) == np.argmax(theirs))
        cosines.append(float(mine @ theirs) / (float(mine @ mine) * float(theirs @ theirs)) ** 0.5)
        errors.append(max(abs(mine - theirs)) / max(max(abs(theirs)), middle))
    return same / len(known), sum(cosines) / len(cosines), max(errors)


@pytest.mark.parametrize("odd", [0.0, 100.0])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_told_is_what_a_plain_loop_finds(precision: str, odd: float, seed: int) -> None:
    known, found = answers(odd, seed)
    told = correctness.explain(judged(known, found, precision))
    share, cosine, error = by_hand(known, found)
    assert f"relative error {error:.2g} (" in told and f"cosine {cosine:.5f} (" in told
    assert f"top-1 agreement {share:.1%} (bound" in told and share < 0.9


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_odd_picture_changes_no_verdict_of_the_others(precision: str) -> None:
    known, found = answers()
    with_odd = judged(*answers(100.0), precision)
    assert with_odd.passed == judged(known, found, precision).passed == (precision == "int8")
    assert with_odd.relative_error == judged(known, found, precision).relative_error
    for name, far in (("one request", known[:8]), ("many", known)):
        spoiled, beside = far * 1.5, np.full_like(far[0], 1e4)
        requests = [*far, beside], [*spoiled, beside]
        apart = agreement.compared(name, requests[1], requests[0], "bf16")
        assert not apart.passed and apart.relative_error == pytest.approx(0.5)


def test_ties_are_judged_by_each_picture_and_told_apart() -> None:
    known, found = answers(100.0)
    known[1, 1], found[1, 1] = 4.9, 5.1  # 2 % of 5: a tie in int8, of a picture of its own
    parity = judged(known, found, "int8")
    assert parity.ties == 1 and parity.top1_agreement == by_hand(known, found)[0] == 50 / 64
    assert "top-1 agreement 78.1% (1 more is a tie; bound 75%)" in correctness.explain(parity)


def test_opposite_answers_do_not_pass_and_nothing_beside_the_rest_does() -> None:
    known = [np.array([1.0, 2.0], np.float32)] * 3
    assert not agreement.compared("x", [-each for each in known], known, "int8").passed
    nearly = [*known, np.array([1e-9, -1e-9], np.float32)]
    assert agreement.compared("x", [*known, np.zeros(2, np.float32)], nearly, "fp32").passed
