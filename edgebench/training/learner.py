"""The network and all that moves its weights: one training step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from edgebench.training import augment, models, optimization, stages
from edgebench.training.distilling import UNLABELLED, Teaching
from edgebench.training.distributed import World
from edgebench.training.gradients import Accumulation
from edgebench.training.setup import Setup

# Of fp16's gradients. From torch's 65,536 the scale has to be halved until nothing overflows, and each time a step is
# lost: 5 of the 28 steps of mobilenetv3_small_050 on 600 digits. Gradients differ as little from fp32's at 1,024.
FIRST_SCALE = 1024.0
AMP = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Learner:
    """Holds a network, its optimizer, the scaler of fp16's gradients, and the moving average of its weights (or None).

    `part_size`: images in memory at once; `say` hears when they turn out to be too many.
    """

    def __init__(self, setup: Setup, world: World, *, part_size: int, say: Callable[[str], None]) -> None:
        config, network = setup.config, setup.network
        self.network = network
        self.optimizer = optimization.optimizer(network, config)
        self.average = optimization.average(network, config.ema) if config.ema else None
        self.scaler = torch.amp.GradScaler(world.device.type, init_scale=FIRST_SCALE, enabled=config.amp == "fp16")
        self._setup, self._device_type = setup, world.device.type
        self.teaching = (
            Teaching(setup.lesson, config, network, len(setup.splits.info.classes)) if setup.lesson else None
        )
        if self.projection:
            optimization.add(self.optimizer, self.projection, config)
        running = self.teaching.module if self.teaching else network
        self._running = world.wrap(torch.compile(running) if config.compile else running)
        self._gradients = Accumulation(self._running, part_size, self.scaler, say)

    @property
    def judged(self) -> nn.Module:
        """The network whose accuracy counts: the averaged one where there is an average."""
        return self.average.module if self.average else self.network

    @property
    def projection(self) -> nn.Module | None:
        """The layer that reads a teacher's features off the network's: it learns, but is no part of the checkpoint."""
        return self.teaching.projection if self.teaching else None

    @property
    def part_size(self) -> int:
        return self._gradients.part_size

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the judged network's weights, on the CPU."""
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.judged.state_dict().items()}

    def begin_epoch(self) -> None:
        """Put the network into training mode, except for what stays as it is."""
        self.network.train()
        models.keep_frozen(self.network)
        if self._setup.config.head_first:
            stages.keep_statistics(self.network)

    def step(
        self, images: torch.Tensor, labels: torch.Tensor, draw: torch.Generator, *, progress: float, size: int
    ) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Move the weights once, by uint8 images (n, 3, h, w) and the labels (n,) of `setup.learned`, at the share
        `progress` of the run. `size`: pixels a side that the network sees.

        Returns the mean loss, how many images were classified right of how many with a class, int64 (2,), and the
        learning rate as a share of its peak.
        """
        config = self._setup.config
        mirrored = augment.drawn(len(images), draw) if config.flip else False
        images = augment.augment(images, draw, flip=mirrored, shift=config.shift, policy=config.augment)
        if self.teaching:
            labels = self.teaching.rows(labels, mirrored)
        lr_share = optimization.set_lr(self.optimizer, progress, config.warmup)
        loss, correct = self._gradients.backward(images, labels, partial(self._loss, draw, size))
        if config.clip_grad:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update_parameters(self.network)
        return loss, correct, lr_share

    def _loss(
        self, draw: torch.Generator, size: int, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        config, teaching = self._setup.config, self.teaching
        targets, classes = labels, len(self._setup.splits.info.classes)
        if teaching:
            targets, labels = teaching.targets(labels), teaching.classes(labels)
        inputs = self._setup.normalised(images)
        if size != images.shape[-1]:
            inputs = F.interpolate(inputs, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
        inputs, targets = augment.mix(inputs, targets, draw, classes=classes, mixup=config.mixup, cutmix=config.cutmix)
        with torch.autocast(self._device_type, AMP[config.amp], enabled=config.amp != "none"):
            outputs = self._running(inputs)
            if teaching:
                loss, logits = teaching.loss(outputs, targets)
            else:
                loss, logits = F.cross_entropy(outputs, targets, label_smoothing=config.label_smoothing), outputs
        return loss, torch.stack([(logits.argmax(1) == labels).sum(), (labels != UNLABELLED).sum()])
