"""The accuracy of a model from elsewhere: on which pictures, with which classes, and beside which others."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import pytest
from conftest import needed
from factories import make_artifact, make_result
from PIL import Image
from test_adopting import adopted, job

from edgebench import artifact as folder
from edgebench.adopting import judged, scoring
from edgebench.adopting.judged import Judged
from edgebench.commands import evaluate as command
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.measuring import testset, worker
from edgebench.measuring.testset import SetFacts
from edgebench.records.preprocessing import Preprocessing
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace
from edgebench.report import evaluations, formats
from edgebench.results import context
from edgebench.results.figures import split_of
from edgebench.results.rows import rows
from edgebench.specs import Artifact
from edgebench.training import data

needed("onnxruntime", "edgebench[onnx]")
RGB = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged.process, "run_job", worker.run_job)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    root = tmp_path_factory.mktemp("colours")
    return adopted(foreign.colours(root / "colours.onnx", 4), root / "made", preprocess="unit")


def photos(root: Path, wrong: int = 1, each: int = 4) -> Path:
    """Folders of one colour each, in which `wrong` pictures of red are green."""
    for name, colour in RGB.items():
        (root / name).mkdir(parents=True)
        for i in range(each):
            shown = RGB["green"] if name == "red" and i < wrong else colour
            Image.new("RGB", (9, 7), tuple(max(0, part - i) for part in shown)).save(root / name / f"{i}.png")
    return root


def names(tmp_path: Path, text: str = "red\ngreen\nblue\nnothing\n") -> str:
    (tmp_path / "names.txt").write_text(text)
    return str(tmp_path / "names.txt")


def evaluated(model: Artifact, workspace: Workspace, runtime: str = "onnxruntime", **asked: Any) -> Result:
    file = judged.test_set(model, workspace, Judged(**asked))
    result = worker.run_job(job(model, runtime, scenario="evaluate"), model, images=file)
    assert result.status == "ok", result.message
    return result


def test_the_right_answers_are_counted(model: Artifact, tmp_path: Path) -> None:
    where, asked = Workspace(tmp_path / "runs"), {"images": photos(tmp_path / "photos"), "class_names": names(tmp_path)}
    heard: list[str] = []
    judged.test_set(model, where, Judged(**asked), tell=heard.append)
    assert heard == []
    for runtime in ("onnxruntime", "openvino"):
        found = evaluated(model, where, runtime, **asked).evaluation
        assert (found.images, found.accuracy, found.reference_accuracy, found.reference_agreement) == (
            12, 11 / 12, 11 / 12, 1.0
        )  # fmt: skip
        assert (found.torch_accuracy, found.torch_agreement, found.agreement) == (None, None, 1.0)
        by_name = {each.name: each for each in found.classes}
        assert [each.name for each in found.classes] == ["blue", "green", "red"]
        assert (by_name["red"].correct, by_name["red"].mistaken_for, by_name["green"].answered) == (3, "green", 5)
        assert (found.test.dataset, len(found.test.sha256)) == ("photos", 64)
        assert found.test.preprocessing == model.preprocessing
    assert len(list((tmp_path / "runs" / "testsets").iterdir())) == 1, "made once"


def exported(model: Artifact, out: Path) -> Artifact:
    """Another artifact that was made from `model`."""
    shutil.copytree(model.path, out)
    made = folder.write_manifest(out, replace(model, origin=model.identity, precision="fp16"), {})
    return replace(made, path=out)


def first(path: Path) -> list[int] | None:
    with testset.opened(path) as test:
        return None if test.first is None else test.first.tolist()


@pytest.mark.parametrize("kind", ["artifact", "checkpoint"])
def test_the_reference_is_found_where_the_adopted_model_lies(model: Artifact, tmp_path: Path, kind: str) -> None:
    """Adopted weights are a checkpoint, with another manifest, among the artifacts."""
    where = Workspace(tmp_path / "runs")
    head = replace(model, format="checkpoint") if kind == "checkpoint" else model
    there = where.artifacts / "colours"
    shutil.copytree(model.path, there, ignore=shutil.ignore_patterns("artifact.json"))
    head = replace(folder.write_manifest(there, head, {}), path=there)
    assert (there / f"{kind}.json").is_file()
    assert where.head(exported(head, where.artifacts / "colours-fp16")) == folder.read(there)


def test_the_reference_answers_later_where_it_was_missing(model: Artifact, tmp_path: Path) -> None:
    where, heard = Workspace(tmp_path / "runs"), []
    asked = Judged(images=photos(tmp_path / "photos"), class_names=names(tmp_path))
    made = exported(model, tmp_path / "fp16")
    for _ in range(2):
        file = judged.test_set(made, where, asked, tell=heard.append)
        assert first(file) is None
    assert len(heard) == 2 and all("no comparison with the reference: the adopted model that fp16" in h for h in heard)
    both = judged.test_sets([made, model], where, asked, tell=heard.append)
    assert len(heard) == 2 and first(file) is not None and set(both.values()) == {file}
    before = file.stat().st_mtime_ns
    assert judged.test_set(made, where, asked) == file and file.stat().st_mtime_ns == before, "it is kept"


def test_a_log_hears_each_stage_once(
    model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    where, root = Workspace(tmp_path / "runs"), photos(tmp_path / "photos")
    asked, made = Judged(images=root, class_names=names(tmp_path)), exported(model, tmp_path / "fp16")
    reading = f"reading the pictures of {root}"
    command._test_images([made, model], where, asked, None)
    stages = capsys.readouterr().err.splitlines()
    assert stages[0] == reading and len(stages) == 2
    assert stages[1].startswith(f"asking the reference, {model.adopted.reference}, for its answers")
    command._test_images([made, model], where, asked, None)
    assert capsys.readouterr().err.splitlines() == [reading], "the answers are kept"


@pytest.mark.parametrize("damaged", [b"", b"PK damaged", "only torch_first.npy"])
def test_a_damaged_file_of_the_workspace_is_made_anew(model: Artifact, tmp_path: Path, damaged: bytes | str) -> None:
    where, asked = Workspace(tmp_path / "runs"), Judged(images=photos(tmp_path / "photos"), class_names=names(tmp_path))
    file = judged.test_set(model, where, asked)
    answers = first(file)
    if isinstance(damaged, bytes):
        file.write_bytes(damaged)
    else:
        np.savez(file, torch_first=np.array(answers))
    named = tmp_path / "named.npz"
    shutil.copyfile(file, named)
    assert judged.test_set(model, where, asked) == file and first(file) == answers
    with pytest.raises(BadFile):
        judged.test_set(model, where, replace(asked, images=named))
    assert named.stat().st_size < file.stat().st_size, "the user's file stays as it is"


def test_an_answer_outside_of_the_folders_is_wrong_and_named(tmp_path: Path) -> None:
    """A model whose class 1 is called lime, and whose pictures have no such folder."""
    made = adopted(foreign.colours(tmp_path / "colours.onnx"), tmp_path / "made", preprocess="unit")
    root = photos(tmp_path / "photos")
    for file in (root / "green").iterdir():
        file.unlink()
    (root / "green").rmdir()
    found = evaluated(
        made, Workspace(tmp_path / "runs"), images=root, class_names=names(tmp_path, '["red", "lime", "blue"]')
    ).evaluation
    assert found.accuracy == 7 / 8 and len(found.classes) == 2
    assert [each.mistaken_for for each in found.classes if each.mistaken] == ["lime"]


def test_a_batch_and_an_output_of_numbers(tmp_path: Path) -> None:
    file = foreign.colours(tmp_path / "colours.onnx", batch="batch", index=True)
    made = adopted(file, tmp_path / "made", preprocess="unit", shapes={"image": (5, 3, 4, 4)})
    where, asked = (
        Workspace(tmp_path / "runs"),
        {"images": photos(tmp_path / "photos"), "class_names": names(tmp_path, "red\ngreen\nblue")},
    )
    assert made.adopted.batch == 5
    for output in ("", "best"):
        assert evaluated(made, where, **asked, output=output).evaluation.accuracy == 11 / 12
    with pytest.raises(UsageError, match="no output 'x'"):
        evaluated(made, where, **asked, output="x")


def test_the_folders_in_order(tmp_path: Path) -> None:
    made = adopted(foreign.colours(tmp_path / "colours.onnx"), tmp_path / "made", preprocess="unit,order=bgr")
    where, root = Workspace(tmp_path / "runs"), photos(tmp_path / "photos", wrong=0)
    assert evaluated(made, where, images=root, class_names="order").evaluation.accuracy == 1.0, "blue, green, red"
    with pytest.raises(UsageError, match="is not known"):
        judged.test_set(made, where, Judged(images=root))
    known = replace(made, adopted=replace(made.adopted, classes=("Blue", "green, lime", "red")))
    assert evaluated(known, where, images=root).evaluation.accuracy == 1.0


def test_a_folder_with_splits_gives_the_test_split_that_a_training_has(model: Artifact, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 3)):
        for name, colour in RGB.items():
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                noise = random.integers(0, 60, (16, 16, 3))
                pixels = np.clip(np.array(colour) + noise - 30, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    (root / "test" / "red" / "broken.png").write_bytes(b"no picture")
    heard: list[str] = []
    asked = Judged(images=root, class_names=names(tmp_path))
    judged.test_set(model, Workspace(tmp_path / "runs"), asked, tell=heard.append)
    assert heard == ["left out: 1 broken (test/red/broken.png)"]
    found = evaluated(model, Workspace(tmp_path / "runs"), images=root, class_names=names(tmp_path)).evaluation
    trained = data.load(str(root), "full", 8, 0, skip_broken=True).info
    assert (found.images, found.accuracy, found.test.sha256) == (9, 1.0, trained.test_sha256)


def facts(**changes: Any) -> SetFacts:
    return replace(SetFacts(dataset="colours", classes=("blue", "green", "red"), sha256="5" * 64), **changes)


def written(path: Path, origin: str = "3" * 64, told: SetFacts | None = None, size: int = 8) -> Path:
    labels = np.arange(6) % 3
    images = np.zeros((6, size, size, 3), np.uint8)
    images[...] = np.array([RGB[name] for name in ("blue", "green", "red")], np.uint8)[labels][:, None, None]
    testset.write(path, images, labels, np.eye(3)[labels], origin, facts() if told is None else told)
    return path


def test_the_test_split_of_a_training_makes_the_two_comparable(model: Artifact, tmp_path: Path) -> None:
    where, heard = Workspace(tmp_path / "runs"), []
    asked = Judged(images=written(tmp_path / "test.npz"), class_names=names(tmp_path))
    file = judged.test_set(model, where, asked, tell=heard.append)
    assert heard == ["the pictures in test.npz have 8 × 8 pixels, and the model gets them at 4 × 4"]
    result = worker.run_job(job(model, "onnxruntime", scenario="evaluate"), model, images=file)
    assert result.evaluation.accuracy == 1.0 and result.evaluation.test.sha256 == "5" * 64

    timed = make_result(model, job=job(model, "onnxruntime", scenario="latency", threads=1))
    (alone,) = rows([timed])
    assert (alone.dataset, alone.deployed_accuracy) == ("adopted:colours", None)
    ours = make_artifact()
    split = replace(ours.training.data, dataset="colours", test=6, test_sha256="5" * 64)
    ours = replace(ours, training=replace(ours.training, data=split))
    both = rows([timed, result, make_result(ours)])
    assert len(context.grouped(both, split_of)) == 1 and {row.dataset for row in both} == {"colours"}
    (row,) = [row for row in both if row.adopted]
    assert (row.deployed_accuracy, row.test_images, row.deployed_agreement) == (1.0, 6, 1.0)
    assert "the accuracy of colours is that on 6 pictures of colours" in formats.markdown(both)
    other = replace(
        result.evaluation, accuracy=0.5, test=replace(result.evaluation.test, dataset="other", sha256="6" * 64)
    )
    several = rows([timed, result, replace(result, evaluation=other), make_result(ours)])
    assert len(several) == 3 and len(context.grouped(several, split_of)) == 2, "a row for each test split"
    assert {row.deployed_accuracy for row in several if row.dataset == "other"} == {0.5}


def test_a_board_gets_the_file_that_the_desk_made(model: Artifact, tmp_path: Path) -> None:
    where, asked = Workspace(tmp_path / "runs"), Judged(images=photos(tmp_path / "photos"), class_names=names(tmp_path))
    sent = tmp_path / "images.npz"
    files = judged.test_sets([model], where, asked, save=sent)
    assert sent.read_bytes() == files[model.identity].read_bytes()
    board = Workspace(tmp_path / "board")
    assert judged.test_set(model, board, Judged(images=sent)) == sent and not board.root.exists()
    bare = replace(model, preprocessing=None)
    result = worker.run_job(job(bare, "onnxruntime", scenario="evaluate"), bare, images=sent)
    assert result.evaluation.accuracy == 11 / 12, "the file says how its pictures become the input"
    other = written(tmp_path / "other.npz")
    with pytest.raises(BadFile, match="made for another model"), testset.opened(other, model):
        pass
    mine = written(tmp_path / "mine.npz", model.identity)
    with pytest.raises(BadFile, match="does not say how its pictures become the input"), testset.opened(mine, model):
        pass
    with (
        pytest.raises(BadFile, match="classes that it does not have"),
        testset.opened(
            written(tmp_path / "wrong.npz", model.identity, facts(meaning=(3,), preprocessing=model.preprocessing)),
            model,
        ),
    ):
        pass


def test_what_cannot_be_judged_is_refused_with_a_fix(
    model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, named = photos(tmp_path / "photos"), names(tmp_path)
    metric = tmp_path / "metric.py"
    metric.write_text("def score(answers, pictures): return 1")
    monkeypatch.setattr(scoring, "_asked", lambda asked: scoring.Scored(figures=scoring.scored(asked)))
    testset.write(tmp_path / "old.npz", np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1), None, "3" * 64)
    ours, where = make_artifact(path=tmp_path / "ours"), Workspace(tmp_path / "runs")
    cases = [
        (model, {}, "by which pictures"), (replace(model, preprocessing=None), {"images": root}, "make of a picture"),
        (model, {"images": tmp_path / "nowhere"}, "does not exist"),
        (model, {"images": tmp_path / "old.npz", "class_names": named}, "does not say which classes"),
        (model, {"images": root, "output": "x", "class_names": named}, "no output 'x'"),
        (model, {"images": root, "score": "metric.py"}, "does not name a function"),
        (model, {"images": root, "score": f"{metric}:scor"}, "unknown function"),
        (model, {"images": root, "score": f"{metric}:score", "output": "x"}, "needs no classes"),
        (model, {"images": written(tmp_path / "t.npz"), "score": f"{metric}:score"}, "needs the names of the pictures"),
        (ours, {"images": root}, "is judged by the test split"), (ours, {"output": "x"}, "is for adopted models"),
    ]  # fmt: skip
    for each, asked, told in cases:
        with pytest.raises(EdgebenchError, match=told) as caught:
            judged.test_sets([each], where, Judged(**asked))
        assert caught.value.fix


def test_an_output_that_tells_no_class_asks_for_a_function(tmp_path: Path) -> None:
    made = adopted(
        foreign.plain(tmp_path / "plain.onnx", (1, 3, 4, 4)), tmp_path / "made", preprocess="unit"
    )  # fmt: skip
    with pytest.raises(UsageError, match="which output tells the class") as caught:
        judged.test_set(made, Workspace(tmp_path / "runs"), Judged(images=photos(tmp_path / "photos")))
    assert "--score" in caught.value.fix


METRIC = """
import helper  # beside it

def score(answers, pictures):
    assert len(answers) == len(pictures) == 12 and type(answers) is list
    assert answers[0]["scores"].shape == (1, 4)
    right = [name.startswith(helper.NAMES[int(a["scores"].argmax())]) for a, name in zip(answers, pictures)]
    return {"right": sum(right) / len(right), "pictures": len(right)}

def plain(answers, pictures): return 0.5
def nothing(answers, pictures): pass
def nan(answers, pictures): return {"f1": float("nan")}
def text(answers, pictures): return {"f1": "good"}
def fails(answers, pictures):
    return answers[0]["missing"]
def leaves(answers, pictures): raise SystemExit(3)
"""


@pytest.fixture(scope="module")
def scored(model: Artifact, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path, Path]:
    """A result without a score, the pictures and the answers to them; metric.py lies beside them."""
    root = tmp_path_factory.mktemp("scored")
    (root / "metric.py").write_text(METRIC)
    (root / "helper.py").write_text("NAMES = ('red', 'green', 'blue', 'none')")
    asked = Judged(images=photos(root / "photos"), score=f"{root}/metric.py:score")
    file, answers = judged.test_set(model, Workspace(root / "runs"), asked), root / "answers.zip"
    result = worker.run_job(job(model, "onnxruntime", scenario="evaluate"), model, images=file, answers=answers)
    assert result.status == "ok" and result.evaluation is None
    return result, file, answers


def test_a_function_of_the_users_judges_other_answers(
    scored: tuple[Result, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = scored[2].with_name("metric.py")
    asked: list[scoring.ToScore] = []
    monkeypatch.setattr(
        scoring, "_asked", lambda each: (asked.append(each), scoring.Scored(figures=scoring.scored(each)))[1]
    )
    made = scoring.add(*scored, f"{metric}:score")
    assert made.score.figures == {"right": 11 / 12, "pictures": 12.0}
    assert (made.score.function, made.score.images, made.score.test.dataset) == ("metric.py:score", 12, "photos")
    assert asked[0].pictures[:2] == ("blue/0.png", "blue/1.png")
    assert scoring.add(*scored, f"{metric}:plain").score.figures == {"plain": 0.5}
    timed = make_result(made.artifact, job=job(made.artifact, "onnxruntime", scenario="latency"))
    (row,) = rows([timed, made])
    assert row.score == "right 0.9167, pictures 12 on 12 pictures of photos" and row.deployed_accuracy is None
    assert row.dataset == "adopted:colours"
    assert [table.row_count for table in evaluations.tables([made])] == [1]
    assert evaluations.plain(made)["score"] == made.score


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("nothing", r"metric\.py, line 11: nothing returns NoneType"),
        ("nan", r"line 12: nan returns nan for 'f1'"), ("text", r"line 13: text returns str for 'f1'"),
        ("fails", r"metric\.py:fails fails: line 15: KeyError: 'missing'"),
        ("leaves", r"metric\.py:leaves fails: line 16: SystemExit: 3"),
        ("scor", r"unknown function in .*metric\.py: 'scor'"),
    ],
)  # fmt: skip
def test_a_function_that_fails_is_told_with_its_line(
    scored: tuple[Result, Path, Path], function: str, told: str
) -> None:
    *_, answers = scored
    asked = scoring.ToScore(
        function=f"{answers.parent}/metric.py:{function}", answers=str(answers), outputs=("scores",),
        pictures=tuple(f"{i}" for i in range(12)),
    )  # fmt: skip
    with pytest.raises(UsageError, match=told) as caught:
        scoring.scored(asked)
    assert caught.value.fix


def test_a_function_runs_in_its_own_process(scored: tuple[Result, Path, Path], tmp_path: Path) -> None:
    (tmp_path / "syntax.py").write_text("def score(answers, pictures):\n    return 1 +\n")
    made = scoring.add(*scored, f"{tmp_path}/syntax.py:score")
    assert made.status == "failed" and "line 2: SyntaxError" in made.message and made.score is None


def test_a_preprocessing_that_is_given_counts(model: Artifact, tmp_path: Path) -> None:
    """The same model with its red and blue exchanged."""
    asked = {"images": photos(tmp_path / "photos", wrong=0), "class_names": names(tmp_path)}
    found = evaluated(model, Workspace(tmp_path / "runs"), **asked, preprocess="unit,order=bgr").evaluation
    assert found.accuracy == 1 / 3 and isinstance(found.test.preprocessing, Preprocessing)
    assert found.test.preprocessing.order == "bgr"
    assert {each.remedy for each in context.notices(found.classes, None)} == {context.ELSEWHERE}
    assert folder.read_examples(model).requests
