"""Gives a session the pictures of a test set, counts its right answers, and keeps the answers where they are wanted."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgebench import artifact as folder
from edgebench.errors import EdgebenchError, VerificationFailed
from edgebench.measuring import correctness, testset
from edgebench.measuring.testset import SetFacts, TestSet
from edgebench.protocols import Session
from edgebench.records.answers import Evaluation, TestPictures
from edgebench.records.preprocessing import preprocess
from edgebench.results import stats
from edgebench.specs import Artifact

MOST_BYTES = 4 << 30  # of answers that are kept for a function: it gets all of them at once
Ask = Callable[[np.ndarray], Iterator[tuple[dict[str, np.ndarray], int]]]


def judge(
    session: Session, artifact: Artifact, path: Path, batch: int, tell: Callable[[str], None], keep: Path | None = None
) -> Evaluation | None:
    """Count the right answers of a session over the test set in the file `path`, `batch` images at a time.

    `keep`: a file for the classes that it put first. Of a test set without classes, nothing is counted: all answers
    are kept there.
    """
    with testset.opened(path, artifact) as test:
        ask = _asking(session, artifact, test.facts, batch)
        if artifact.adopted and not test.facts.classes:
            if keep:
                _keep_all(ask, test, [spec.name for spec in artifact.outputs], batch, tell, keep)
            return None
        names = artifact.training.data.classes if artifact.training else test.facts.classes
        meaning = np.array((test.facts and test.facts.meaning) or range(len(names)), np.int64)
        output = (test.facts and test.facts.output) or artifact.outputs[0].name

        def answered(images: np.ndarray) -> tuple[np.ndarray, int]:
            found = [_first(answer, output, batch, count, len(meaning)) for answer, count in ask(images)]
            return np.concatenate([classes for classes, _ in found]), sum(wrong for _, wrong in found)

        first, non_finite, changed = [], 0, 0
        for images in test.images:
            classes, wrong = answered(images)
            non_finite += wrong
            first.append(classes)
            if len(first) == 1 and not keep:  # a second run shows whether the accuracy can be repeated
                changed = int((answered(images)[0] != classes).sum())
            tell(f"{sum(map(len, first))}/{len(test.labels)}")
        answers = np.concatenate(first)
    if keep:
        with keep.open("wb") as file:
            np.save(file, answers)
    right = meaning[answers] == test.labels
    known = test.first is not None
    theirs = meaning[test.first] == test.labels if known else None
    accuracy = float(theirs.mean()) if known else None
    agreement = float((test.first == answers).mean()) if known else None
    ours = artifact.training is not None
    return Evaluation(
        images=len(test.labels), accuracy=float(right.mean()), non_finite=non_finite,
        accuracy_ci95=stats.wilson(int(right.sum()), len(test.labels)),
        torch_accuracy=accuracy if ours else None, torch_agreement=agreement if ours else None,
        classes=_by_class(answers, meaning, test, names), given_again=0 if keep else len(first[0]), changed=changed,
        reference_accuracy=None if ours else accuracy, reference_agreement=None if ours else agreement,
        test=None if ours else pictures(test.facts),
        only_reference=int((theirs & ~right).sum()) if known else None,
        only_artifact=int((right & ~theirs).sum()) if known else None,
    )  # fmt: skip


def pictures(facts: SetFacts) -> TestPictures:
    """What a result of an adopted model tells of the pictures."""
    return TestPictures(dataset=facts.dataset, sha256=facts.sha256, preprocessing=facts.preprocessing)


def _asking(session: Session, artifact: Artifact, facts: SetFacts | None, batch: int) -> Ask:
    """A function from images to the session's answers to `batch` of them at a time, each with how many count; the last
    request is filled up. Other inputs of an adopted model are as in the first request that it was adopted with."""
    if artifact.adopted:
        others, how = folder.read_examples(artifact).requests[0], facts.preprocessing
        spec = next(spec for spec in artifact.inputs if spec.name == (how.input or artifact.inputs[0].name))

        def request(images: np.ndarray) -> dict[str, np.ndarray]:
            return others | {spec.name: preprocess(images, how, spec.dtype).reshape(spec.sizes)}
    else:

        def request(images: np.ndarray) -> dict[str, np.ndarray]:
            return {artifact.inputs[0].name: folder.prepared(images, artifact)}

    def ask(images: np.ndarray) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        for start in range(0, len(images), batch):
            chunk = images[start : start + batch]
            filled = np.resize(chunk, (batch, *chunk.shape[1:]))  # np.resize repeats the chunk to fill the batch
            yield session.run(request(filled)), len(chunk)

    return ask


def _first(answer: dict[str, np.ndarray], output: str, batch: int, count: int, classes: int) -> tuple[np.ndarray, int]:
    """The class of each of the first `count` pictures of a request, and how many of their scores are NaN or infinite.

    An output of whole numbers, one for each picture, has the classes themselves.
    """
    found = np.asarray(answer[output])
    if found.size == batch and found.dtype.kind in "iu":
        told = found.reshape(batch)[:count].astype(np.int64)
        if not ((told >= 0) & (told < classes)).all():
            raise VerificationFailed(f"its answer has classes beyond the {classes} that are known")
        return told, 0
    plain = tuple(size for size in found.shape if size != 1)
    if found.size != batch * classes or len(plain) > 2:
        raise VerificationFailed(f"its answer is {found.shape}, not ({batch} images, {classes} classes)")
    scores = found.reshape(batch, classes)[:count]
    return scores.argmax(axis=1), int((~np.isfinite(scores)).sum())


def _by_class(
    answers: np.ndarray, meaning: np.ndarray, test: TestSet, names: Sequence[str]
) -> tuple[correctness.ClassAccuracy, ...]:
    """What became of the pictures of each class. A class of the model's that the test set has not is told by its
    name."""
    told = meaning[answers]
    others = np.unique(answers[told < 0])
    called = (test.facts and test.facts.names) or ()
    more = [called[i] if i < len(called) and called[i] else f"class {i}" for i in others.tolist()]
    told = np.where(told < 0, len(names) + np.searchsorted(others, answers), told)
    return correctness.by_class(told, test.labels, [*names, *more])[: len(names)]


def _keep_all(
    ask: Ask, test: TestSet, names: Sequence[str], batch: int, tell: Callable[[str], None], keep: Path
) -> None:
    """Write the answer to each picture, as `answers_in` reads it: each output as for a request of this picture."""
    row = total = 0
    with zipfile.ZipFile(keep, "w") as file:
        for images in test.images:
            for answer, count in ask(images):
                for i in range(count):
                    for j, name in enumerate(names):
                        one = _of_picture(np.asarray(answer[name]), name, i, batch)
                        total += one.nbytes
                        with file.open(f"{row}-{j}.npy", "w", force_zip64=True) as entry:
                            np.lib.format.write_array(entry, one, allow_pickle=False)
                    row += 1
                if total > MOST_BYTES:
                    raise EdgebenchError(
                        f"the answers to {row} of {len(test.labels)} pictures take more than {MOST_BYTES >> 30} GiB",
                        "score fewer pictures",
                    )
            tell(f"{row}/{len(test.labels)}")


def answers_in(path: Path, names: Sequence[str], count: int) -> list[dict[str, np.ndarray]]:
    """The answers to `count` pictures that were kept: arrays by the names of the outputs."""
    with np.load(path, allow_pickle=False) as data:
        return [{name: data[f"{row}-{j}"] for j, name in enumerate(names)} for row in range(count)]


def _of_picture(array: np.ndarray, name: str, i: int, batch: int) -> np.ndarray:
    if batch == 1:
        return array
    if array.shape[:1] != (batch,):
        raise EdgebenchError(
            f"the output {name!r} has shape {array.shape} for {batch} pictures: which part is of which?",
            "adopt the model for one picture a request: --shape INPUT=1x…",
        )
    return array[i : i + 1]
