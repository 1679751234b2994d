"""Classes that count alike: what an epoch draws, and means and weights that no class dominates."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from edgebench.training import balance

LABELS = st.lists(st.integers(-1, 5), min_size=1, max_size=80).filter(lambda labels: max(labels) >= 0)


def drawn(labels: list[int], seed: int = 0) -> torch.Tensor:
    return balance.order(torch.tensor(labels), torch.Generator().manual_seed(seed))


@given(LABELS)
def test_an_epoch_draws_each_class_equally_often_and_spreads_it_over_its_images(labels: list[int]) -> None:
    rows = drawn(labels).tolist()
    assert len(rows) == len(labels)
    classes = Counter(labels[row] for row in rows)
    assert classes.pop(-1, 0) == labels.count(-1)
    assert max(classes.values()) - min((classes[each] for each in set(labels) - {-1}), default=0) <= 1
    times = Counter(rows)
    for each in set(labels):
        own = [times[row] for row, label in enumerate(labels) if label == each]
        assert max(own) - min(own) <= 1


def test_each_epoch_draws_anew_and_a_seed_draws_the_same() -> None:
    labels = [0] * 50 + [1] * 5
    assert torch.equal(drawn(labels, 1), drawn(labels, 1)) and not torch.equal(drawn(labels, 1), drawn(labels, 2))
    frequent = set(drawn(labels, 1).tolist()) - set(range(50, 55))
    assert frequent != set(drawn(labels, 2).tolist()) - set(range(50, 55)), "other images of the frequent class"


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=60))
def test_the_mean_over_classes_is_the_mean_recall(told: list[tuple[int, bool]]) -> None:
    labels, right = (np.array(column) for column in zip(*told, strict=True))
    recalls = [right[labels == each].mean() for each in set(labels.tolist())]
    np.testing.assert_allclose(balance.mean(right, labels), np.mean(recalls))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_a_weighted_loss_is_the_mean_over_the_classes(told: list[int]) -> None:
    labels = torch.tensor(told)
    logits = torch.randn(len(told), 5, generator=torch.Generator().manual_seed(len(told)))
    weighted = F.cross_entropy(logits, labels, balance.weights(labels, 5))
    plain = F.cross_entropy(logits, labels, reduction="none").numpy()
    np.testing.assert_allclose(float(weighted), balance.mean(plain, labels.numpy()), rtol=1e-5)
