"""All that a training needs before its first step: images, network, and the config with every default filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine.device import available_cores
from edgebench.protocols import Pixels
from edgebench.records import account_text
from edgebench.records.beginning import Beginning
from edgebench.records.levels import Levels
from edgebench.records.recipe import TrainConfig
from edgebench.specs import ModelInfo, Preprocessing
from edgebench.training import beginnings, data, distilling, models, optimization, sizing, small_maps
from edgebench.training.batches import normalisation
from edgebench.training.data import contrast, mirroring
from edgebench.training.data.levels import Depths
from edgebench.training.data.sources import Decoding
from edgebench.training.distilling import Lesson
from edgebench.training.distributed import World

EPOCHS, MOST_EPOCHS = 8, 16  # the default, and that of a small set: as many as give LEAST_STEPS
LEAST_STEPS = 220
PROGRESSIVE = 0.6
LAYER_DECAY = 0.85
STATISTICS_IMAGES = 10_000  # mean and deviation are taken from so many: more change nothing in the third digit


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A run before its first step; the network is on the device of this process.

    `batch_size`: images that one process computes at once. `step_size`: images that move the weights once, those of all
    processes and of all accumulated batches together. `steps`: in an epoch. `learned`: the images that an epoch goes
    over; those of the training split, or all of the `lesson` that a teacher gives. `normalised`: uint8 (n, 3, h, w) on
    the device → float.
    """

    config: TrainConfig
    splits: data.Splits
    learned: data.Images
    lesson: Lesson | None
    beginning: Beginning
    network: nn.Module
    info: ModelInfo
    preprocessing: Preprocessing
    normalised: Callable[[torch.Tensor], torch.Tensor]
    batch_size: int
    step_size: int
    steps: int


def prepare(
    config: TrainConfig,
    world: World,
    *,
    out: Path,
    answers: Path | None,
    resumed: Beginning | None,
    planned: str | None,
    say: Callable[[str], None],
    on_image: Callable[[int, int], None],
    on_answer: Callable[[int, int], None],
    on_weights: Callable[[str, int, int], None],
    left_s: float | None = None,
) -> Setup:
    """Read the images and build the network.

    `out`: the future checkpoint; `answers`: the folder that keeps a teacher's answers (None: they are not kept).
    `resumed`: what a run began with that goes on now; it gets its weights later, from its saved state. `planned`: the
    identity of the beginning that was found when this training was planned. `left_s`: of a training that was given a
    time, which then also decides the size of small images for learned weights.
    """
    dataset = data.of(config)
    asked, flip = config.flip, dataset.flip if config.flip is None else config.flip
    with world.leader_first():
        began = resumed or beginnings.check(beginnings.find(config, planned=planned, on_bytes=on_weights), config)
    enlarge = began.learned and left_s is not None and config.image_size is None
    size, why = _image_size(config, dataset, began)
    config = replace(config, image_size=size, flip=flip)
    decoding = Decoding(skip_broken=config.skip_broken, stream=config.stream, on_progress=on_image)

    def read(size: int, depths: Depths | None = None) -> data.Splits:
        return data.load(
            dataset, config.subset, size, config.seed, depths=depths,
            skip_broken=config.skip_broken, stream=config.stream, on_progress=on_image,
        )  # fmt: skip

    with world.leader_first():
        splits = read(config.image_size)
    if splits.info.account:
        for line in account_text.short(splits.info.account):
            say(line)
    say(f"images: {size} pixels a side, {why}")
    if enlarge and config.image_size < sizing.SIZES[-1]:
        size = int(world.told(_enlarged(config, splits, left_s)))
        say(f"{config.image_size} → {size} pixels: for learned weights, the largest that fits into the time")
        config = replace(config, image_size=size)
        splits = read(size, splits.depths)
    for sentence in contrast.notices(splits):
        say(sentence)
    config = mirroring.settled(config, asked, splits, say)
    image_size, levels = config.image_size, splits.depths.levels

    def labelled_at(size: int, theirs: Levels | None) -> Pixels:
        alike = (size, theirs) == (image_size, levels)
        return (splits if alike else read(size, replace(splits.depths, levels=theirs))).train.images

    with world.leader_first():
        lesson = distilling.prepare(
            config, splits, labelled_at, world.device,
            out=out, folder=answers, decoding=replace(decoding, levels=levels), say=say, on_answer=on_answer,
            on_weights=on_weights,
        ) if config.distill else None  # fmt: skip
    learned = lesson.images if lesson else splits.train
    network, info, began = _network(config, len(splits.info.classes), began, world, say, resumed=resumed is not None)
    network = network.to(world.device)
    if config.channels_last:  # it halves the time of a depthwise network on a CPU
        network = network.to(memory_format=torch.channels_last)
    if world.device.type == "cpu" and not config.compile:
        small_maps.hasten(network)
    preprocessing = preprocessing_for(config, info, began, splits)

    sizes = _batches(config, len(learned), world)
    batches = sizes["steps"] * config.accumulate
    if models.hasten_statistics(network, batches):
        say(f"raised the momentum of batch normalisation: an epoch has only {batches} batch{'es' * (batches != 1)}")
    threads = config.threads or worthwhile_threads(info.macs * sizes["batch_size"])
    fits_head = began.learned and models.linear_head(network, len(splits.info.classes)) is not None
    growing = config.progressive  # as asked, None if it was not
    config = replace(config, threads=threads, **_stages(config, began.learned, fits_head, sizes["steps"]))
    config = _one_size(config, network, asked=growing is not None, say=say)
    config = replace(config, lr=config.lr or optimization.default_lr(config, network, learned=began.learned))
    torch.set_num_threads(threads)
    return Setup(
        config=config,
        splits=splits,
        learned=learned,
        lesson=lesson,
        beginning=began,
        network=network,
        info=info,
        preprocessing=preprocessing,
        normalised=normalisation(preprocessing, world.device),
        **sizes,
    )


def with_settings(setup: Setup, network: nn.Module, settings: Mapping[str, Any], world: World) -> Setup:
    """The setup of another training of the same network: `network`, with its first weights, and other settings."""
    config = replace(setup.config, **settings)
    sizes = _batches(config, len(setup.learned), world)
    models.hasten_statistics(network, sizes["steps"] * config.accumulate)
    return replace(setup, config=config, network=network, **sizes)


def _batches(config: TrainConfig, images: int, world: World) -> dict[str, int]:
    """How the images of an epoch are cut: see Setup."""
    batch_size = min(config.batch_size, max(2, images // world.size))
    step_size = min(batch_size * world.size * config.accumulate, images)
    # The rest is dropped: batch normalisation fails on a batch of one.
    return {"batch_size": batch_size, "step_size": step_size, "steps": images // step_size}


def _image_size(config: TrainConfig, dataset: data.Dataset, began: Beginning) -> tuple[int, str]:
    """Pixels a side, and why: one rule for `train` and `pick`."""
    if config.image_size:
        return config.image_size, "as asked"
    if began.learned:
        return dataset.image_size, "for learned weights; --image-size says otherwise"
    return sizing.usual(dataset), "their usual size, at most 224; --image-size says otherwise"


def _enlarged(config: TrainConfig, splits: data.Splits, left_s: float) -> int:
    network, info = models.build(config.model, len(splits.info.classes), sizing.TRIED, config.seed, adapt=config.adapt)
    torch.set_num_threads(config.threads or worthwhile_threads(info.macs * config.batch_size))
    judged = len(splits.test) + EPOCHS * len(splits.validation)
    return sizing.enlarged(network, train=len(splits.train), judged=judged, left_s=left_s)


def _stages(config: TrainConfig, has_weights: bool, fits_head: bool, steps: int) -> dict[str, Any]:
    """The settings of the stages that the recipe leaves open. With a time, the epochs and `amp` follow by measuring."""
    timed = config.minutes is not None
    apart = fits_head and not config.freeze
    head_first = apart if config.head_first is None else config.head_first
    progressive = PROGRESSIVE if timed and not has_weights else 0.0
    return {
        "epochs": config.epochs or (None if timed else min(MOST_EPOCHS, max(EPOCHS, LEAST_STEPS // steps))),
        "amp": config.amp if timed or config.amp != "auto" else "none",
        "head_first": head_first,
        "layer_decay": config.layer_decay or (LAYER_DECAY if head_first else 1.0),
        "progressive": progressive if config.progressive is None else config.progressive,
    }


def _one_size(config: TrainConfig, network: nn.Module, *, asked: bool, say: Callable[[str], None]) -> TrainConfig:
    """Without smaller images at the beginning, if the network takes none. UsageError if they were asked for."""
    smaller = sizing.image_sizes(config)[:-1]
    refused = [size for size in smaller if not models.takes_size(network, size)]
    if not refused:
        return config
    told = f"{config.model} takes no images of {refused[0]} pixels"
    if asked:
        raise UsageError(f"--progressive begins with smaller images, and {told}", "--progressive 0, or another --model")
    say(f"{told}: no smaller images at the beginning")
    return replace(config, progressive=0.0)


def _network(
    config: TrainConfig, classes: int, found: Beginning, world: World, say: Callable[[str], None], *, resumed: bool
) -> tuple[nn.Module, ModelInfo, Beginning]:
    """The network with its first weights, and what it began with: see `beginnings.begin`."""
    number = float(int(found.identity[:12], 16)) if found.sha256 else 0.0
    if world.told(number) != number:
        raise EdgebenchError("the processes of this run found different weights to begin with", "--init FILE or random")
    network, info = models.build(config.model, classes, config.image_size, config.seed, adapt=config.adapt)
    for sentence in info.adapted:
        say(sentence)
    if not resumed:
        found, sentence = beginnings.begin(network, info, found, init=config.init)
        say(sentence)
    if config.freeze:
        if not found.learned:
            raise UsageError(f"--freeze would train the head of a random network: {found.why}", "--init FILE")
        models.freeze(network)
    return network, info, found


def preprocessing_for(config: TrainConfig, info: ModelInfo, began: Beginning, splits: data.Splits) -> Preprocessing:
    """Learned weights need the mean and deviation that they were learned with; new ones take the training set's."""
    learned = models.input_statistics(info, began.weights) if began.learned else None
    if learned:
        mean, std = learned
    else:
        count = len(splits.train)
        some = np.linspace(0, count - 1, min(count, STATISTICS_IMAGES)).astype(np.int64)
        pixels = splits.train.images[some].reshape(-1, 3).astype(np.float32) / 255
        mean, std = pixels.mean(axis=0, dtype=np.float64), np.maximum(pixels.std(axis=0, dtype=np.float64), 1e-3)
    size = config.image_size
    return Preprocessing(
        height=size,
        width=size,
        mean=tuple(round(float(v), 6) for v in mean),
        std=tuple(round(float(v), 6) for v in std),
        levels=splits.depths.levels,
    )


def worthwhile_threads(macs: int) -> int:
    """CPU threads for a forward pass of `macs` MACs: one for each 10⁹, at most the cores that this process may use.

    Threads meet after every operator. In a small network they wait for each other longer than they work, and once
    another program takes a core each meeting waits for the scheduler. Measured: a step of 0.15 · 10⁹ MACs took 107 ms
    on two threads and 98 ms on one; beside a busy neighbour 385 ms and 98 ms.
    """
    return max(1, min(available_cores(), round(macs / 1e9)))
