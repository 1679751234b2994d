"""`python -m edgebench.training.sieve ASKED ANSWER`: compares many learned backbones on a few small images, in a time.

Successive halving: all candidates see the same few training images; the better half sees twice as many, and so on.
What counts is how well their frozen features tell the classes apart. No validation or test image is used.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine.children import end_with_parent
from edgebench.machine.device import available_cores
from edgebench.records import jsonio
from edgebench.records.recipe import TrainConfig
from edgebench.records.sifted import Sieve, SieveAnswer, Sifted
from edgebench.training import beginnings, data, models
from edgebench.training.backbone import divided
from edgebench.training.batches import normalisation
from edgebench.training.setup import preprocessing_for

PIXELS = 96  # a side: most networks still see 3 × 3 at their end, and it takes a fifth of the time of 224
LEAST_IMAGES, PER_CLASS = 64, 4  # in the first round
MOST_IMAGES = 512
KEPT = 3  # candidates with which the halving ends
BUILDING = 0.6  # of the time; what is not built by then is left out
TOO_SLOW = 5.0  # times its share of the first round
BLOCK = 16  # images of a forward pass
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # times the mean eigenvalue

Clock = Callable[[], float]
Keep = Callable[[SieveAnswer], None]


@dataclass(kw_only=True)
class _Candidate:
    """A network that is being compared. `spent_s` is the time of one worker."""

    config: TrainConfig
    body: nn.Module
    normalised: Callable[[torch.Tensor], torch.Tensor]
    images: data.Images
    classes: int
    usual_size: int | None
    device: torch.device
    features: list[np.ndarray] = field(default_factory=list)
    done: int = 0
    spent_s: float = 0.0
    accuracy: float | None = None
    rounds: int = 0
    why: str = ""

    def told(self, workers: int) -> Sifted:
        image_s = self.spent_s / self.done / workers if self.done else None
        return Sifted(
            model=self.config.model, accuracy=self.accuracy, images=self.done if self.accuracy is not None else 0,
            pixels=self.config.image_size, image_s=image_s, usual_size=self.usual_size, rounds=self.rounds,
            why=self.why,
        )  # fmt: skip


def sift(asked: Sieve, *, keep: Keep = lambda answer: None, clock: Clock = time.monotonic) -> SieveAnswer:
    """Compare the candidates within `asked.seconds`. `keep` gets the answer so far after each round.

    A candidate that cannot be compared, such as a network whose last layer is no linear classifier, says why.
    """
    began, on_gpu = clock(), torch.cuda.is_available()
    deadline, workers = began + asked.seconds, 1 if on_gpu else max(1, available_cores())
    torch.set_num_threads(1)  # each worker has a core to itself: threads of one network would wait for each other
    models.import_timm()  # here: threads that import it at the same time get half of it
    failed: list[Sifted] = []
    read = _Reader()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def build(config: TrainConfig) -> _Candidate | Sifted:
            if clock() > began + BUILDING * asked.seconds:
                return Sifted(model=config.model, why="there was no time to look at its features")
            try:
                return _built(config, asked.planned.get(config.model), read, torch.device("cuda" if on_gpu else "cpu"))
            except EdgebenchError as error:
                return Sifted(model=config.model, why=error.message)
            except Exception as error:  # a network may fail in any way: the others are compared without it
                return Sifted(model=config.model, why=f"{type(error).__name__}: {error}")

        built = list(pool.map(build, asked.configs))
        failed += [one for one in built if isinstance(one, Sifted)]
        ranked = alive = [one for one in built if isinstance(one, _Candidate)]
        share_s = (deadline - clock()) * workers / max(1, len(alive))
        wanted = min((max(LEAST_IMAGES, PER_CLASS * one.classes) for one in alive), default=0)
        wanted = min((wanted, *(len(one.images) for one in alive)))
        while alive and (not alive[0].rounds or _fits(alive, wanted, workers, deadline - clock())):
            most_s = math.inf if alive[0].rounds else TOO_SLOW * share_s
            list(pool.map(lambda one: _look(one, wanted, most_s, deadline, clock), alive))  # noqa: B023
            seen = [one for one in alive if one.done >= wanted]
            for one in seen:
                one.accuracy = separated(np.concatenate(one.features), one.images.labels[:wanted])
                one.rounds += 1
            ranked = sorted(ranked, key=lambda one: (-one.rounds, -(one.accuracy or 0.0)))
            told = tuple(one.told(workers) for one in ranked if one.rounds)
            failed_now = [replace(one.told(workers), accuracy=None) for one in ranked if not one.rounds]
            keep(SieveAnswer(found=(*told, *failed_now, *failed), seconds=clock() - began))
            longest = min((MOST_IMAGES, *(len(one.images) for one in seen)))
            alive = sorted(seen, key=lambda one: -one.accuracy)[: max(KEPT, -(-len(seen) // 2))]
            # Where one is clearly above all others, more images would change nothing.
            first, *others = [one.told(workers) for one in alive[:2]] or [None]
            if len(seen) <= KEPT or wanted >= longest or any(first.clearly_above(other) for other in others):
                break
            wanted = min(2 * wanted, longest)
    told = tuple(one.told(workers) for one in ranked if one.rounds)
    others = tuple(one.told(workers) for one in ranked if not one.rounds)
    return SieveAnswer(found=(*told, *others, *failed), seconds=clock() - began)


class _Reader:
    """The splits at each size, for candidates that differ in the network alone; decoded as they are needed."""

    def __init__(self) -> None:
        self._lock, self._found = threading.Lock(), dict[int, data.Splits]()

    def of(self, config: TrainConfig) -> data.Splits:
        with self._lock:
            if (size := config.image_size) not in self._found:
                self._found[size] = data.load(
                    data.of(config), config.subset, size, config.seed,
                    skip_broken=config.skip_broken, stream=True, test_later=True,
                )  # fmt: skip
            return self._found[size]


def _built(config: TrainConfig, planned: str | None, read: _Reader, device: torch.device) -> _Candidate:
    """Raises EdgebenchError for a network that cannot be probed."""
    usual = models.usual_size(config.model)
    config = replace(config, image_size=min(PIXELS, config.image_size or usual or PIXELS))
    splits = read.of(config)
    found = beginnings.check(beginnings.find(config, planned=planned), config)
    network, info = models.build(
        config.model, len(splits.info.classes), config.image_size, config.seed, adapt=config.adapt
    )
    began, _ = beginnings.begin(network, info, found, init=config.init)
    if not began.learned:
        raise UsageError(f"it would begin with random weights: {began.why}")
    backbone = divided(network, info, preprocessing_for(config, info, began, splits))
    body, _ = backbone.body()
    return _Candidate(
        config=config, body=body.to(device, memory_format=torch.channels_last), images=splits.train, usual_size=usual,
        classes=len(splits.info.classes), normalised=normalisation(backbone.preprocessing, device), device=device,
    )  # fmt: skip


def _fits(alive: Sequence[_Candidate], wanted: int, workers: int, left_s: float) -> bool:
    """Whether the next round is likely to end in time."""
    return sum(one.spent_s / one.done * (wanted - one.done) for one in alive) / workers < left_s


def _look(one: _Candidate, wanted: int, most_s: float, deadline: float, clock: Clock) -> None:
    """Compute features until there are `wanted`. One that fails or takes more than `most_s` says so, and has fewer."""
    try:
        _compute(one, wanted, most_s, deadline, clock)
    except Exception as error:  # as above
        one.why = f"{type(error).__name__}: {error}"


def _compute(one: _Candidate, wanted: int, most_s: float, deadline: float, clock: Clock) -> None:
    began = clock()
    while one.done < wanted:
        now = clock()
        if one.done and (now > deadline or now - began > most_s):
            one.why = "" if one.rounds else f"it is too slow for this budget ({_ms(one)} an image)"
            break
        images = np.ascontiguousarray(one.images.images[one.done : min(one.done + BLOCK, wanted)])
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(one.device)
        with torch.inference_mode():
            one.features.append(one.body(one.normalised(pixels)).float().flatten(1).cpu().numpy())
        one.done += len(images)
        one.spent_s += clock() - now


def _ms(one: _Candidate) -> str:
    return f"{1000 * one.spent_s / one.done:.0f} ms"


def separated(features: np.ndarray, labels: np.ndarray) -> float:
    """The share of images whose class a ridge regression to the features of all the others gives.

    In closed form, with the best of RIDGES. Features that are not finite separate nothing.
    """
    if not np.isfinite(features).all():
        return 0.0
    classes, labels = np.unique(labels, return_inverse=True)
    deviation = features.std(axis=0, dtype=np.float64)
    scaled = (features - features.mean(axis=0, dtype=np.float64)) / np.maximum(deviation, 1e-6)
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    values, targets = np.maximum(values, 0), np.eye(len(classes))[labels]
    offset = targets - targets.mean(axis=0)
    best = 0.0
    for ridge in RIDGES:
        weights = values / (values + ridge * max(values.mean(), 1e-12))
        own = np.einsum("ij,j,ij->i", vectors, weights, vectors) + 1 / len(labels)
        residual = offset - (vectors * weights) @ (vectors.T @ offset)
        answers = targets - residual / np.maximum(1 - own, 1e-9)[:, None]
        best = max(best, float((answers.argmax(axis=1) == labels).mean()))
    return best


def main(arguments: list[str]) -> None:
    end_with_parent()
    asked, answer = map(Path, arguments)
    jsonio.write(answer, sift(jsonio.read(Sieve, asked), keep=lambda found: jsonio.write(answer, found)))


if __name__ == "__main__":
    main(sys.argv[1:])
