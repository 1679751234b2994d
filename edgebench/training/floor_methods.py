"""The methods of the floor on small pixels: each is tuned on validation, within its time limit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from edgebench.records.floor import FloorMethod, FloorName
from edgebench.training.small_pixels import SmallImages

TUNED_ON = 2_000  # training images at most: the settings that suit these suit more as well
AT_ONCE = 1_000  # images that are answered at once, so that a limit is noticed


class Classifier(Protocol):
    def fit(self, pixels: np.ndarray, labels: np.ndarray) -> None: ...

    def answers(self, pixels: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a method is tuned: one setting after another, of equal ones the first value of `tried`.

    `most`: training images that it takes at most. `power`: its fit takes seconds ~ images ** power.
    """

    name: FloorName
    make: Callable[..., Classifier]
    tried: Mapping[str, tuple[Any, ...]]
    most: int
    limit_s: float
    power: float


class OverLimit(Exception):
    """A method ran out of its time."""


class Neighbours:
    """The most frequent class of the nearest images; of equal ones the class that comes first."""

    def __init__(self, neighbours: int) -> None:
        self._asked = neighbours

    def fit(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        from sklearn.neighbors import KNeighborsClassifier

        self._model = KNeighborsClassifier(min(self._asked, len(labels)), algorithm="brute").fit(pixels, labels)

    def answers(self, pixels: np.ndarray) -> np.ndarray:
        return self._model.predict(pixels)


class Linear:
    """Logistic regression, at most 100 iterations."""

    def __init__(self, strength: float) -> None:
        self._strength = strength

    def fit(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        self._mean, self._scale = pixels.mean(axis=0), float(pixels.std()) or 1.0
        self._model = LogisticRegression(C=self._strength, max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # more iterations overfit few images
            self._model.fit(self._scaled(pixels), labels)

    def answers(self, pixels: np.ndarray) -> np.ndarray:
        return self._model.predict(self._scaled(pixels))

    def _scaled(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels - self._mean) / np.float32(self._scale)


class Kernel:
    """A support vector machine with radial basis functions. `width` 1 is scikit-learn's gamma="scale".

    The kernel is computed here, by one matrix product: libsvm's own took ten times as long for 4,370 CIFAR-10 images.
    """

    def __init__(self, strength: float, width: float) -> None:
        self._strength, self._width = strength, width

    def fit(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        from sklearn.svm import SVC

        self._mean = pixels.mean(axis=0)
        self._pixels = pixels - self._mean
        self._squares = (self._pixels**2).sum(axis=1)
        self._gamma = np.float32(self._width / (pixels.shape[1] * (float(pixels.var()) or 1.0)))
        self._model = SVC(C=self._strength, kernel="precomputed").fit(self._kernel(self._pixels), labels)

    def answers(self, pixels: np.ndarray) -> np.ndarray:
        return self._model.predict(self._kernel(pixels - self._mean))

    def _kernel(self, pixels: np.ndarray) -> np.ndarray:
        """exp(−gamma · squared distance) of these images from the training images."""
        exponent = pixels @ self._pixels.T
        exponent *= 2
        exponent -= (pixels**2).sum(axis=1)[:, None]
        exponent -= self._squares
        exponent *= self._gamma
        np.minimum(exponent, 0, out=exponent)
        return np.exp(exponent, out=exponent)


METHODS = (
    Method(
        name="neighbours", make=Neighbours, tried={"pixels": (8, 16), "neighbours": (1, 3, 5, 10)}, most=10_000,
        limit_s=5.0, power=1.0,
    ),
    Method(
        name="linear", make=Linear, tried={"strength": (0.1, 0.01, 1.0), "pixels": (8, 16)}, most=10_000, limit_s=5.0,
        power=1.0,
    ),
    Method(
        name="kernel", make=Kernel, tried={"strength": (10.0, 2.0), "width": (2.0, 1.0, 4.0, 0.5), "pixels": (16, 8)},
        most=5_000, limit_s=10.0, power=2.0,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """What a method gave: its record, and for each validation and test image whether its answer is right.

    These are None if it was left out. by_clock: its limit of time left something out, so that another run may give
    more.
    """

    record: FloorMethod
    validated: np.ndarray | None = None
    right: np.ndarray | None = None
    by_clock: bool = False


def load_libraries() -> None:
    """Import them now: from a cold disk that takes seconds, which are no method's."""
    import sklearn.linear_model
    import sklearn.neighbors
    import sklearn.svm  # noqa: F401


def majority(train: SmallImages, validation: SmallImages, test: SmallImages) -> Tried:
    """The most frequent class of the training images, whatever the image; of equal ones the first."""
    first = int(np.bincount(train.labels).argmax())
    return _judged("majority", {}, len(train), validation.labels == first, test.labels == first)


def _judged(name: FloorName, settings: dict[str, Any], count: int, validated: np.ndarray, right: np.ndarray) -> Tried:
    record = FloorMethod(
        name=name, settings=settings, train_images=count, validation_accuracy=float(validated.mean()),
        test_accuracy=float(right.mean()),
    )  # fmt: skip
    return Tried(record, validated, right)


def run(
    method: Method, train: SmallImages, validation: SmallImages, test: SmallImages, clock: Callable[[], float]
) -> Tried:
    """Tune, fit and use a method. One that fails or runs over its limit is left out, and its record says why."""
    began = clock()

    def left_s() -> float:
        return method.limit_s - (clock() - began)

    try:
        made = _run(method, train, validation, test, clock, left_s)
    except OverLimit:
        limited = f"left out: it ran over its limit of {method.limit_s:g} s"
        made = Tried(FloorMethod(name=method.name, limited=limited), by_clock=True)
    except (MemoryError, ValueError) as error:  # such as one class alone
        limited = f"left out: {' '.join(str(error).split()) or type(error).__name__}"
        made = Tried(FloorMethod(name=method.name, limited=limited))
    return replace(made, record=replace(made.record, seconds=round(clock() - began, 3)))


def _run(
    method: Method, train: SmallImages, validation: SmallImages, test: SmallImages, clock: Callable[[], float],
    left_s: Callable[[], float],
) -> Tried:  # fmt: skip
    few, most = min(TUNED_ON, method.most, len(train)), min(method.most, len(train))
    best, cost, whole = _tuned(method, few, train, validation, clock, left_s)
    count = _fitting(method, few, most, cost, len(test) / len(validation), left_s())
    limited = [] if whole else ["some settings were not tried, for want of time"]
    if count < len(train):
        why = f"it takes at most {method.most:,}" if count == most else f"its limit is {method.limit_s:g} s"
        limited.append(f"learned from {count:,} of {len(train):,} images: {why}")
    model, side = _made(method, best), best["pixels"]
    model.fit(train.pixels[side][:count], train.labels[:count])
    validated = _answers(model, validation.pixels[side], left_s) == validation.labels
    right = _answers(model, test.pixels[side], left_s) == test.labels
    made = _judged(method.name, best, count, validated, right)
    return replace(made, record=replace(made.record, limited="; ".join(limited)), by_clock=not whole or count < most)


@dataclass(frozen=True)
class _Cost:
    """Seconds of a fit to the few images, and of the answers to the validation images after it."""

    fit_s: float
    answers_s: float


def _tuned(
    method: Method, few: int, train: SmallImages, validation: SmallImages, clock: Callable[[], float],
    left_s: Callable[[], float],
) -> tuple[dict[str, Any], _Cost, bool]:  # fmt: skip
    """The best settings on validation, what they cost, and whether all were tried in a third of the limit."""
    known: dict[tuple[Any, ...], float] = {}
    costs: dict[tuple[Any, ...], _Cost] = {}

    def tried(settings: dict[str, Any]) -> float | None:
        key = tuple(settings.values())
        if key not in known:
            if known and left_s() < method.limit_s * 2 / 3:
                return None
            began, pixels = clock(), train.pixels[settings["pixels"]][:few]
            model = _made(method, settings)
            model.fit(pixels, train.labels[:few])
            fitted = clock()
            found = _answers(model, validation.pixels[settings["pixels"]], left_s)
            known[key] = float((found == validation.labels).mean())
            costs[key] = _Cost(fitted - began, clock() - fitted)
        return known[key]

    best, whole = {name: values[0] for name, values in method.tried.items()}, True
    for name, values in method.tried.items():
        shares = {value: tried(best | {name: value}) for value in values}
        whole = whole and None not in shares.values()
        best = best | {name: max(values, key=lambda value: -1.0 if shares[value] is None else shares[value])}
    return best, costs[tuple(best.values())], whole


def _fitting(method: Method, few: int, most: int, cost: _Cost, tests: float, left_s: float) -> int:
    """How many training images can be learned from in the time left, judging by the few; never less than these."""
    count = most
    while count > few:
        ratio = count / few
        if cost.fit_s * ratio**method.power + cost.answers_s * ratio * (1 + tests) <= left_s:
            return count
        count //= 2
    return few


def _made(method: Method, settings: dict[str, Any]) -> Classifier:
    return method.make(**{name: value for name, value in settings.items() if name != "pixels"})


def _answers(model: Classifier, pixels: np.ndarray, left_s: Callable[[], float]) -> np.ndarray:
    found = []
    for start in range(0, len(pixels), AT_ONCE):
        if left_s() < 0:
            raise OverLimit
        found.append(model.answers(pixels[start : start + AT_ONCE]))
    return np.concatenate(found)
