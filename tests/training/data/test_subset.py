"""Subsets: each size means what it says, each start of the order is stratified, smaller ones lie in larger ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgebench.errors import UsageError
from edgebench.training.data import subset_count
from edgebench.training.data.subset import is_validation, stratified_order

COUNTS = st.lists(st.integers(2, 60), min_size=1, max_size=12)


def labels_of(counts: list[int]) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


@given(COUNTS, st.integers(0, 99))
def test_the_order_holds_each_image_once_and_ranks_them_within_their_class(counts: list[int], seed: int) -> None:
    labels = labels_of(counts)
    order, rank = stratified_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    for label, count in enumerate(counts):
        assert list(rank[labels[order] == label]) == list(range(count))


@given(COUNTS, st.integers(0, 99), st.sampled_from([1, 2]))
def test_each_class_comes_first_with_what_it_needs(counts: list[int], seed: int, needed: int) -> None:
    labels = labels_of(counts)
    order, _ = stratified_order(labels, seed, needed)
    assert list(np.bincount(labels[order[: needed * len(counts)]])) == [needed] * len(counts)


@given(COUNTS, st.integers(0, 99), st.data())
def test_no_class_waits_while_another_is_ahead_of_its_share(counts: list[int], seed: int, drawn: st.DataObject) -> None:
    """Sainte-Laguë's rule: no move of one image from a class to another brings the two nearer to the common share."""
    sizes, least = np.array(counts), 2 * len(counts)
    length = drawn.draw(st.integers(least, int(sizes.sum())))
    labels = labels_of(counts)
    held = np.bincount(labels[stratified_order(labels, seed)[0][:length]], minlength=len(sizes))
    given_up, wanting = held > 2, held < sizes
    if given_up.any() and wanting.any():
        tolerance = 0.02 / sizes.min()  # of the tie-break
        assert ((held - 0.5) / sizes)[given_up].max() <= ((held + 0.5) / sizes)[wanting].min() + tolerance


@given(st.integers(2, 20), st.integers(20, 60), st.integers(0, 99), st.data())
def test_classes_of_like_size_are_within_one_image(classes: int, most: int, seed: int, drawn: st.DataObject) -> None:
    sizes = np.array(drawn.draw(st.lists(st.integers(most - most // 10, most), min_size=classes, max_size=classes)))
    length = drawn.draw(st.integers(2 * classes, int(sizes.sum())))
    labels = labels_of(list(sizes))
    order, rank = stratified_order(labels, seed)
    held = np.bincount(labels[order[:length]], minlength=classes)
    assert np.abs(held - length * sizes / sizes.sum()).max() <= 1.02
    validation = np.bincount(labels[order[:length]][is_validation(rank[:length])], minlength=classes)
    assert np.abs(validation - held / 8).max() <= 1 and validation.min() >= 1 and (held - validation).min() >= 1


def test_a_seed_changes_the_images_of_every_class_and_the_order_of_the_classes() -> None:
    labels = labels_of([50] * 10)
    (one, _), (same, _), (other, _) = (stratified_order(labels, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert len(np.intersect1d(one[:100], other[:100])) < 50
    assert list(labels[one[20:30]]) != list(labels[other[20:30]])


def test_within_a_class_each_image_is_as_likely_to_come_first() -> None:
    labels = labels_of([5, 5])
    first = [stratified_order(labels, seed)[0][:2] for seed in range(1000)]
    drawn = np.bincount(np.concatenate(first), minlength=10)
    assert drawn.min() > 140 and drawn.max() < 260  # 200 expected, its deviation is 13


# subset_count


@given(st.integers(20, 10**6))
def test_full_is_everything(available: int) -> None:
    assert subset_count("full", available, 10) == available


@given(st.integers(20, 10**6), st.data())
def test_a_number_is_that_many(available: int, drawn: st.DataObject) -> None:
    count = drawn.draw(st.integers(20, available))
    assert subset_count(str(count), available, 10) == count


@given(st.integers(1000, 10**6), st.floats(0.02, 1.0))
def test_a_share_is_that_share(available: int, share: float) -> None:
    assert abs(subset_count(repr(share), available, 10) - share * available) <= 0.5


NUMBERS = st.integers().map(str) | st.floats().map(repr) | st.decimals().map(str)


@settings(max_examples=400)
@given(NUMBERS | st.text(max_size=8) | st.text("019.eE+-_ ", max_size=8), st.integers(2, 10**5), st.integers(1, 9))
@example("1e400", 1000, 2)
@example("1e5000", 1000, 2)
@example("9" * 400, 1000, 2)
@example("9" * 5000, 1000, 2)
@example("\ud800", 1000, 2)
@example("１００", 1000, 2)
@example("1_0", 1000, 2)
def test_any_text_is_a_possible_size_or_a_usage_error(subset: str, available: int, classes: int) -> None:
    available = max(available, 2 * classes)
    try:
        count = subset_count(subset, available, classes)
    except UsageError as error:
        assert error.exit_code == 2 and error.message and error.fix
        assert "\n" not in error.message or "\n" in subset
    else:
        assert type(count) is int and 2 * classes <= count <= available


@pytest.mark.parametrize("per_class, least", [(1, 10), (2, 20)])
def test_a_dataset_with_a_validation_split_needs_one_image_a_class(per_class: int, least: int) -> None:
    assert subset_count(str(least), 1000, 10, per_class) == least
    with pytest.raises(UsageError, match="too small for 10 classes") as caught:
        subset_count(str(least - 1), 1000, 10, per_class)
    assert str(least) in caught.value.fix and f"at least {per_class}" in caught.value.message
