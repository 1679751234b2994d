"""Classifiers of frozen features, each tuned on the validation images: linear, nearest neighbours, and a kernel."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from edgebench.records.heads import TunedHead
from edgebench.training import balance
from edgebench.training.setup import worthwhile_threads

L2 = tuple(10.0**e for e in (1, 0.5, 0, -0.5, -1, -1.5, -2, -2.5, -3, -3.5, -4))  # from strong to weak
SCALES = tuple(2.0 ** (i / 4) for i in range(-16, 13))  # of the logits when penalties are compared
PATIENCE = 3  # weaker penalties in a row that may be worse before the search ends
STEPS = 100  # of L-BFGS for each penalty; it begins where the one before ended
NEIGHBOURS = (1, 3, 5, 10, 20, 50)
NEIGHBOUR_PART = 256  # validation images at once: each has 50 votes for every class
TEMPERATURE = 0.07  # of the votes: exp(cosine / 0.07)
KERNEL_IMAGES = 3000  # a kernel machine needs n × n numbers and n³ operations
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernel: γ as multiples of 1 / the median squared distance
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
SMALLEST_DEVIATION = 1e-4


@dataclass(frozen=True)
class Labelled:
    """Features, float (n, width), and their classes, int64 (n,)."""

    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """A linear classifier of the features as they are, weight (classes, width) and bias (classes,)."""

    told: TunedHead
    weight: np.ndarray
    bias: np.ndarray
    train_accuracy: float
    train_loss: float

    def accuracy(self, some: Labelled) -> float:
        logits = some.features.astype(np.float32) @ self.weight.T + self.bias
        return float((logits.argmax(axis=1) == some.labels).mean())


@dataclass(frozen=True, kw_only=True)
class _Scaled:
    """Training and validation features with mean 0 and deviation 1, as the training features have them."""

    train: torch.Tensor
    labels: torch.Tensor
    validation: torch.Tensor
    validation_labels: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor


def _scaled(train: Labelled, validation: Labelled) -> _Scaled:
    made, judged = (torch.from_numpy(some.features.astype(np.float32)) for some in (train, validation))
    mean, deviation = made.mean(0), made.std(0, correction=0).clamp_min(SMALLEST_DEVIATION)
    return _Scaled(
        train=(made - mean) / deviation, labels=torch.from_numpy(train.labels),
        validation=(judged - mean) / deviation, validation_labels=torch.from_numpy(validation.labels),
        mean=mean, deviation=deviation,
    )  # fmt: skip


def linear(train: Labelled, validation: Labelled, classes: int, *, balanced: bool = False) -> LinearHead:
    """Multinomial logistic regression, with the penalty whose answers to the validation images are best.

    That is the lowest cross-entropy once the logits are scaled as suits them best. On a hundred images the accuracy
    itself is too coarse: measured on four times 870 images of CIFAR-10, the scaled cross-entropy came within 0.1 points
    of the best penalty for 2,600 other training images, the accuracy within 0.2, the plain cross-entropy within 0.6.
    `balanced`: both are means over the classes, not over the images.
    """
    began, data = time.monotonic(), _scaled(train, validation)
    weight_of, judged = None, None
    if balanced:
        weight_of, judged = (balance.weights(some, classes) for some in (data.labels, data.validation_labels))
    torch.set_num_threads(worthwhile_threads(data.train.numel() * classes))
    weights = torch.zeros(classes, data.train.shape[1] + 1)
    best: tuple[float, float, torch.Tensor] | None = None
    worse = 0
    for l2 in L2:
        weights = _fitted(data, weights, l2, weight_of)
        logits = _logits(data.validation, weights)
        loss = min(float(F.cross_entropy(logits * scale, data.validation_labels, judged)) for scale in SCALES)
        if best is None or loss < best[0]:
            best, worse = (loss, l2, weights), 0
        else:
            worse += 1
        if worse >= PATIENCE:
            break
    _, l2, weights = best
    accuracy = _share_right(_logits(data.validation, weights), data.validation_labels)
    logits = _logits(data.train, weights)
    weight = weights[:, :-1] / data.deviation
    bias = weights[:, -1] - weight @ data.mean
    told = TunedHead(
        kind="linear", setting={"l2": l2}, validation_accuracy=accuracy, images=len(train.labels),
        seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip
    return LinearHead(
        told=told, weight=weight.contiguous().numpy(), bias=bias.numpy(),
        train_accuracy=_share_right(logits, data.labels), train_loss=float(F.cross_entropy(logits, data.labels)),
    )  # fmt: skip


def _logits(features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """float32 (n, classes). The few classes are the first factor's rows, not the last one's columns: measured on 1,740
    × 1,280 features and 10 classes, the products of a step take 3 ms so, and 17 ms the other way."""
    return (weights[:, :-1] @ features.T + weights[:, -1:]).T


def _fitted(data: _Scaled, start: torch.Tensor, l2: float, weight_of: torch.Tensor | None) -> torch.Tensor:
    """The weights (classes, width + 1), the bias last, of the least cross-entropy + l2 / 2 · |weights|².

    `weight_of`: of each class. SciPy's L-BFGS needs no autograd: torch's imports its compiler first, for two seconds.
    """
    from scipy.optimize import minimize

    share = torch.full((len(data.labels),), 1.0) if weight_of is None else weight_of[data.labels]
    wanted, share = F.one_hot(data.labels, len(start)).float(), (share / share.sum())[:, None]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(flat.astype(np.float32)).view_as(start)
        likely = _logits(data.train, weights).log_softmax(1)
        missed = (likely.exp() - wanted) * share
        slope = torch.cat([missed.T @ data.train + l2 * weights[:, :-1], missed.sum(0)[:, None]], dim=1)
        value = l2 / 2 * weights[:, :-1].square().sum() - (likely * wanted * share).sum()
        return float(value), slope.double().flatten().numpy()

    found = minimize(
        loss, start.double().flatten().numpy(), jac=True, method="L-BFGS-B",
        options={"maxiter": STEPS, "gtol": 1e-5, "ftol": 1e-7},
    )  # fmt: skip
    return torch.from_numpy(found.x.astype(np.float32)).view_as(start)


def neighbours(train: Labelled, validation: Labelled, classes: int) -> TunedHead:
    """The votes of the nearest training images by the cosine of their features, weighted by it."""
    began = time.monotonic()
    known, asked = (F.normalize(torch.from_numpy(some.features.astype(np.float32))) for some in (train, validation))
    labels, truth = torch.from_numpy(train.labels), torch.from_numpy(validation.labels)
    most = min(max(NEIGHBOURS), len(labels))
    right = dict.fromkeys((k for k in NEIGHBOURS if k <= most), 0)
    for part, wanted in zip(asked.split(NEIGHBOUR_PART), truth.split(NEIGHBOUR_PART), strict=True):
        cosines, rows = (part @ known.T).topk(most)
        votes = F.one_hot(labels[rows], classes) * (cosines / TEMPERATURE).exp()[..., None]
        for k in right:
            right[k] += int((votes[:, :k].sum(1).argmax(1) == wanted).sum())
    found = {k: count / len(truth) for k, count in right.items()}
    best = max(found, key=lambda k: found[k])
    return TunedHead(
        kind="neighbours", setting={"neighbours": float(best)}, validation_accuracy=found[best], images=len(labels),
        seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip


def kernel(train: Labelled, validation: Labelled, classes: int) -> TunedHead:
    """Ridge regression to the classes with a Gaussian kernel, on at most KERNEL_IMAGES of the training images.

    Its ridge is chosen at the median width, then its width with that ridge: half the work of trying all pairs.
    """
    began = time.monotonic()
    data = _scaled(Labelled(train.features[:KERNEL_IMAGES], train.labels[:KERNEL_IMAGES]), validation)
    targets = F.one_hot(data.labels, classes).double() - 1 / classes
    own, others = torch.cdist(data.train, data.train).square(), torch.cdist(data.validation, data.train).square()
    median = float(own.median()) or 1.0
    identity = torch.eye(len(own), dtype=torch.float64)
    found: dict[tuple[float, float], float] = {}

    def attempt(width: float, ridges: Iterable[float]) -> None:
        gamma = width / median
        inner, outer = (-gamma * own.double()).exp(), (-gamma * others.double()).exp()
        for ridge in ridges:
            lower, failed = torch.linalg.cholesky_ex(inner + ridge * identity)
            if not failed:
                scores = outer @ torch.cholesky_solve(targets, lower)
                found[gamma, ridge] = _share_right(scores, data.validation_labels)

    attempt(1.0, RIDGES)
    _, ridge = max(found, key=lambda one: found[one])
    for width in WIDTHS:
        if width != 1.0:
            attempt(width, [ridge])
    gamma, ridge = max(found, key=lambda one: found[one])
    return TunedHead(
        kind="kernel", setting={"gamma": gamma, "ridge": ridge}, validation_accuracy=found[gamma, ridge],
        images=len(data.labels), seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip


def _share_right(scores: torch.Tensor, labels: torch.Tensor) -> float:
    return float((scores.argmax(1) == labels).double().mean())
