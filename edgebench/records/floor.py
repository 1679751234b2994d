"""The floor of a training: what methods that need no network reach on the same images, and how the network compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from edgebench.records.declared import Amount, Count, MaybeSha256, Share, Signed

VERDICTS: dict[str, str] = {"above": "above", "unclear": "not clearly above", "below": "below"}  # of Beside, in words
FloorName = Literal["majority", "neighbours", "linear", "kernel"]
MOST_IMAGES = 20_000  # a training of more images has no floor


@dataclass(frozen=True, kw_only=True)
class FloorMethod:
    """One method. Its settings were chosen on validation; accuracies are shares in [0, 1] of the splits of the Floor.

    `train_images`: how many it learned from. `limited`: why these are not all, or why it tried fewer settings, or was
    left out. What was left out has no accuracies.
    """

    name: FloorName
    settings: dict[str, Any] = field(default_factory=dict)
    train_images: Count = 0
    validation_accuracy: Share | None = None
    test_accuracy: Share | None = None
    seconds: Amount = 0.0
    limited: str = ""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The trained network beside the best method, on the same test images.

    `difference` is the network's accuracy minus the floor's, with a 95 % interval for paired answers. `only_network`
    and `only_floor`: images that one alone has right. The verdict is "above" or "below" where the interval excludes 0.
    """

    images: Count
    network_accuracy: Share
    floor_accuracy: Share
    only_network: Count
    only_floor: Count
    difference: Signed
    low: Signed
    high: Signed
    verdict: Literal["above", "unclear", "below"]


@dataclass(frozen=True, kw_only=True)
class Floor:
    """All methods on the splits with this `indices_sha256`; `best` is the method with the best validation accuracy.

    `test_images` may be fewer than the test split has: the first ones, which hold all classes in proportion.
    `pixels_sha256` is of the small images. `reused`: it was computed for an earlier training on the same images.
    `interrupted`: Ctrl-C ended it. `best` and `beside` are None if there was nothing to compare with.
    """

    indices_sha256: MaybeSha256
    pixels_sha256: MaybeSha256
    validation_images: Count
    test_images: Count
    methods: tuple[FloorMethod, ...]
    best: FloorName | None
    seconds: Amount
    libraries: dict[str, str]
    beside: Beside | None = None
    reused: bool = False
    interrupted: bool = False

    @property
    def best_method(self) -> FloorMethod | None:
        return next((method for method in self.methods if method.name == self.best), None)
