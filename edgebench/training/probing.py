"""`probe`: fits classifiers to a backbone's frozen features, and keeps the linear one as an ordinary checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from edgebench import artifact
from edgebench.errors import UsageError
from edgebench.protocols import Pixels
from edgebench.records.beginning import Beginning
from edgebench.records.heads import FrozenFeatures
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact, Training
from edgebench.training import beginnings, checkpoint, data, floor, heads, models
from edgebench.training.backbone import Backbone, divided
from edgebench.training.data import mirroring
from edgebench.training.features import Features
from edgebench.training.heads import Labelled, LinearHead
from edgebench.training.resuming import RunState
from edgebench.training.setup import Setup, preprocessing_for

OnImage = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Told:
    """Whom a probe tells: `say` a sentence now and then, `on_image` (what, done, total) at each block of images,
    `on_weights` (name, bytes done, bytes in all) while weights are fetched."""

    say: Callable[[str], None] = lambda sentence: None
    on_image: OnImage = lambda what, done, total: None
    on_weights: OnImage = lambda name, done, total: None


class Probing:
    """A backbone at one image size on one dataset: its features and the heads, each made when first asked for.

    `config` names the network, its weights, the data and the size. A context manager, which closes the runtime.
    `features`: the folder of the cache; `planned`: as in `beginnings.find`; `linear_only`: leave out the heads that no
    network has. Raises UsageError for a network that begins with random weights or has no linear classifier, BadFile
    for weights of another one.
    """

    def __init__(
        self, config: TrainConfig, splits: data.Splits, features: Path, told: Told, *, planned: str | None = None,
        linear_only: bool = False,
    ) -> None:  # fmt: skip
        self.config, self.splits, self._told, self._linear_only = config, splits, told, linear_only
        self._began = time.monotonic()
        self.backbone, self.beginning = _backbone(config, splits, planned, told)
        untrained = Training(
            config=config, data=splits.info, best_epoch=0, validation_accuracy=math.nan, test_accuracy=math.nan,
            seconds=0.0,
        )  # fmt: skip
        self._features = Features(self.backbone, untrained, features, told.say)

    def __enter__(self) -> Probing:
        return self

    def __exit__(self, *exc: object) -> None:
        self._features.__exit__(*exc)

    @cached_property
    def linear(self) -> LinearHead:
        return self._fitted[0]

    @cached_property
    def frozen(self) -> FrozenFeatures:
        return self._fitted[1]

    @cached_property
    def _fitted(self) -> tuple[LinearHead, FrozenFeatures]:
        began, splits, classes = time.monotonic(), self.splits, len(self.splits.info.classes)
        plain = self._of("training", splits.train.images)
        judged = Labelled(self._of("validation", splits.validation.images), splits.validation.labels)
        train = Labelled(plain, splits.train.labels)
        if self.config.flip:
            mirrored = self._of("mirrored training", splits.train.images, mirrored=True)
            train = Labelled(np.concatenate([plain, mirrored]), np.tile(splits.train.labels, 2))
        seconds, engine = time.monotonic() - began, self._features.engine
        best = heads.linear(train, judged, classes, balanced=self.config.balance)
        more = () if self._linear_only else (heads.neighbours, heads.kernel)
        others = [fit(train, judged, classes) for fit in more]
        accuracies = ", ".join(f"{head.kind} {head.validation_accuracy:.1%}" for head in (best.told, *others))
        self._told.say(f"{self.config.model}: {accuracies} on validation")
        return best, FrozenFeatures(
            width=self.backbone.width, mirrored=bool(self.config.flip), runtime=engine.name, version=engine.version,
            heads=(best.told, *others), computed=self._features.computed, seconds=round(seconds, 3),
        )  # fmt: skip

    def keep(self, out: Path, floors: Path | None = None) -> Artifact:
        """Judge the linear head on the test split, once, and write the checkpoint folder `out`, with its floor.

        `floors`: the folder of those that were computed before.
        """
        artifact.ensure_writable(out)
        head, splits, frozen = self.linear, self.splits, self.frozen
        seconds, images = time.monotonic() - self._began, len(splits.train) * (1 + frozen.mirrored)
        record = {
            "epoch": 1, "loss": head.train_loss, "train_accuracy": head.train_accuracy,
            "validation_accuracy": head.told.validation_accuracy, "lr": 0.0, "images_per_s": images / seconds,
            "seconds": seconds,
        }  # fmt: skip
        state = RunState(
            config=self.config, epoch=1, best_epoch=1, best_accuracy=head.told.validation_accuracy,
            part_size=images, seconds=seconds, history=(record,),
        )  # fmt: skip
        network = self.backbone.with_classifier(head.weight, head.bias)
        setup = Setup(
            config=self.config, splits=splits, learned=splits.train, lesson=None, beginning=self.beginning,
            network=network,
            info=self.backbone.info, preprocessing=self.backbone.preprocessing, normalised=torch.Tensor.float,
            batch_size=images, step_size=images, steps=1,
        )  # fmt: skip
        first = checkpoint.write(out, network, self._logits, setup, state, interrupted=False, frozen=frozen)
        if self.config.floor:
            floor.add(out, splits, first, floors, say=self._told.say)
        return artifact.read(out)

    def _logits(self, images: Pixels) -> np.ndarray:
        features = self._of("test", images).astype(np.float32)
        return features @ self.linear.weight.T + self.linear.bias

    def _of(self, what: str, pixels: Pixels, *, mirrored: bool = False) -> np.ndarray:
        return self._features.of(
            pixels,
            lambda done, total: self._told.on_image(f"features of {what} images", done, total),
            mirrored=mirrored,
        )


def probe(
    config: TrainConfig, out: Path, features: Path, told: Told, *, planned: str | None = None,
    floors: Path | None = None,
) -> Artifact:  # fmt: skip
    """Fit a linear head to the features of `config`'s network, and write the checkpoint folder `out`; see Probing.

    With `config.floor` it has its floor too; `floors`: the folder of those that were computed before.
    """
    dataset = data.of(config)
    asked, config = config.flip, recipe(config, dataset)
    images = splits(config, dataset, told)
    config = mirroring.settled(config, asked, images, told.say)
    with Probing(config, images, features, told, planned=planned, linear_only=True) as made:
        return made.keep(out, floors)


def splits(config: TrainConfig, dataset: data.Dataset, told: Told) -> data.Splits:
    """The images of a recipe: those that a training with the same settings has."""
    return data.load(
        dataset, config.subset, config.image_size, config.seed, skip_broken=config.skip_broken, stream=config.stream,
        test_later=True, on_progress=partial(told.on_image, "images read"),
    )  # fmt: skip


def recipe(config: TrainConfig, dataset: data.Dataset) -> TrainConfig:
    """The config with all that the network and the dataset decide: the size that its weights were made for, and
    whether mirror images count."""
    size = config.image_size or models.usual_size(config.model) or dataset.image_size
    flip = dataset.flip if config.flip is None else config.flip
    return replace(config, image_size=size, flip=flip, freeze=True, epochs=1, shift=0.0)


def _backbone(config: TrainConfig, splits: data.Splits, planned: str | None, told: Told) -> tuple[Backbone, Beginning]:
    found = beginnings.check(beginnings.find(config, planned=planned, on_bytes=told.on_weights), config)
    network, info = models.build(
        config.model, len(splits.info.classes), config.image_size, config.seed, adapt=config.adapt
    )
    for sentence in info.adapted:
        told.say(f"{config.model}: {sentence}")
    began, sentence = beginnings.begin(network, info, found, init=config.init)
    if not began.learned:
        reason = f": {began.why}" if began.why else ""
        raise UsageError(
            f"{config.model} would begin with random weights, whose features say little about the images{reason}",
            "--init FILE.safetensors",
        )
    told.say(sentence)
    return divided(network, info, preprocessing_for(config, info, began, splits)), began
