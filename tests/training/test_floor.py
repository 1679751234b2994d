"""The floor of a training: the same splits, limits, choice, interval, cache, and what a checkpoint then says."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
from conftest import Command
from factories import NET
from hypothesis import given
from hypothesis import strategies as st

from edgebench import artifact
from edgebench.records.floor import Floor
from edgebench.report import floors as told
from edgebench.results import stats
from edgebench.specs import DataSplit
from edgebench.training import data, floor, floor_cache, floor_methods, small_pixels
from edgebench.training.data import Images, Splits
from edgebench.training.floor_methods import METHODS

KINDS = ["majority", "neighbours", "linear", "kernel"]


def made_splits(per_class: int = 30, classes: int = 3, size: int = 12, tests: int = 60, seed: int = 0) -> Splits:
    """Classes that differ in brightness, with noise."""
    random = np.random.default_rng(seed)

    def images(count: int) -> Images:
        labels = datasets.in_turn(count, classes)
        level = 40 + 60 * labels[:, None, None, None]
        return Images(np.clip(random.normal(level, 40, (count, size, size, 3)), 0, 255).astype(np.uint8), labels)

    train, validation, test = images(per_class * classes), images(4 * classes), images(tests)
    info = DataSplit(
        dataset="made", classes=tuple("abcdefghij"[:classes]), train=len(train), validation=len(validation),
        test=len(test), indices_sha256="0" * 64,
    )  # fmt: skip
    return Splits(train=train, validation=validation, test=test, info=info)


def still() -> float:
    return 0.0


@pytest.fixture(scope="module")
def splits() -> Splits:
    return made_splits()


@pytest.fixture(scope="module")
def found(splits: Splits) -> Floor:
    return floor.of(splits, np.zeros(len(splits.test), np.int64), clock=still)


def test_all_methods_stand_in_the_floor_with_their_settings(found: Floor, splits: Splits) -> None:
    assert [method.name for method in found.methods] == KINDS
    assert all(method.train_images == len(splits.train) and not method.limited for method in found.methods)
    assert found.methods[0].test_accuracy == pytest.approx(1 / 3) and found.best_method.test_accuracy > 0.9
    assert set(found.methods[3].settings) == {"strength", "width", "pixels"}
    assert found.beside.verdict == "below" and found.beside.network_accuracy == pytest.approx(1 / 3)
    assert found.beside.floor_accuracy == found.best_method.test_accuracy


def test_the_digits_floor_is_that_of_a_support_vector_machine() -> None:
    digits = data.load("digits", "full", 40, 0)
    floored = floor.of(digits, digits.test.labels, clock=still)
    assert floored.best == "kernel" and floored.best_method.test_accuracy >= 0.988
    assert floored.indices_sha256 == digits.info.indices_sha256


def test_floor_and_training_use_the_same_splits(in_process: Command, tmp_path: Path) -> None:
    folder = datasets.write_images(tmp_path / "animals", 12)
    (tmp_path / "net.py").write_text(NET)
    options = ("--dataset", folder, "--model", f"{tmp_path / 'net.py'}:build", "--image-size", "32", "--epochs", "1")
    done = in_process("train", *options, "--workspace", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert "floor: " in done.stdout and "points (95 % interval" in done.stdout
    (path,) = (tmp_path / "runs" / "checkpoints").glob("[!.]*")
    training = artifact.read(path).training
    again = data.load(str(folder), "full", 32, training.config.seed)
    assert training.floor.indices_sha256 == training.data.indices_sha256 == again.info.indices_sha256
    digest = hashlib.sha256()  # of the pixels themselves: a picture that was changed under its old name differs
    for part in (again.train, again.validation, again.test):
        small_pixels.read(part, len(part), lambda: False).hash_into(digest)
    assert training.floor.pixels_sha256 == digest.hexdigest()
    assert (training.floor.validation_images, training.floor.test_images) == (training.data.validation, len(again.test))
    assert training.floor.beside.network_accuracy == training.test_accuracy
    assert len(list((tmp_path / "runs" / "floors").iterdir())) == 1

    done = in_process("train", *options, "--workspace", tmp_path / "runs", "--epochs", "2", "--json")
    assert json.loads(done.stdout)["checkpoint"]["training"]["floor"]["reused"] is True
    report = in_process("report", "--trainings", "--json", "--workspace", tmp_path / "runs")
    assert {row["beside_floor"] for row in json.loads(report.stdout)["trainings"]} <= {"above", "unclear", "below"}
    in_process("report", "--html", "--workspace", tmp_path / "runs")
    assert "Beside what needs no network" in (tmp_path / "runs" / "report.html").read_text()

    done = in_process("train", *options, "--no-floor", "--workspace", tmp_path / "bare")
    assert done.returncode == 0 and "floor:" not in done.stdout and not (tmp_path / "bare" / "floors").exists()


def test_a_floor_is_computed_once_for_the_same_images(splits: Splits, found: Floor, tmp_path: Path) -> None:
    network, said = np.zeros(len(splits.test), np.int64), []
    first = floor.of(splits, network, tmp_path, clock=still)
    again = floor.of(splits, network, tmp_path, clock=still)
    assert (first.reused, again.reused) == (False, True)
    assert (again.methods, again.best, again.beside) == (first.methods, first.best, first.beside)
    (kept,) = tmp_path.iterdir()
    text = kept.read_text()
    for spoiled in (text[: len(text) // 2], "", text.replace("0.", "1.", 1), text.replace('"right": "', '"right": "A')):
        kept.write_text(spoiled)
        assert not floor.of(splits, network, tmp_path, clock=still, say=said.append).reused
        assert len(said) == 1 and "computed again" in said.pop() and kept.read_text() != spoiled

    changed = replace(splits, test=Images(255 - splits.test.images, splits.test.labels))
    assert not floor.of(changed, network, tmp_path, clock=still).reused, "other pixels under the same names"
    assert not floor.of(splits, network, tmp_path, clock=still, methods=METHODS[:1]).reused, "other methods"


def test_ctrl_c_keeps_what_was_done(splits: Splits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network, said = splits.test.labels, []

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(floor_methods.Linear, "fit", interrupted)
    cut = floor.of(splits, network, tmp_path, clock=still, say=said.append)
    assert cut.interrupted and [method.name for method in cut.methods] == KINDS[:2] and cut.best == "neighbours"
    assert "interrupted" in said[0] and not list(tmp_path.iterdir()), "half a floor is not kept"
    monkeypatch.setattr(small_pixels, "shrink", interrupted)
    cut = floor.of(splits, network, tmp_path, clock=still)
    assert cut.interrupted and not cut.methods and cut.beside is None


def test_a_method_that_takes_too_long_learns_from_fewer_images_or_is_left_out(splits: Splits, tmp_path: Path) -> None:
    slow = itertools.count(0.0, 0.6)
    cut = floor.of(splits, splits.test.labels, tmp_path, clock=lambda: next(slow))
    assert all(method.limited for method in cut.methods[1:]) and not list(tmp_path.iterdir())
    endless = itertools.count(0.0, 100.0)
    none = floor.of(splits, splits.test.labels, clock=lambda: next(endless))
    assert [m.test_accuracy is None for m in none.methods] == [False, True, True, True]
    assert all("over its limit" in m.limited for m in none.methods[1:]) and none.best == "majority"
    few = tuple(replace(method, most=45) for method in METHODS)
    capped = floor.of(splits, splits.test.labels, methods=few, clock=still)
    assert {m.train_images for m in capped.methods[1:]} == {45}
    assert capped.methods[3].limited == "learned from 45 of 90 images: it takes at most 45"


def test_a_fit_is_made_as_small_as_the_time_that_is_left() -> None:
    method, cost = METHODS[2], floor_methods._Cost(fit_s=1.0, answers_s=0.0)
    assert floor_methods._fitting(method, 1000, 4000, cost, tests=10, left_s=20) == 4000
    assert floor_methods._fitting(method, 1000, 4000, cost, tests=10, left_s=10) == 2000
    assert floor_methods._fitting(method, 1000, 4000, cost, tests=10, left_s=0.1) == 1000


def test_reading_that_takes_too_long_leaves_out_the_last_images(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_pixels, "BLOCK_BYTES", 4 * 12 * 12 * 3 * 10)  # ten images

    class Mapped:
        """Pixels that are read a block at a time, and never as a whole."""

        def __init__(self, images: np.ndarray) -> None:
            self.images = images

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, rows: slice) -> np.ndarray:
            assert rows.stop - rows.start <= 10
            return self.images[rows]

    streamed = replace(splits, **{
        name: Images(Mapped(getattr(splits, name).images), getattr(splits, name).labels)
        for name in ("train", "validation", "test")
    })  # fmt: skip
    whole = floor.of(streamed, splits.test.labels, methods=METHODS[:1], clock=still)
    at_once = floor.of(splits, splits.test.labels, methods=METHODS[:1], clock=still)
    assert whole.methods == at_once.methods and whole.test_images == 60
    ticks = itertools.chain([0.0, 0.0], itertools.repeat(25.0))
    part = floor.of(streamed, splits.test.labels, methods=(), clock=lambda: next(ticks))
    assert part.methods[0].train_images == 10 and part.test_images == 10 and part.beside.images == 10


@pytest.mark.parametrize(
    "made",
    [
        made_splits(per_class=1, tests=3), made_splits(per_class=2, classes=2, tests=4, size=8),
        made_splits(classes=1, per_class=8, tests=5),
        (lambda s: replace(s, **{n: Images(getattr(s, n).images * 0, getattr(s, n).labels)
                                 for n in ("train", "validation", "test")}))(made_splits()),
    ],
    ids=["one image a class", "two classes", "one class", "constant images"],
)  # fmt: skip
def test_poor_data_have_a_floor_too(made: Splits) -> None:
    poor = floor.of(made, made.test.labels, clock=still)
    assert poor.best in KINDS and poor.beside.network_accuracy == 1.0
    assert all(0 <= m.test_accuracy <= 1 for m in poor.methods if not m.limited)
    assert all(m.limited.startswith("left out") for m in poor.methods if m.test_accuracy is None)


def test_grey_images_are_taken_in_one_channel() -> None:
    images = np.repeat(datasets.random_images(9, 20, 1), 3, axis=3)
    small = small_pixels.read(Images(images, datasets.in_turn(9)), 9, lambda: False)
    assert small.grey and small.in_grey().pixels[8].shape == (9, 64)
    assert not small_pixels.read(Images(datasets.random_images(9), datasets.in_turn(9)), 9, lambda: False).grey


@given(st.integers(1, 40), st.integers(1, 20))
def test_a_shrunk_image_keeps_its_mean(size: int, side: int) -> None:
    side = min(side, size)
    image = np.random.default_rng(size).random((2, size, size, 3)).astype(np.float32)
    small = small_pixels.shrink(image, side)
    assert small.shape == (2, side, side, 3)
    assert np.allclose(small.mean(axis=(1, 2)), image.mean(axis=(1, 2)), atol=1e-5)
    assert small.min() >= image.min() - 1e-6 and small.max() <= image.max() + 1e-6


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_interval_of_a_paired_difference(first: int, second: int, same: int) -> None:
    n = first + second + same
    if not n:
        return
    low, high = stats.paired_difference(first, second, n)
    assert -1 <= low <= (first - second) / n <= high <= 1 and low < high
    assert stats.paired_difference(second, first, n) == pytest.approx((-high, -low))
    many_low, many_high = stats.paired_difference(4 * first, 4 * second, 4 * n)
    assert many_high - many_low < high - low


def test_the_interval_holds_the_true_difference_in_95_of_100_cases() -> None:
    random = np.random.default_rng(0)
    for p_first, p_second, n in ((0.1, 0.05, 100), (0.02, 0.02, 360), (0.3, 0.1, 50)):
        draws = random.multinomial(n, [p_first, p_second, 1 - p_first - p_second], 2000)
        intervals = (stats.paired_difference(int(a), int(b), n) for a, b, _ in draws)
        assert np.mean([low <= p_first - p_second <= high for low, high in intervals]) > 0.935


@pytest.mark.parametrize(
    ("only_network", "only_floor", "verdict"),
    [(0, 0, "unclear"), (3, 1, "unclear"), (30, 5, "above"), (5, 30, "below")],
)
def test_clearly_is_a_fact_of_the_interval(only_network: int, only_floor: int, verdict: str) -> None:
    network, other = np.zeros(200, bool), np.zeros(200, bool)
    network[:only_network], other[only_network : only_network + only_floor] = True, True
    beside = floor.compare(network, other)
    assert beside.verdict == verdict and beside.difference == (only_network - only_floor) / 200
    assert math.isclose(beside.network_accuracy - beside.floor_accuracy, beside.difference, abs_tol=1e-12)
    assert ("not clearly above" in told.compared(beside)) == (verdict == "unclear")


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4))
def test_the_chosen_method_is_within_an_error_of_the_best(answers: list[list[bool]]) -> None:
    tried = [
        floor_methods._judged(name, {}, 1, np.array(right), np.array(right))
        for name, right in zip(KINDS, answers, strict=False)
    ]
    chosen = floor._best(tried)
    most, own = max(map(sum, answers)), sum(answers[KINDS.index(chosen.best)])
    assert (most - own) ** 2 <= 6
    if len({tuple(a) for a in answers}) == 1:
        assert chosen.best == KINDS[len(answers) - 1], "of equal ones the last"


def test_a_large_training_has_no_floor(splits: Splits, tmp_path: Path) -> None:
    said = []
    large = replace(splits, info=replace(splits.info, train=20_001))
    floor.add(tmp_path, large, splits.test.labels, None, say=said.append)
    assert said == ["no floor: it is for at most 20,000 training images, these are 20,001"]


def test_the_cache_says_when_it_cannot_be_written(found: Floor, tmp_path: Path) -> None:
    said = []
    (tmp_path / "floors").write_text("a file")
    floor_cache.write(
        tmp_path / "floors", "k" * 64, floor_cache.KnownFloor(found.methods, found.best, np.ones(3, bool)), said.append
    )
    assert "not kept" in said[0]
