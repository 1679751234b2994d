"""Whether an artifact's answers are right, as data: compared with torch's on a few images, with labels on all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Parity:
    """An artifact's answers compared with torch's on held-out images, and the bounds for its precision.

    `relative_error` = max |a − b| / max |b|; `cosine`: the mean over images of the cosine between their logits.
    """

    batches: tuple[int, ...]
    images: int
    relative_error: float | None
    top1_agreement: float
    non_finite: int
    accuracy: float
    tolerance: float
    passed: bool
    cosine: float | None = None
    cosine_bound: float = 0.0
    agreement_bound: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """How many of a class's test images are classified right.

    `answered`: the test images that were taken for this class. `mistaken_for`: the class that its own are most often
    taken for instead, `mistaken` of them; empty if they never are. `answered` is None where it was not recorded.
    """

    name: str
    images: int
    correct: int
    answered: int | None = None
    mistaken_for: str = ""
    mistaken: int = 0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An artifact's accuracy on its runtime over the whole test split, as shares in [0, 1].

    `accuracy_ci95` is Wilson's interval. `torch_accuracy` is the checkpoint's on the same images, in fp32;
    `torch_agreement` is the share of images for which artifact and torch put the same class first. The same session got
    the first `given_again` images once more, and gave another class for `changed` of them.
    """

    images: int
    accuracy: float
    accuracy_ci95: tuple[float, ...]
    torch_accuracy: float
    torch_agreement: float
    non_finite: int
    classes: tuple[ClassAccuracy, ...]
    given_again: int = 0
    changed: int = 0
