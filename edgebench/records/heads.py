"""What is known about a classifier of frozen features: how it was tuned, and what made the features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from edgebench.records.declared import Amount, Count, Positive, Share, Sized

HeadKind = Literal["linear", "neighbours", "kernel"]


@dataclass(frozen=True, kw_only=True)
class TunedHead:
    """A classifier that was tuned on the validation images. `images`: training images, mirror images counted too."""

    kind: HeadKind
    setting: dict[str, float] = field(default_factory=dict)
    validation_accuracy: Share
    images: Count
    seconds: Amount


@dataclass(frozen=True, kw_only=True)
class FrozenFeatures:
    """A checkpoint whose classifier alone was fitted: all the heads that were tuned, and what made the features.

    The linear head is the checkpoint's classifier. `computed`: images whose features were not in the cache; `seconds`:
    for the features of training and validation, with opening the runtime.
    """

    width: Positive
    mirrored: bool
    runtime: str
    version: str
    heads: Annotated[tuple[TunedHead, ...], Sized(1, 10)]
    computed: Count
    seconds: Amount

    def head(self, kind: HeadKind) -> TunedHead:
        return next(head for head in self.heads if head.kind == kind)

    @property
    def best(self) -> TunedHead:
        """The most accurate head on validation; of equal ones the linear one, which can be exported."""
        return max(self.heads, key=lambda head: (head.validation_accuracy, head.kind == "linear"))
