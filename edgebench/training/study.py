"""Rows that compare trainings which differ in one thing: accuracy against epochs, number of images, or batch size."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebench import artifact
from edgebench.errors import BadFile
from edgebench.records.recipe import TrainConfig
from edgebench.results import context, stats
from edgebench.results.context import TestSplit
from edgebench.specs import Artifact
from edgebench.training import history
from edgebench.training.learning_curve import ImagesNeeded, Learned, needed

# Settings that decide how fast a run is or where it ran, not what it learns: they do not tell trainings apart. What
# `init` became does: see `_began`.
NOT_TOLD = ("data_dir", "threads", "channels_last", "compile", "stream", "skip_broken", "init", "licence", "floor")
PLANNED = {"epochs": None, "ema": None, "amp": "auto"}  # what --minutes decides, from one run to the next differently
FLOOR = "floor (no network)"  # the name of its curve
FEWEST_SEEDS = 3  # two say too little about how seeds differ: their interval would often be 0 to 100 %
FIGURES = ("validation_accuracy", "loss", "seconds", "images_per_s")


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """One run and one accuracy: the first epoch whose validation accuracy reached it, and the seconds until its end.

    Both are None if no epoch reached it.
    """

    run: str
    train_images: int
    reach: float
    epoch: int | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class SubsetAccuracy:
    """The mean test accuracy of several seeds on so many training images, with Student's 95 % interval."""

    run: str
    subset: str
    train_images: int
    accuracy: float
    low: float | None  # None below FEWEST_SEEDS
    high: float | None
    seeds: int


@dataclass(frozen=True, kw_only=True)
class BatchSize:
    """One run: its speed, without the first epoch if it has more, and whether a batch fitted into memory."""

    run: str
    batch_size: int
    fits: bool
    images_per_s: float
    accuracy: float


def records(checkpoint: Artifact) -> list[history.Record]:
    """The record of each epoch of a checkpoint's training. Raises BadFile if it is missing or incomplete."""
    path = artifact.file_in(checkpoint, "history.jsonl")
    found = history.read(path)
    for name in FIGURES:
        if not found or any(record.get(name) is None for record in found):
            raise BadFile(f"{path} lacks the {name} of an epoch", "train again")
    return found


def images_per_s(checkpoint: Artifact) -> float:
    """The training speed in images a second: the median of the epochs, without the first if there are more."""
    speeds = [record["images_per_s"] for record in records(checkpoint)]
    return statistics.median(speeds[1:] or speeds)


def names(checkpoints: Sequence[Artifact], but: Sequence[str] = ()) -> list[str]:
    """A name for each: the model, and the settings and beginnings in which the trainings differ, except `but`.

    Probes differ from trainings in one word and their image size, and from each other as trainings do.
    """
    frozen = [c.training.frozen is not None for c in checkpoints]
    told = [[c.training.config.model] for c in checkpoints]
    for checkpoint, name in zip(checkpoints, told, strict=True):
        name += [f"probe at {checkpoint.preprocessing.height} pixels"] if checkpoint.training.frozen else []
    for kind, without in ((False, but), (True, (*but, "image_size"))):
        rows = [row for row, found in enumerate(frozen) if found == kind]
        configs = [_asked(checkpoints[row]) for row in rows]
        for name in (field.name for field in dataclasses.fields(TrainConfig)):
            if name not in ("model", *NOT_TOLD, *without) and len({getattr(config, name) for config in configs}) > 1:
                for row, config in zip(rows, configs, strict=True):
                    told[row].append(_word(name, getattr(config, name)))
    if len(set(map(_began, checkpoints))) > 1:
        told = [[*name, f"from {title}"] for name, title in zip(told, _titles(checkpoints), strict=True)]
    return list(map(", ".join, told))


def _began(checkpoint: Artifact) -> str:
    """What a training began with: results of different beginnings are never averaged."""
    beginning = checkpoint.training.beginning
    return beginning.identity if beginning else ""


def _titles(checkpoints: Sequence[Artifact]) -> list[str]:
    """A name for the beginning of each. Other files of the same name are told apart by their sha256."""
    began = [c.training.beginning for c in checkpoints]
    titles = [each.title if each else "unknown" for each in began]
    several = {t for t in titles if len({b.identity for b, u in zip(began, titles, strict=True) if b and u == t}) > 1}
    return [f"{t} {b.identity[:8]}" if b and t in several else t for b, t in zip(began, titles, strict=True)]


def convergence(checkpoints: Sequence[Artifact], reach: Sequence[float]) -> list[Convergence]:
    """A row for each checkpoint and each validation accuracy in `reach`."""
    made = []
    for run, checkpoint in zip(names(checkpoints), checkpoints, strict=True):
        epochs = records(checkpoint)
        for share in reach:
            reached = next((record for record in epochs if record["validation_accuracy"] >= share), None)
            made.append(
                Convergence(
                    run=run,
                    train_images=checkpoint.training.data.train,
                    reach=share,
                    epoch=int(reached["epoch"]) if reached else None,
                    seconds=reached["seconds"] if reached else None,
                )
            )
    return made


def samples(checkpoints: Sequence[Artifact]) -> list[SubsetAccuracy]:
    """A row for each subset: the mean over the seeds of trainings that are equal otherwise. Then the floors."""
    trained = _by_subset(checkpoints)
    made = [
        _over_seeds(run, subset, [(c.training.data.train, c.training.test_accuracy) for c in group])
        for (run, subset), group in trained.items()
    ]
    made = sorted(made, key=lambda row: (row.run, row.train_images))
    floors = [
        _over_seeds(run, subset, list(found.values()))
        for (run, subset), found in _floors_by_subset(checkpoints).items()
    ]
    return made + sorted(floors, key=lambda row: (row.run, row.train_images))


def images_needed(checkpoints: Sequence[Artifact], targets: Sequence[float]) -> list[ImagesNeeded]:
    """For each network, and each target that it does not reach yet: how many training images that probably takes."""
    runs: dict[str, list[Artifact]] = {}
    for (run, _), group in _by_subset(checkpoints).items():
        runs.setdefault(run, []).extend(group)
    made = []
    for run, found in sorted(runs.items()):
        most = max(c.training.data.train for c in found)
        reached = statistics.fmean(c.training.test_accuracy for c in found if c.training.data.train == most)
        learned = [
            Learned(
                train_images=c.training.data.train, test_images=c.training.data.test,
                wrong=round((1 - c.training.test_accuracy) * c.training.data.test),
            )
            for c in found
        ]  # fmt: skip
        made += [needed(run, learned, target) for target in sorted(targets) if target > reached]
    return made


def _by_subset(checkpoints: Sequence[Artifact]) -> dict[tuple[str, str], list[Artifact]]:
    groups: dict[tuple[str, str], list[Artifact]] = {}
    for run, checkpoint in zip(names(checkpoints, but=("subset", "seed")), checkpoints, strict=True):
        groups.setdefault((run, checkpoint.training.config.subset), []).append(checkpoint)
    return groups


def _floors_by_subset(checkpoints: Sequence[Artifact]) -> dict[tuple[str, str], dict[str, tuple[int, float]]]:
    """By curve and subset: for each set of images once, how many were for training, and the floor's accuracy."""
    several = len({c.training.data.dataset for c in checkpoints}) > 1
    groups: dict[tuple[str, str], dict[str, tuple[int, float]]] = {}
    for checkpoint in checkpoints:
        training = checkpoint.training
        if training.floor and training.floor.beside:
            run = f"{FLOOR} of {training.data.dataset}" if several else FLOOR
            of_subset = groups.setdefault((run, training.config.subset), {})
            of_subset[training.data.indices_sha256] = (training.data.train, training.floor.beside.floor_accuracy)
    return groups


def _over_seeds(run: str, subset: str, found: Sequence[tuple[int, float]]) -> SubsetAccuracy:
    accuracies = [accuracy for _, accuracy in found]
    mean, n = statistics.fmean(accuracies), len(accuracies)
    low = high = None
    if n >= FEWEST_SEEDS:
        reach = stats.student_t_975(n - 1) * statistics.stdev(accuracies) / math.sqrt(n)
        low, high = max(0.0, mean - reach), min(1.0, mean + reach)
    images = round(statistics.fmean(count for count, _ in found))
    return SubsetAccuracy(run=run, subset=subset, train_images=images, accuracy=mean, low=low, high=high, seeds=n)


def batch_sizes(checkpoints: Sequence[Artifact]) -> list[BatchSize]:
    """A row for each checkpoint, ordered by batch size."""
    made = []
    for run, checkpoint in zip(names(checkpoints, but=("batch_size",)), checkpoints, strict=True):
        training = checkpoint.training
        size = training.config.batch_size
        whole = min(size, training.data.train)  # a batch that is larger than the set takes all of it
        fits = training.part_size is None or training.part_size >= whole
        made.append(
            BatchSize(
                run=run,
                batch_size=size,
                fits=fits,
                images_per_s=images_per_s(checkpoint),
                accuracy=training.test_accuracy,
            )
        )
    return sorted(made, key=lambda row: (row.run, row.batch_size))


def comparable(checkpoints: Sequence[Artifact]) -> list[Artifact]:
    """The newest checkpoint of each recipe, without interrupted ones, so that no training counts twice."""
    whole = [c for c in checkpoints if not c.training.interrupted]
    newest = {_told(c, ()): c for c in sorted(whole, key=lambda c: c.created)}
    return list(newest.values())


def by_test_split(checkpoints: Sequence[Artifact]) -> dict[TestSplit, list[Artifact]]:
    """The checkpoints whose accuracies can be compared, together: by the test split of each group."""
    return context.grouped(checkpoints, lambda checkpoint: context.split_of(checkpoint.training.data))


def with_several(checkpoints: Sequence[Artifact], *varied: str) -> list[Artifact]:
    """The checkpoints for which another one differs only in the settings `varied`."""
    same = [_told(checkpoint, varied) for checkpoint in checkpoints]
    return [c for c, config in zip(checkpoints, same, strict=True) if same.count(config) > 1]


def _told(checkpoint: Artifact, but: Sequence[str]) -> tuple[TrainConfig, str]:
    return dataclasses.replace(_asked(checkpoint), **dict.fromkeys((*but, *NOT_TOLD))), _began(checkpoint)


def _asked(checkpoint: Artifact) -> TrainConfig:
    """The recipe as it was asked for: without what a search found, and what a plan for a time decided."""
    training = checkpoint.training
    config = training.search.asked(training.config) if training.search else training.config
    return dataclasses.replace(config, **PLANNED) if config.minutes else config


def _word(name: str, value: Any) -> str:
    """A setting in a name. What is not asked for is "no search", not "search None"."""
    return f"no {name}" if value is None else f"{name} {value}"
