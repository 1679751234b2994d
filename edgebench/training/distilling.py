"""Learning from a teacher: what it answers to each training image and frame, and the loss that this makes.

A student learns from labels by cross entropy, and from the teacher by its softened logits (Hinton, Vinyals & Dean,
2015, arXiv:1503.02531) or by its features, which a linear layer reads off the student's features (Romero et al.,
FitNets, 2015, arXiv:1412.6550). The teacher answers once to each image and its mirror image; an image that augmentation
moves or recolours keeps the answer. Beyer et al. (2022, arXiv:2106.05237) let the teacher see exactly what the student
sees. It gains accuracy in long trainings, and costs the teacher's time at every step.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from edgebench.errors import UsageError
from edgebench.protocols import Pixels
from edgebench.records.distillation import Distillation
from edgebench.records.levels import Levels
from edgebench.records.recipe import TrainConfig
from edgebench.training import answers, models, teacher
from edgebench.training.batches import ON_DEVICE_BYTES
from edgebench.training.data import Images, Splits, frames
from edgebench.training.data.sources import Decoding
from edgebench.training.teacher import Teacher

UNLABELLED = -1  # the class of a frame
STATISTICS_IMAGES = 10_000  # mean and deviation of features are taken from so many


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What there is to learn: the labelled training images, then the frames.

    The `labels` of `images` are rows of `classes`, int64 (n,), and of `answers` (views · n, d), where the mirror images
    follow the n plain ones; those may be on the CPU where all else is on another device.
    """

    images: Images
    classes: torch.Tensor
    answers: torch.Tensor
    record: Distillation


def prepare(
    config: TrainConfig,
    splits: Splits,
    labelled_at: Callable[[int, Levels | None], Pixels],
    device: torch.device,
    *,
    out: Path,
    folder: Path | None,
    decoding: Decoding,
    say: Callable[[str], None],
    on_answer: Callable[[int, int], None],
    on_weights: Callable[[str, int, int], None],
) -> Lesson:
    """Read the frames, and let the teacher answer. `labelled_at(size, levels)`: the training images at another
    size and by other levels.

    `out`: the student's checkpoint; `folder`: where answers are kept. Raises UsageError for a teacher or frames that do
    not fit the student.
    """
    assert config.distill and config.image_size
    found = teacher.find(
        config.distill, config.distill_size, splits.info, out, student=config, on_weights=on_weights
    )  # fmt: skip
    if found.teaches == "features" and config.freeze:
        raise UsageError("--freeze leaves nothing that could learn a teacher's features", "drop --freeze or --distill")
    if found.same_splits is False:
        say(
            f"the teacher {found.name} was trained on other splits: it may have seen validation images with their "
            "labels, which makes the student's validation accuracy look better than it is"
        )
    record = Distillation(
        teacher=found.name, identity=found.identity, teaches=found.teaches, image_size=found.preprocessing.height,
        same_splits=found.same_splits,
    )  # fmt: skip
    levels = found.preprocessing.levels or splits.depths.levels  # those that the teacher learned with
    here, theirs = [splits.train.images], [labelled_at(record.image_size, levels)]
    if config.unlabelled:
        seen = frames.read(Path(config.unlabelled), splits, config.image_size, decoding, dataset=config.dataset)
        here.append(seen.images)
        theirs.append(seen.at(record.image_size, levels))
        record = replace(
            record, frames=len(seen.images), frames_sha256=seen.sha256, known=seen.known, copies=seen.copies,
            skipped=seen.skipped,
        )  # fmt: skip
        if seen.known or seen.copies:
            say(f"left out {seen.known} frames that are training images, and {seen.copies} that equal another frame")
    # Frames apart from labelled images: another seed or subset labels other images, and leaves the frames as they are.
    parts = [_answers(found, images, bool(config.flip), device, folder, say, on_answer) for images in theirs]
    told = torch.from_numpy(np.concatenate([answered for answered, _ in parts], axis=1))
    seconds = [took for _, took in parts if took is not None]
    classes = np.full(sum(map(len, here)), UNLABELLED, np.int64)
    classes[: len(splits.train)] = splits.train.labels
    return Lesson(
        images=Images(_joined(here), np.arange(len(classes))),
        classes=torch.from_numpy(classes).to(device),
        answers=_near(told.flatten(0, 1), device),
        record=replace(record, answered_s=sum(seconds) if seconds else None),
    )


def _answers(
    found: Teacher, images: Pixels, mirror: bool, device: torch.device, folder: Path | None,
    say: Callable[[str], None], on_answer: Callable[[int, int], None],
) -> tuple[np.ndarray, float | None]:  # fmt: skip
    """The teacher's answers (views, n, d), and the seconds that they took, None if they were kept from before.

    They are kept under a hash of all that they depend on: the teacher, and the pixels that it sees.
    """
    what = hashlib.sha256(f"{found.identity} {found.teaches} {found.preprocessing} {mirror}".encode())
    for digest in frames.hashes(images):
        what.update(digest)
    began, took = time.monotonic(), None

    def make() -> np.ndarray:
        nonlocal took
        made = found.answers(images, device, mirror=mirror, on_image=lambda done: on_answer(done, len(images)))
        took = round(time.monotonic() - began, 3)
        return made

    size = found.preprocessing.height
    told = answers.kept(folder, what.hexdigest()[:32], make, say)
    how = f"answered in {took:.1f} s" if took is not None else "answered before: its answers are kept"
    say(f"the teacher {found.name} ({found.teaches}) saw {len(images):,} images of {size} × {size} and {how}")
    return told, took


def _near(answers: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The answers on the device, unless they are too many: then they stay on the CPU."""
    return answers.to(device) if answers.nbytes <= ON_DEVICE_BYTES else answers


def _joined(parts: list[Pixels]) -> Pixels:
    """Several sets of images as one: in memory if that is small, as BatchReader wants it."""
    if len(parts) == 1:
        return parts[0]
    if sum(map(len, parts)) * parts[0][:1].nbytes <= ON_DEVICE_BYTES:
        return np.concatenate([part[:] for part in parts])
    return _Joined(*parts)


class _Joined:
    """Two sets of images, one after the other (see Pixels)."""

    def __init__(self, first: Pixels, second: Pixels) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        wanted = np.arange(len(self))[rows]
        in_first = wanted < len(self._first)
        images = np.empty((len(wanted), *self._first[:1].shape[1:]), np.uint8)
        images[in_first] = self._first[wanted[in_first]]
        images[~in_first] = self._second[wanted[~in_first] - len(self._first)]
        return images


class Teaching:
    """The loss of a student with a teacher. `module` is what a step runs: the student, or with it a layer that reads
    the teacher's features off the student's."""

    def __init__(self, lesson: Lesson, config: TrainConfig, student: nn.Module, classes: int) -> None:
        self._lesson, self._config, self._classes = lesson, config, classes
        self.module = student
        self.projection: nn.Linear | None = None
        labelled = lesson.classes != UNLABELLED
        # Cross entropy is a mean over the labelled images alone, however few of a batch they are.
        self._scale = len(labelled) / int(labelled.sum())
        if lesson.record.teaches == "features":
            some = np.linspace(0, len(labelled) - 1, min(len(labelled), STATISTICS_IMAGES)).astype(np.int64)
            plain = lesson.answers[torch.from_numpy(some).to(lesson.answers.device)].to(labelled.device).float()
            self._mean, self._std = plain.mean(0), plain.std(0, correction=0).clamp_min(1e-6)
            self.module = _Reader(student, lesson.answers.shape[1], config.image_size or 0, config.seed)
            self.projection = self.module.projection

    def rows(self, rows: torch.Tensor, mirrored: torch.Tensor | bool) -> torch.Tensor:
        """The rows of the answers to these images, int64 (n,), some of which are mirrored, bool (n,)."""
        if isinstance(mirrored, bool):
            return rows
        return rows + mirrored.to(rows.device) * len(self._lesson.classes)

    def targets(self, rows: torch.Tensor) -> torch.Tensor:
        """What to learn of each image, (n, classes + d): the class, zeros for a frame; then the teacher's answer."""
        config, labels = self._config, self.classes(rows)
        labelled = (labels != UNLABELLED).float()[:, None] * self._scale
        hard = F.one_hot(labels.clamp_min(0), self._classes).float()
        hard = torch.lerp(hard, torch.full_like(hard, 1 / self._classes), config.label_smoothing)
        told = self._lesson.answers
        answer = told[rows.to(told.device)].to(rows.device).float()
        soft = (answer / config.temperature).softmax(1) if self.projection is None else self._standard(answer)
        return torch.cat([hard * labelled, soft], dim=1)

    def classes(self, rows: torch.Tensor) -> torch.Tensor:
        """The class of each image, int64 (n,); UNLABELLED for a frame."""
        return self._lesson.classes[rows % len(self._lesson.classes)]

    def loss(
        self, outputs: torch.Tensor | tuple[torch.Tensor, torch.Tensor], targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean loss, and the logits (n, classes), of what `module` put out."""
        config = self._config
        hard, soft = targets[:, : self._classes], targets[:, self._classes :]
        logits, seen = (outputs, None) if isinstance(outputs, torch.Tensor) else outputs
        by_labels = -(hard * logits.float().log_softmax(1)).sum(1).mean()
        if seen is None:
            softened = (logits.float() / config.temperature).log_softmax(1)
            by_teacher = config.temperature**2 * F.kl_div(softened, soft, reduction="batchmean")
        else:
            by_teacher = 1 - F.cosine_similarity(seen.float(), soft).mean()
        return (1 - config.distill_weight) * by_labels + config.distill_weight * by_teacher, logits

    def _standard(self, features: torch.Tensor) -> torch.Tensor:
        """Features with mean 0 and deviation 1: else the cosine of any two images is near 1."""
        return (features - self._mean) / self._std


class _Reader(nn.Module):
    """A student that puts out its logits and its reading of the teacher's `wanted` features."""

    def __init__(self, student: nn.Module, wanted: int, size: int, seed: int) -> None:
        super().__init__()
        self.student = student
        self._seen: torch.Tensor | None = None
        heads = models.classifier_names(student)
        if not heads:
            raise UsageError(
                "the student has no linear layer as its classifier, so its features are not known",
                "take a checkpoint as its teacher, which teaches by its logits",
            )
        student.get_submodule(heads[0]).register_forward_pre_hook(self._see)
        like = next(student.parameters())
        student.eval()
        with torch.no_grad():
            student(torch.zeros(1, 3, size, size, device=like.device))
        found = self._features().shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.projection = nn.Linear(found, wanted).to(like.device)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.student(images)
        return logits, self.projection(self._features())

    def _see(self, head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._seen = inputs[0]

    def _features(self) -> torch.Tensor:
        """What the student's classifier was given last."""
        assert self._seen is not None
        seen, self._seen = self._seen, None
        return seen.flatten(1)
