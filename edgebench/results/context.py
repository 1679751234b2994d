"""What an accuracy is worth: beside the majority's share, by class, and with which other accuracies it compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:  # a cached report needs none of these
    from edgebench.records.answers import ClassAccuracy
    from edgebench.records.notices import Notice
    from edgebench.specs import DataSplit

ELSEWHERE = "is its input what --preprocess says, and are its classes those of --class-names?"  # of a foreign model
FEW = 10  # training images of a class: with fewer, hardly any network learns what it looks like
NAMED = 3  # classes that a sentence names
Item = TypeVar("Item")

# The network beside the constant answer of the most frequent class. `above` and `below`: the interval of the difference
# excludes 0. `no better`: its accuracy is not higher, and its balanced accuracy not clearly above that of guessing.
BesideMajority = Literal["above", "unclear", "below", "no better"]


@dataclass(frozen=True, kw_only=True)
class Recall:
    """The share of a class's test images that are found, with Wilson's 95 % interval."""

    name: str
    images: int
    correct: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Context:
    """An accuracy beside what it would be without a look at the images, and by class.

    `majority` is the most frequent class of the test images, and `majority_share` its share: the accuracy of answering
    nothing else. `difference` is the accuracy minus that, with a 95 % interval for paired answers. `balanced` is the
    mean recall of the classes that have test images; `recalls` has these, the lowest first.
    """

    accuracy: float
    majority: str
    majority_share: float
    difference: float
    low: float
    high: float
    beside_majority: BesideMajority
    balanced: float
    balanced_low: float
    balanced_high: float
    recalls: tuple[Recall, ...]

    @property
    def worst(self) -> Recall:
        return self.recalls[0]

    @property
    def never_found(self) -> tuple[Recall, ...]:
        return tuple(recall for recall in self.recalls if not recall.correct)


def of(classes: Sequence[ClassAccuracy]) -> Context | None:
    """The context of the accuracy that these classes add up to; None without a test image."""
    return _of(tuple(classes))


@lru_cache(maxsize=64)  # a row has many figures of one context, and most rows are of few checkpoints
def _of(classes: tuple[ClassAccuracy, ...]) -> Context | None:
    from edgebench.results import stats  # it needs numpy, which the options of `select` do without

    seen = [each for each in classes if each.images]
    if not seen:
        return None
    images, correct = sum(each.images for each in seen), sum(each.correct for each in seen)
    most = max(seen, key=lambda each: each.images)
    low, high = stats.paired_difference(correct - most.correct, most.images - most.correct, images)
    balanced, balanced_low, balanced_high = stats.mean_of_shares([(each.correct, each.images) for each in seen])
    verdict: BesideMajority = "above" if low > 0 else "below" if high < 0 else "unclear"
    if correct <= most.images and balanced_low <= 1 / len(seen):
        verdict = "no better"
    recalls = [recall(each) for each in seen]
    return Context(
        accuracy=correct / images, majority=most.name, majority_share=most.images / images,
        difference=(correct - most.images) / images, low=low, high=high, beside_majority=verdict, balanced=balanced,
        balanced_low=balanced_low, balanced_high=balanced_high,
        recalls=tuple(sorted(recalls, key=lambda each: (each.share, -each.images))),
    )  # fmt: skip


def recall(of_class: ClassAccuracy) -> Recall:
    """The recall of a class that has test images."""
    from edgebench.results import stats

    low, high = stats.wilson(of_class.correct, of_class.images)
    return Recall(
        name=of_class.name, images=of_class.images, correct=of_class.correct, share=of_class.correct / of_class.images,
        low=low, high=high,
    )  # fmt: skip


def notices(classes: Sequence[ClassAccuracy], data: DataSplit | None) -> tuple[Notice, ...]:
    """What speaks against the accuracy of these classes: it is the majority's, a class is never found, or labels are
    few in the data that they were learned from, if that is known."""
    from edgebench.records.notices import notice

    if (found := of(classes)) is None:
        return ()
    told = []
    if found.beside_majority != "above":
        code = "no_better_than_majority" if found.beside_majority == "no better" else "not_above_majority"
        told.append(notice(
            code, accuracy=_percent(found.accuracy), share=_percent(found.majority_share), majority=found.majority,
            difference=100 * found.difference, low=100 * found.low, high=100 * found.high,
            balanced=_percent(found.balanced), balanced_low=100 * found.balanced_low,
            balanced_high=100 * found.balanced_high,
        ))  # fmt: skip
    if never := found.never_found:
        told.append(notice("class_never_found", classes=listed([f"{r.name!r} (0 of {r.images})" for r in never])))
    learned = data.account.balance.get("train", ()) if data and data.account else ()
    few = sorted(
        (count, name) for name, count in zip(data.classes if data else (), learned, strict=False) if count < FEW
    )
    if few:
        named = listed([f"{name!r} ({count})" for count, name in few])
        told.append(notice("few_training_images", classes=named, few=FEW))
    return tuple(told) if data else tuple(replace(each, remedy=ELSEWHERE) for each in told)


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


@dataclass(frozen=True, kw_only=True)
class TestSplit:
    """The test images that an accuracy is of. `sha256` is empty where an older edgebench did not record it."""

    __test__ = False  # for pytest: this is not a test class

    dataset: str
    images: int | None
    sha256: str = ""

    @property
    def label(self) -> str:
        """The name by which `--dataset` tells it from other test splits of a dataset of this name."""
        return f"{self.dataset}@{self.sha256[:8]}" if self.sha256 else self.dataset

    @property
    def told(self) -> str:
        if self.images is None:
            return f"{self.dataset}, whose accuracy is unknown"
        count = f"{self.images:,} test image{'s' * (self.images != 1)}"
        return f"{self.dataset} ({count}{f', {self.sha256[:8]}' if self.sha256 else ''})"


def no_split(model: str) -> TestSplit:
    """What stands for the test images of an adopted model, whose accuracy nobody has measured."""
    return TestSplit(dataset=f"adopted:{model}", images=None)


def split_of(data: DataSplit) -> TestSplit:
    """The test images of a training's data."""
    return TestSplit(dataset=data.dataset, images=data.test, sha256=data.test_sha256)


def named(split: TestSplit, dataset: str) -> bool:
    """Whether `--dataset` means this test split: by the dataset's name, or as NAME@HASH."""
    name, _, sha256 = dataset.rpartition("@")
    return dataset == split.dataset or bool(sha256 and name == split.dataset and split.sha256.startswith(sha256))


def comparable(one: TestSplit, other: TestSplit) -> bool:
    """Whether two accuracies can be compared: they are of the same test images, and of the same classes.

    The hashes say so. Where an older edgebench recorded none, the dataset's name and the number of images do.
    """
    if one.sha256 and other.sha256:
        return one.sha256 == other.sha256
    return (one.dataset, one.images) == (other.dataset, other.images)


def groups(splits: Sequence[TestSplit]) -> dict[TestSplit, TestSplit]:
    """By each test split, the one that stands for all that it is comparable with; the splits of a group agree.

    One without a hash joins those that have one if it is comparable with a single group of them.
    """
    found: dict[TestSplit, TestSplit] = {}
    for split in sorted(set(splits), key=lambda split: (not split.sha256, split.dataset, split.sha256)):
        heads = {head: None for head in found.values() if comparable(split, head)}
        found[split] = next(iter(heads)) if len(heads) == 1 else split
    return found


def grouped(items: Sequence[Item], split: Callable[[Item], TestSplit]) -> dict[TestSplit, list[Item]]:
    """The items whose accuracies can be compared, together: by the test split of each group."""
    heads = groups([split(item) for item in items])
    found: dict[TestSplit, list[Item]] = {}
    for item in items:
        found.setdefault(heads[split(item)], []).append(item)
    return found
