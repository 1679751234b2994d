"""Accuracy and parity: exact answers pass, each known way for an export to go wrong fails and is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from factories import PREPROCESSING, StubSession, make_artifact, make_reference, network
from hypothesis import given
from hypothesis import strategies as st

from edgebench.artifact import Reference
from edgebench.measuring import correctness
from edgebench.records.answers import Parity

ARTIFACT, REFERENCE = make_artifact(), make_reference(images=8)
Answer = Callable[[np.ndarray], np.ndarray]


def parity(answer: Answer, batches: tuple[int, ...] = (1, 3), reference: Reference = REFERENCE) -> Parity:
    return correctness.check_parity(StubSession(answer), ARTIFACT, reference, batches)


def normalised_otherwise(inputs: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """The input as it would be with another mean and deviation."""

    def column(values: tuple[float, ...]) -> np.ndarray:
        return np.array(values, np.float32).reshape(1, 3, 1, 1)

    pixels = inputs * column(PREPROCESSING.std) + column(PREPROCESSING.mean)
    return (pixels - column(mean)) / column(std)


def with_one(value: float) -> Answer:
    def answer(inputs: np.ndarray) -> np.ndarray:
        logits = network(inputs)
        logits[0, 3] = value
        return logits

    return answer


def best_class_becomes(logits: np.ndarray, value: float) -> np.ndarray:
    """So that the first class stays the first: numpy takes NaN for the largest of all."""
    logits[np.arange(len(logits)), logits.argmax(axis=1)] = value
    return logits


@pytest.mark.parametrize("batches", [(1,), (3,), (1, 3), (8,), (5, 7), (64,)])
def test_exact_answers_pass(batches: tuple[int, ...]) -> None:
    found = parity(network, batches)
    assert found.passed
    assert found.relative_error < 1e-6
    assert (found.top1_agreement, found.non_finite) == (1.0, 0)
    assert (found.batches, found.images) == (batches, 8)
    assert found.accuracy == correctness.accuracy(REFERENCE.logits, REFERENCE.labels)
    assert "relative error" in correctness.explain(found) and "8 held-out images" in correctness.explain(found)


@pytest.mark.parametrize("size", [1e-30, 1e-6, 1e6, 1e30])
def test_the_size_of_the_logits_does_not_matter(size: float) -> None:
    scaled = replace(REFERENCE, logits=(REFERENCE.logits * size).astype(np.float32))
    assert parity(lambda inputs: network(inputs) * np.float32(size), reference=scaled).passed
    assert not parity(lambda inputs: network(inputs) * np.float32(size * 1.01), reference=scaled).passed


def test_rounding_passes() -> None:
    noise = np.random.default_rng(1)

    def answer(inputs: np.ndarray) -> np.ndarray:
        logits = network(inputs)
        return logits + np.abs(logits).max() * 1e-5 * noise.uniform(-1, 1, logits.shape).astype(np.float32)

    found = parity(answer)
    assert found.passed and 1e-7 < found.relative_error < 1e-4


WRONG: dict[str, tuple[Answer, str]] = {
    "channels swapped": (lambda inputs: network(inputs[:, ::-1]), "relative error"),
    "height and width swapped": (lambda inputs: network(inputs.transpose(0, 1, 3, 2)), "relative error"),
    "upside down": (lambda inputs: network(inputs[:, :, ::-1]), "relative error"),
    "mean of another data set": (
        lambda inputs: network(normalised_otherwise(inputs, (0.5, 0.5, 0.5), PREPROCESSING.std)),
        "relative error",
    ),
    "deviation of another data set": (
        lambda inputs: network(normalised_otherwise(inputs, PREPROCESSING.mean, (0.5, 0.5, 0.5))),
        "relative error",
    ),
    "not normalised": (
        lambda inputs: network(normalised_otherwise(inputs, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),
        "relative error",
    ),
    "probabilities in place of logits": (
        lambda inputs: np.exp(network(inputs) - 99) / np.exp(network(inputs) - 99).sum(axis=1, keepdims=True),
        "relative error",
    ),
    "all zero": (lambda inputs: network(inputs) * 0, "relative error"),
    "other weights": (lambda inputs: network(inputs[:, :, ::-1, ::-1]), "relative error"),
    "one per cent too large": (lambda inputs: network(inputs) * np.float32(1.01), "relative error 0.01"),
    "classes shifted by one": (lambda inputs: np.roll(network(inputs), 1, axis=1), "relative error"),
    "images out of order": (lambda inputs: np.roll(network(inputs), 1, axis=0), "relative error"),
    "first row repeated": (lambda inputs: network(inputs)[:1].repeat(len(inputs), axis=0), "relative error"),
    "only the first row filled": (
        lambda inputs: network(inputs) * (np.arange(len(inputs)) == 0)[:, None],
        "relative error",
    ),
    "one row for the whole batch": (lambda inputs: network(inputs)[:1], "shape"),
    "one class too many": (lambda inputs: network(inputs, classes=11), "shape"),
    "one class too few": (lambda inputs: network(inputs)[:, :9], "shape"),
    "an axis too many": (lambda inputs: network(inputs)[:, :, None, None], "shape"),
    "an axis too few": (lambda inputs: network(inputs).max(axis=1), "shape"),
    "a feature map": (lambda inputs: inputs, "shape"),
    "NaN": (with_one(np.nan), "NaN or infinite"),
    "infinity": (with_one(np.inf), "NaN or infinite"),
    "negative infinity": (with_one(-np.inf), "NaN or infinite"),
    "NaN for the best class": (lambda inputs: best_class_becomes(network(inputs), np.nan), "NaN or infinite"),
    "infinity for the best class": (lambda inputs: best_class_becomes(network(inputs), np.inf), "NaN or infinite"),
    "NaN everywhere": (lambda inputs: network(inputs) * np.nan, "NaN or infinite"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_fails_and_is_explained(wrong: str) -> None:
    answer, says = WRONG[wrong]
    found = parity(answer)
    assert not found.passed
    assert says in correctness.explain(found)
    assert "\n" not in correctness.explain(found)


# What a lower precision may cost, such as one per cent, is no fault of its own. This network is linear: a mean and a
# deviation that are wrong leave the direction of its logits as it is, which int8 may change by far more.
SMALL = {"one per cent too large": 3, "mean of another data set": 1, "deviation of another data set": 1}
PRECISIONS = ("int8", "bf16", "fp16")  # by how much they round
GROSS = [(precision, name) for name in WRONG for precision in PRECISIONS[SMALL.get(name, 0) :]]


@pytest.mark.parametrize(("precision", "wrong"), GROSS)
def test_each_precision_lets_rounding_pass_and_nothing_gross(precision: str, wrong: str) -> None:
    artifact, noise = make_artifact(precision=precision), np.random.default_rng(1)
    rounding = {"fp16": 1e-3, "bf16": 1e-2, "int8": 0.1}[precision]

    def rounded(inputs: np.ndarray) -> np.ndarray:
        logits = network(inputs)
        return logits + np.abs(logits).max() * rounding * noise.uniform(-1, 1, logits.shape).astype(np.float32)

    assert correctness.check_parity(StubSession(rounded), artifact, REFERENCE, (1, 3)).passed
    found = correctness.check_parity(StubSession(WRONG[wrong][0]), artifact, REFERENCE, (1, 3))
    assert not found.passed, correctness.explain(found)


@pytest.mark.parametrize("wrong", ["first row repeated", "images out of order", "one row for the whole batch"])
def test_what_goes_wrong_only_in_a_batch_passes_at_batch_one_alone(wrong: str) -> None:
    answer, _ = WRONG[wrong]
    assert parity(answer, (1,)).passed
    assert not parity(answer, (1, 3)).passed


def test_non_finite_answers_are_counted_and_no_error_is_made_of_them() -> None:
    found = parity(with_one(np.nan), (1, 4))
    assert found.non_finite == 8 + 2  # one in each run: eight of batch 1, two of batch 4
    assert found.relative_error is None


def test_a_swap_of_the_first_two_classes_is_a_disagreement() -> None:
    def answer(inputs: np.ndarray) -> np.ndarray:
        logits = network(inputs)
        order = logits.argsort(axis=1)
        rows = np.arange(len(logits))
        logits[rows, order[:, -1]], logits[rows, order[:, -2]] = (
            logits[rows, order[:, -2]],
            logits[rows, order[:, -1]],
        )
        return logits

    found = parity(answer)
    assert not found.passed and found.top1_agreement == 0.0


@pytest.mark.parametrize("apart", [0.0, 1e-6])
def test_a_tie_between_two_classes_is_no_disagreement(apart: float) -> None:
    """Two classes with the same best logit, but for rounding, which puts torch's first here and the other there."""
    logits = REFERENCE.logits.copy()
    logits[:, 2] = logits.max() + 1
    logits[:, 7] = logits[:, 2] * (1 - apart)
    tied = replace(REFERENCE, logits=logits)
    assert logits.argmax(axis=1).tolist() == [2] * 8
    swapped = logits.copy()
    swapped[:, 7] = logits[:, 2] * np.float32(1 + 1e-6)
    assert swapped.argmax(axis=1).tolist() == [7] * 8

    answers = iter(swapped)
    found = parity(lambda inputs: next(answers)[None], (1,), tied)
    assert found.passed and (found.top1_agreement, found.ties) == (0.0, 8)


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, 13])
def test_an_incomplete_last_batch_is_filled_and_its_filling_is_dropped(batch: int) -> None:
    seen: list[int] = []

    def answer(inputs: np.ndarray) -> np.ndarray:
        seen.append(len(inputs))
        return network(inputs)

    logits = correctness.run_batches(StubSession(answer), ARTIFACT, REFERENCE.images, batch)
    np.testing.assert_allclose(logits, REFERENCE.logits, rtol=1e-5, atol=1e-4)
    assert seen == [batch] * -(-8 // batch), "every run has the batch size that was asked for"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50))
def test_accuracy_is_the_share_of_right_answers(pairs: list[tuple[int, int]]) -> None:
    answers, labels = np.array(pairs).T
    share = correctness.accuracy(np.eye(10)[answers], labels)
    assert share == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_the_counts_of_the_classes_are_those_of_the_answers(told: list[tuple[int, int]]) -> None:
    labels, answers = (np.array(column) for column in zip(*told, strict=True))
    found = correctness.by_class(answers, labels, "abcd")
    assert [each.images for each in found] == [int((labels == i).sum()) for i in range(4)]
    assert [each.answered for each in found] == [int((answers == i).sum()) for i in range(4)]
    assert sum(each.correct for each in found) == int((labels == answers).sum())
    for i, each in enumerate(found):
        taken = [int(((labels == i) & (answers == j)).sum()) for j in range(4) if j != i]
        assert each.mistaken == max(taken) and bool(each.mistaken_for) == any(taken)
        if each.mistaken_for:
            assert int(((labels == i) & (answers == "abcd".index(each.mistaken_for))).sum()) == each.mistaken
