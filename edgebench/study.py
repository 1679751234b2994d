"""How training behaves: accuracy against epochs, against the number of images, and against the batch size."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench import artifact, stats, tracking
from edgebench.recipe import TrainConfig
from edgebench.specs import Artifact
from edgebench.unfinished import Unfinished

History = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Convergence:
    """Of one run: the first epoch whose validation accuracy reached a share, and the seconds until its end; or None."""

    model: str
    seed: int
    images: int
    share: float
    epoch: int | None
    seconds: float | None


@dataclass(frozen=True)
class Samples:
    """The mean test accuracy of several seeds on so many training images, with Student's 95 % interval."""

    model: str
    subset: str
    images: int
    accuracy: float
    low: float | None  # None for one seed
    high: float | None
    seeds: int


@dataclass(frozen=True)
class BatchSize:
    """Of one run: its speed without the first epoch, where it has more, and whether a batch fitted into memory."""

    model: str
    batch_size: int
    fits: bool
    images_per_s: float
    accuracy: float


def trained(config: TrainConfig, out: Path, train: Callable[[bool], Artifact]) -> Artifact:
    """The checkpoint in `out` if it is of this recipe, else the one that `train(resume)` makes there."""
    if (out / "checkpoint.json").is_file():
        found = artifact.read(out)
        if not found.training.interrupted:
            return found
    return train(Unfinished(out).exists())


def history(checkpoint: Artifact) -> History:
    """The record of each epoch of a checkpoint's training."""
    return tracking.read_history(artifact.file_in(checkpoint, "history.jsonl"))


def convergence(checkpoints: Sequence[Artifact], shares: Sequence[float]) -> list[Convergence]:
    """A row for each checkpoint and each share of validation images to be right."""
    made = []
    for checkpoint in checkpoints:
        config, records = checkpoint.training.config, history(checkpoint)
        for share in shares:
            reached = next((r for r in records if r["validation_accuracy"] >= share), None)
            when = (reached["epoch"], reached["seconds"]) if reached else (None, None)
            made.append(Convergence(config.model, config.seed, checkpoint.training.data.train, share, *when))
    return made


def samples(checkpoints: Sequence[Artifact]) -> list[Samples]:
    """A row for each model and subset, over the seeds."""
    groups: dict[tuple[str, str], list[Artifact]] = {}
    for checkpoint in checkpoints:
        config = checkpoint.training.config
        groups.setdefault((config.model, config.subset), []).append(checkpoint)
    made = []
    for (model, subset), group in groups.items():
        accuracies = [c.training.test_accuracy for c in group]
        mean, n = statistics.fmean(accuracies), len(accuracies)
        low = high = None
        if n > 1:
            reach = stats.student_t_975(n - 1) * statistics.stdev(accuracies) / math.sqrt(n)
            low, high = max(0.0, mean - reach), min(1.0, mean + reach)
        images = round(statistics.fmean(c.training.data.train for c in group))
        made.append(Samples(model, subset, images, mean, low, high, n))
    return sorted(made, key=lambda row: (row.model, row.images))


def batch_sizes(checkpoints: Sequence[Artifact]) -> list[BatchSize]:
    """A row for each checkpoint."""
    made = []
    for checkpoint in checkpoints:
        training = checkpoint.training
        speeds = [record["images_per_s"] for record in history(checkpoint)]
        size = training.config.batch_size
        made.append(
            BatchSize(
                training.config.model, size, training.part_size is None or training.part_size >= size,
                statistics.median(speeds[1:] or speeds), training.test_accuracy,
            )
        )  # fmt: skip
    return made
