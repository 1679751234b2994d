"""Classes that count alike, however many images each has: the order of an epoch, means, and weights of a loss.

Rare classes are drawn again and again, rather than weighted in the loss. Of the remedies that Buda, Maki & Mazurowski
tried on convolutional networks ("A systematic study of the class imbalance problem in convolutional neural networks",
Neural Networks 106, 2018) oversampling was best nearly everywhere, and did not make them overfit. It suits every loss
(a teacher's, mixed images), and no step takes all that it learns of a class from one image with a large weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def order(classes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """As many rows as there are, int64 (n,), in random order: each class equally often, but for one image.

    classes: int64 (n,); rows with a negative one have no class, and come once each. No image of a class comes again
    before all others of it have come.
    """
    rows = [(classes == each).nonzero().flatten() for each in classes[classes >= 0].unique().tolist()]
    unlabelled = (classes < 0).nonzero().flatten()
    share, more = divmod(len(classes) - len(unlabelled), len(rows))
    favoured = set(torch.randperm(len(rows), generator=generator)[:more].tolist())
    drawn = [unlabelled]
    for i, own in enumerate(rows):
        wanted = share + (i in favoured)
        rounds = [own[torch.randperm(len(own), generator=generator)] for _ in range(-(-wanted // len(own)))]
        drawn += [torch.cat(rounds)[:wanted]] if rounds else []
    chosen = torch.cat(drawn)
    return chosen[torch.randperm(len(chosen), generator=generator)]


def mean(values: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the classes of the mean of a class's values, (n,). Of right answers it is the balanced accuracy."""
    counts = np.bincount(labels)
    sums = np.bincount(labels, weights=values)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """By class, float (classes,): the weights with which a mean over these images is a mean over their classes."""
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, len(labels) / (counts.clamp_min(1) * (counts > 0).sum()), 0.0)


def sentence(labels: np.ndarray, names: Sequence[str]) -> str:
    """What an epoch is made of."""
    counts = np.bincount(labels, minlength=len(names))
    fewest = int(counts.argmin())
    return (
        f"an epoch draws each class about {len(labels) / len(names):.0f} times; {names[fewest]!r} has the fewest "
        f"training images: {counts[fewest]}"
    )
