"""Whether an artifact's answers are right, as data: compared with a reference's on a few, with labels on all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebench.records.declared import Amount, Count, MaybeSha256, Positive, Share, Shares, Signed
from edgebench.records.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class OutputParity:
    """One output of an adopted model compared with the reference's: see Parity.

    Where `equal` is given, the output holds indices, counts or truth values, and that share of them is the same. An
    output that the reference does not repeat is not `compared`. `problem`: what makes a comparison impossible.
    """

    name: str
    compared: bool = True
    relative_error: Amount | None = None
    cosine: float | None = None
    equal: Share | None = None
    passed: bool = True
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """An artifact's answers compared with the reference's, and the bounds for its precision.

    The reference is torch on held-out images, and `against` empty. For an adopted model it is the runtime `against` on
    its requests (`images` of them); then there are no classes, so `top1_agreement` and `accuracy` are None, and
    `outputs` has each output. `relative_error`: the largest over images of max |a − b| / max |b| (see
    `correctness.scales`); `cosine`: the mean over images of the cosine between their logits; `top1_agreement`: the
    share of images with the same class first. `ties`: of the other images, those where torch's two classes are as good
    as equal. Each is the worst over the batch sizes.
    """

    batches: tuple[Positive, ...]
    images: Count
    relative_error: Amount | None
    top1_agreement: Share | None
    non_finite: Count
    accuracy: Share | None
    tolerance: Amount
    passed: bool
    cosine: float | None = None
    cosine_bound: float = 0.0
    agreement_bound: float = 1.0
    ties: Count = field(default=0, metadata={"json": "unless default"})
    against: str = field(default="", metadata={"json": "unless default"})
    outputs: tuple[OutputParity, ...] = field(default=(), metadata={"json": "unless default"})


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """How many of a class's test images are classified right.

    `answered`: the test images that were taken for this class. `mistaken_for`: the class that its own are most often
    taken for instead, `mistaken` of them; empty if they never are. `answered` is None where it was not recorded.
    """

    name: str
    images: Count
    correct: Count
    answered: Count | None = None
    mistaken_for: str = ""
    mistaken: Count = 0

    def contradiction(self) -> str:
        return "more right answers than images" if self.correct > self.images else ""


@dataclass(frozen=True, kw_only=True)
class TestPictures:
    """The pictures that an adopted model was judged by, and how they became its input.

    `sha256`: of the classes and the content of the pictures, as a training's `test_sha256`.
    """

    __test__: ClassVar[bool] = False  # for pytest: this is not a test class

    dataset: str
    sha256: MaybeSha256
    preprocessing: Preprocessing


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a user's function makes of the answers to `images` pictures: figures by name. `function`: FILE.py:NAME."""

    function: str
    file_sha256: MaybeSha256
    images: Count
    figures: dict[str, float]
    test: TestPictures


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An artifact's accuracy on its runtime over the whole test split, as shares in [0, 1].

    `accuracy_ci95` is Wilson's interval. `torch_accuracy` is the checkpoint's on the same images, in fp32;
    `torch_agreement` is the share of images for which artifact and torch put the same class first. Of an adopted model
    both are None; `reference_accuracy` and `reference_agreement` are the same of its reference runtime, if that is
    here, and `test` has the pictures. `only_reference` and `only_artifact` count the images that one of the two alone
    has right; None where the reference's answers are not known. The same session got the first `given_again` images
    once more, and gave another class for `changed` of them.
    """

    images: Positive
    accuracy: Share
    accuracy_ci95: Shares
    torch_accuracy: Share | None
    torch_agreement: Share | None
    non_finite: Count
    classes: tuple[ClassAccuracy, ...]
    given_again: Count = 0
    changed: Count = 0
    reference_accuracy: Share | None = field(default=None, metadata={"json": "unless default"})
    reference_agreement: Share | None = field(default=None, metadata={"json": "unless default"})
    test: TestPictures | None = field(default=None, metadata={"json": "unless default"})
    only_reference: Count | None = field(default=None, metadata={"json": "unless default"})
    only_artifact: Count | None = field(default=None, metadata={"json": "unless default"})

    @property
    def agreement(self) -> float | None:
        """With torch, or of an adopted model with its reference; None where the reference's answers are not known."""
        return self.torch_agreement if self.test is None else self.reference_agreement


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What an artifact of lower precision costs in accuracy: its answers beside torch's, picture by picture.

    On `images` pictures of the validation split, `torch_accuracy` and `accuracy` are the shares answered right by torch
    and, on `runtime`, by the artifact. `drop` is what it loses, with its 95 % interval from `low` to `high`; negative
    is a gain. It is `proven` that it loses at most `bound` if the whole interval says so; else so few pictures leave
    that open.
    """

    images: Positive
    runtime: str
    torch_accuracy: Share
    accuracy: Share
    drop: Signed
    low: Signed
    high: Signed
    bound: Share
    proven: bool

    @property
    def told(self) -> str:
        """In a few words: "loses at most 1.1 points"."""
        return f"loses at most {100 * max(0.0, self.high):.1f} points"
