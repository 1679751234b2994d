"""The pictures that a model from elsewhere is judged by, in one file: a folder's, or the test split of a training."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench import artifact as folder
from edgebench.adopting import class_names, preprocessing, scoring
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.measuring import process, testset
from edgebench.measuring.testset import SetFacts, TestSet
from edgebench.records import account_text, digests, replacing
from edgebench.records.jobs import Job
from edgebench.records.preprocessing import Preprocessing
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training import evaluating, split_files
from edgebench.training.data import held_out
from edgebench.training.data.held_out import HeldOut

LIMIT_S = 24 * 3600.0  # for the reference's answers to all pictures
NO_PICTURES = "--images FOLDER, with a folder for each class, or a file that `edgebench evaluate --save-images` wrote"
OTHER_HEAD = "name the output that tells the classes: --output NAME; or judge its answers with --score FILE.py:FUNCTION"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How the user wants a model to be judged. `images`: a folder of pictures, or a test set in a file. `class_names`:
    a file, "order", or empty. `score`: FILE.py:FUNCTION, which judges the answers, so that classes do not matter."""

    images: Path | None = None
    preprocess: str = ""
    class_names: str = ""
    output: str = ""
    score: str = ""


def test_sets(
    artifacts: Sequence[Artifact], workspace: Workspace, asked: Judged, *, save: Path | None = None,
    on_image: Callable[[int, int], None] = lambda done, total: None, tell: Callable[[str], None] = lambda line: None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> dict[str, Path]:  # fmt: skip
    """By the artifact's identity, the file of pictures to judge it by. `save` gets a copy, for a board.

    Of a checkpoint and its exports that is `asked.images`, or the test split, which is read from the dataset the first
    time and answered by torch; `on_image(done, total)` counts along. Of an adopted model: see `test_set`.
    """
    _check(artifacts, asked, save)
    files = {}
    for each in sorted(artifacts, key=lambda each: bool(each.origin)):  # the reference before what was made of it
        if each.adopted:
            files[each.identity] = test_set(each, workspace, asked, on_image=on_image, tell=tell, on_stage=on_stage)
        else:
            files[each.identity] = asked.images or split_files.test_set(each, workspace, on_image)
    if save:
        save.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(next(iter(files.values())), save)
    return files


def test_set(
    found: Artifact, workspace: Workspace, asked: Judged, *,
    on_image: Callable[[int, int], None] = lambda done, total: None, tell: Callable[[str], None] = lambda line: None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Path:  # fmt: skip
    """The file with the pictures for this model, at its size, with the reference's answers; made if it is not there.

    `tell` hears which files of a folder are left out, and what else is not as one may think; `on_stage` what is being
    done. Raises UsageError or BadFile, with the fix.
    """
    if asked.images is None:
        raise UsageError(f"{found.model.name} was adopted: by which pictures is it to be judged?", NO_PICTURES)
    if asked.images.is_file() and _is_for(asked.images, found):
        return asked.images
    how = _how(found, asked)
    on_stage(f"reading the pictures of {asked.images}")
    with _held_out(asked, how, on_image, tell) as held:
        facts = _facts(found, asked, held, how)
        name = digests.of_data([found.origin or found.identity, facts])[:32]
        path = workspace.test_set(found).with_name(f"{name}.npz")
        if not testset.kept(path, found):
            testset.write(path, held.images, held.labels, None, found.origin or found.identity, facts)
    if facts.classes:
        _answer(path, found, workspace, tell, on_stage)
    return path


def _is_for(path: Path, found: Artifact) -> bool:
    """Whether the file has the pictures of exactly this model, as a desk sends them to a board."""
    with testset.opened(path) as test:
        return bool(test.facts and test.facts.preprocessing) and test.origin == (found.origin or found.identity)


def _how(found: Artifact, asked: Judged) -> Preprocessing:
    if asked.preprocess:
        return preprocessing.settled(preprocessing.read(asked.preprocess), found.inputs)
    if found.preprocessing is None:
        raise UsageError(f"what does {found.model.name} make of a picture?", preprocessing.PICTURES)
    return found.preprocessing


@contextlib.contextmanager
def _held_out(
    asked: Judged, how: Preprocessing, on_image: Callable[[int, int], None], tell: Callable[[str], None]
) -> Iterator[HeldOut]:
    """The pictures, which can be read once."""
    if asked.images.is_dir():
        found = (
            held_out.of_files(asked.images, how) if asked.score else held_out.of_classes(asked.images, how, on_image)
        )
        for each in found.left_out:
            tell(f"left out: {account_text.left(each)}")
        yield found
        return
    if not asked.images.is_file():
        raise BadFile(f"{asked.images} does not exist", NO_PICTURES)
    with testset.opened(asked.images) as test:
        if asked.score:
            raise UsageError(
                f"--score {asked.score} needs the names of the pictures", "name their folder: --images FOLDER"
            )
        yield HeldOut(
            dataset=test.facts.dataset, classes=test.facts.classes, labels=test.labels, sha256=test.facts.sha256,
            images=_Again(test, how, asked.images.name, tell),
        )  # fmt: skip


class _Again:
    """The pictures of a test set at another model's size, in order, once."""

    def __init__(self, test: TestSet, how: Preprocessing, name: str, tell: Callable[[str], None]) -> None:
        self._test, self._how, self._name, self._tell = test, how, name, tell

    def __len__(self) -> int:
        return len(self._test.labels)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        images = next(self._test.images)
        size, wanted = images.shape[1:3], (self._how.height, self._how.width)
        if size != wanted and rows.start == 0:
            shown = [" × ".join(map(str, each)) for each in (size, wanted)]
            self._tell(f"the pictures in {self._name} have {shown[0]} pixels, and the model gets them at {shown[1]}")
        return held_out.again(images, self._how)


def _facts(found: Artifact, asked: Judged, held: HeldOut, how: Preprocessing) -> SetFacts:
    if asked.score:
        return SetFacts(dataset=held.dataset, classes=(), sha256=held.sha256, preprocessing=how, pictures=held.names)
    named = class_names.of_lines(found.adopted.classes)
    if asked.class_names not in ("", class_names.ORDER):
        named = class_names.read(Path(asked.class_names))
    output, count = _output(found, asked.output, max(named, default=-1) + 1 or len(held.classes))
    if asked.class_names == class_names.ORDER:
        meaning = class_names.in_order(held.classes, count)
    else:
        meaning = class_names.meaning(held.classes, named, count)
    return SetFacts(
        dataset=held.dataset, classes=held.classes, sha256=held.sha256, preprocessing=how, output=output,
        meaning=meaning, names=tuple(named[i].name if i in named else "" for i in range(count)) if named else (),
    )  # fmt: skip


def _output(found: Artifact, name: str, likely: int) -> tuple[str, int]:
    """The output that tells the classes, and how many it tells; where that is open, as many as are `likely`."""
    answer, batch = folder.read_examples(found).answers[0], found.adopted.batch
    told = {each: _told(array, batch, likely) for each, array in answer.items()}
    shown = ", ".join(f"{each!r} {'×'.join(map(str, array.shape))}" for each, array in answer.items())
    if name:
        if name not in answer:
            raise UsageError(f"the model has no output {name!r}", f"its outputs: {shown}")
        if not told[name]:
            raise UsageError(f"the output {name!r} tells no class of a picture: {shown}", OTHER_HEAD)
        return name, told[name]
    scores = [each for each, count in told.items() if count and answer[each].dtype.kind == "f"]
    if len(scores) > 1:
        scores = [each for each in scores if told[each] == likely]
    if len(scores) != 1:
        scores = [each for each, count in told.items() if count] if len(answer) == 1 else []
    if not scores:
        raise UsageError(f"which output tells the class of a picture? The model has {shown}", OTHER_HEAD)
    return scores[0], told[scores[0]]


def _told(array: np.ndarray, batch: int, likely: int) -> int:
    """How many classes an output tells of each picture; 0 if it does not look like that."""
    if array.dtype.kind in "iu" and array.size == batch:
        return likely
    plain = [size for size in array.shape if size != 1]
    each, rest = divmod(array.size, batch)
    return each if not rest and each > 1 and plain in ([each], [batch, each]) else 0


def _answer(
    path: Path, found: Artifact, workspace: Workspace, tell: Callable[[str], None], on_stage: Callable[[str], None]
) -> None:  # fmt: skip
    """Add to the file what the reference puts first, if that is missing and the adopted model and its reference runtime
    are here."""
    with testset.opened(path, found) as test:
        if test.first is not None:
            return
    try:
        source = workspace.head(found)
    except EdgebenchError as error:
        tell(f"no comparison with the reference: {error.message}")
        return
    runtime = found.adopted.reference.partition(" ")[0]
    on_stage(f"asking the reference, {found.adopted.reference}, for its answers to them; they are kept")
    job = Job(
        artifact=source.identity, runtime=runtime, device="cpu", compute="cpu", scenario="evaluate",
        batch=source.adopted.batch, precision=source.precision, time_limit_s=LIMIT_S,
    )  # fmt: skip
    with replacing.scratch() as scratch:
        answers = Path(scratch, "first.npy")
        result = process.run_job(job, source, verify=False, images=path.resolve(), answers=answers)
        if result.status == "ok":
            testset.add_first(path, np.load(answers, allow_pickle=False))
        else:
            tell(f"no comparison with the reference, {found.adopted.reference}: {result.message}")


def _check(artifacts: Sequence[Artifact], asked: Judged, save: Path | None) -> None:
    """Raise UsageError for what is only for adopted models, where others are judged, and for a copy of several sets."""
    if save:
        evaluating.need_one_checkpoint(artifacts, "--save-images")
    given = {"--preprocess": asked.preprocess, "--class-names": asked.class_names, "--output": asked.output}
    given |= {"--score": asked.score}
    for each in artifacts:
        if each.adopted:
            continue
        if option := next((option for option, value in given.items() if value), ""):
            raise UsageError(f"{option} is for adopted models; {each.path.name} was trained here", "leave it out")
        if asked.images and asked.images.is_dir():
            raise UsageError(
                f"--images {asked.images} is a folder: {each.path.name} is judged by the test split of its dataset",
                "leave it out, or name a file that --save-images wrote",
            )
        if asked.images and save:
            raise UsageError("--images and --save-images exclude each other", "copy the file")
    if asked.class_names not in ("", class_names.ORDER):
        class_names.read(Path(asked.class_names))
    if asked.score and (asked.class_names or asked.output):
        raise UsageError("--score judges all outputs, and needs no classes", "leave out --class-names and --output")
    if asked.score:
        scoring.check(asked.score)
