"""What an accuracy is worth: intervals against simulation, the majority, notices, and which accuracies compare."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from factories import make_artifact
from hypothesis import example, given
from hypothesis import strategies as st

from edgebench.records.account import Account, Layout
from edgebench.records.answers import ClassAccuracy
from edgebench.records.notices import Notice
from edgebench.results import context, stats
from edgebench.results.context import TestSplit

COUNTS = st.integers(0, 60).flatmap(lambda images: st.tuples(st.just(images), st.integers(0, images)))


def classes(*counts: tuple[int, int]) -> tuple[ClassAccuracy, ...]:
    """(images, right) of each class; they are called a, b, c, …"""
    return tuple(
        ClassAccuracy(name=name, images=images, correct=right)
        for name, (images, right) in zip("abcdefgh", counts, strict=False)
    )


def notices(*counts: tuple[int, int], train: tuple[int, ...] = ()) -> tuple[Notice, ...]:
    """Of these classes, learned from so many images each; by default, that was not recorded."""
    found = classes(*counts)
    balance = {"train": train} if train else {}
    account = Account(
        layout=Layout(kind="classes"), classes=tuple(each.name for each in found), found=0, used={}, balance=balance
    )
    data = replace(make_artifact().training.data, classes=account.classes, account=account if train else None)
    return context.notices(found, data)


def codes(*counts: tuple[int, int], train: tuple[int, ...] = ()) -> list[str]:
    return [notice.code for notice in notices(*counts, train=train)]


@given(st.lists(COUNTS, min_size=1, max_size=8))
@example([(0, 0)])
def test_figures_are_what_their_names_say(counts: list[tuple[int, int]]) -> None:
    found, seen = context.of(classes(*counts)), [(n, right) for n, right in counts if n]
    if not seen:
        assert found is None and not notices(*counts)
        return
    images, right = (sum(column) for column in zip(*seen, strict=True))
    assert found.accuracy == pytest.approx(right / images)
    assert found.majority_share == pytest.approx(max(n for n, _ in seen) / images)
    assert found.balanced == pytest.approx(np.mean([r / n for n, r in seen]))
    assert 0 <= found.balanced_low <= found.balanced <= found.balanced_high <= 1
    assert found.low <= found.difference + 1e-9 and found.difference - 1e-9 <= found.high
    assert [r.share for r in found.recalls] == sorted(r / n for n, r in seen)
    assert (found.beside_majority == "above") <= (found.accuracy > found.majority_share)
    assert (found.beside_majority == "below") <= (found.accuracy < found.majority_share)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.integers(1, 4))
def test_the_interval_of_one_share_is_wilsons_and_of_several_equal_ones_it_is_narrower(count, several: int) -> None:
    n, right = count
    mean, low, high = stats.mean_of_shares([(right, n)] * several)
    one_low, one_high = stats.wilson(right, n)
    assert mean == pytest.approx(right / n)
    assert low == pytest.approx(max(0, mean - (mean - one_low) / several**0.5))
    assert high == pytest.approx(min(1, mean + (one_high - mean) / several**0.5))


@pytest.mark.parametrize("truth", [(0.99, 0.5), (0.9, 0.05), (0.7, 0.8, 0.6), (1.0, 0.9)])
@pytest.mark.parametrize("sizes", [(34, 5), (300, 8), (20, 20)])
def test_the_interval_of_the_balanced_accuracy_holds_the_truth(truth: tuple, sizes: tuple) -> None:
    random, sizes = np.random.default_rng(0), (*sizes, 12)[: len(truth)]
    draws = [random.binomial(n, share, 600) for n, share in zip(sizes, truth, strict=True)]
    held = 0
    for right in zip(*draws, strict=True):
        _, low, high = stats.mean_of_shares(list(zip(map(int, right), sizes, strict=True)))
        held += low <= sum(truth) / len(truth) <= high
    assert held / 600 > 0.92


@given(st.integers(1, 200), st.lists(st.integers(0, 40), min_size=1, max_size=7))
def test_a_constant_answer_is_never_better_than_the_majority(most: int, others: list[int]) -> None:
    counts = [(most, most), *((min(n, most), 0) for n in others)]
    found = context.of(classes(*counts))
    assert found.beside_majority == "no better" and "no_better_than_majority" in codes(*counts)
    assert ("class_never_found" in codes(*counts)) == any(min(n, most) for n in others)


def test_guessing_is_rarely_taken_for_more() -> None:
    random, taken = np.random.default_rng(1), 0
    for _ in range(300):
        guesses = classes((90, int(random.binomial(90, 0.8))), (20, int(random.binomial(20, 0.2))))
        taken += context.of(guesses).beside_majority != "no better"
    assert taken / 300 < 0.06


def test_verdicts() -> None:
    assert context.of(classes((34, 34), (2, 2))).beside_majority == "unclear", "two images of a class show little"
    assert context.of(classes((340, 338), (60, 50))).beside_majority == "above"
    assert context.of(classes((340, 250), (20, 19))).beside_majority == "below", "rare ones are found, at a price"
    assert context.of(classes((34, 30), (2, 1))).beside_majority == "no better"
    assert context.of(classes((9, 9), (0, 0))).majority_share == 1


def test_notices_name_what_is_wrong() -> None:
    (majority, never, few) = notices((34, 34), (2, 0), train=(112, 7))
    assert majority.message == (
        "the network is no better than always answering 'a': its accuracy is 94.4 %, that of the constant answer "
        "94.4 %; its balanced accuracy is 50.0 % (95 % interval 44.9 to 82.9)"
    )
    assert never.message == "never found: 'b' (0 of 2)" and "--balance" in never.remedy
    assert few.message == "fewer than 10 training images: 'b' (7)"
    assert codes((40, 39), (40, 38), train=(10, 10)) == [], "nothing speaks against it"
    assert codes((40, 39), (40, 38)) == [], "how many it learned from was not recorded"
    told = notices((9, 9), *[(5, 0)] * 5)
    assert told[-1].message == "never found: 'b' (0 of 5), 'c' (0 of 5), 'd' (0 of 5) and 2 more"


def test_accuracies_compare_if_they_are_of_the_same_test_images() -> None:
    one, same = (
        TestSplit(dataset="photos", images=36, sha256="a" * 64),
        TestSplit(dataset="p", images=36, sha256="a" * 64),
    )
    other, old = TestSplit(dataset="photos", images=36, sha256="b" * 64), TestSplit(dataset="photos", images=36)
    assert context.comparable(one, same), "another name of the folder changes nothing"
    assert not context.comparable(one, other), "nor do a name and a count make images the same"
    assert context.comparable(one, old) and context.comparable(old, other), "as far as is known"
    assert not context.comparable(old, TestSplit(dataset="photos", images=37))
    assert (one.label, old.label) == ("photos@aaaaaaaa", "photos")


SPLITS = st.builds(
    TestSplit, dataset=st.sampled_from("ab"), images=st.sampled_from([1, 2]), sha256=st.sampled_from(["", "x", "y"])
)


@given(st.lists(SPLITS, max_size=8))
def test_in_a_group_all_compare_with_all(splits: list[TestSplit]) -> None:
    found = context.groups(splits)
    assert set(found) == set(splits)
    for one, other in itertools.combinations(found, 2):
        if found[one] == found[other]:
            assert context.comparable(one, found[one])
        if one.sha256 and other.sha256:
            assert (found[one] == found[other]) == context.comparable(one, other)


def test_older_records_have_no_hash() -> None:
    made = make_artifact().training
    assert context.split_of(made.data) == TestSplit(dataset="digits", images=360) and made.test_classes == ()
