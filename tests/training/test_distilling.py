"""Learning from a teacher: who can teach, what it answers, that its answers are kept, and the loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import random_images
from factories import make_artifact
from safetensors.torch import save_file
from torch import nn

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records.distillation import Distillation
from edgebench.records.recipe import TrainConfig, absolute
from edgebench.specs import Artifact, DataSplit
from edgebench.training import answers, models, teacher
from edgebench.training.data import Images
from edgebench.training.distilling import Lesson, Teaching

ENCODER, SIZE = "test_resnet", 32
DIGITS = tuple("0123456789")


def data_of(classes: tuple[str, ...] = DIGITS, sha256: str = "0" * 64) -> DataSplit:
    return DataSplit(dataset="digits", classes=classes, train=8, validation=2, test=2, indices_sha256=sha256)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the weights of a small network of timm's, with a head for 1,000 classes."""
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    torch.manual_seed(3)
    save_file(models.import_timm().create_model(ENCODER).state_dict(), path)
    return path


# The teacher


def test_an_encoder_answers_with_its_pooled_features_of_image_and_mirror_image(weights: Path) -> None:
    found = teacher.find(f"{ENCODER}={weights}", SIZE, data_of(), Path("student"))
    assert (found.name, found.teaches, found.preprocessing.height, found.same_splits) == (
        ENCODER, "features", SIZE, None,
    )  # fmt: skip
    images, seen = random_images(70, SIZE), []
    both = found.answers(images, torch.device("cpu"), mirror=True, on_image=seen.append)
    assert both.shape[:2] == (2, 70) and both.dtype == np.float16 and seen == [64, 70]
    mirrored = found.answers(images[:, :, ::-1], torch.device("cpu"), mirror=False, on_image=seen.append)
    assert mirrored.shape[0] == 1
    np.testing.assert_allclose(mirrored[0].astype(float), both[1].astype(float), rtol=2e-3, atol=1e-3)


def test_an_encoder_by_name_gets_the_weights_that_a_training_would(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / f"{ENCODER}.safetensors").write_bytes(weights.read_bytes())
    by_name, by_file = (
        teacher.find(named, SIZE, data_of(), Path("x")) for named in (ENCODER, f"{ENCODER}={weights}")
    )  # fmt: skip
    assert by_name.identity == by_file.identity and teacher.content(ENCODER) == teacher.content(f"{ENCODER}={weights}")
    with pytest.raises(UsageError, match="would have random weights: the licence of test_resnet"):
        teacher.find(ENCODER, SIZE, data_of(), Path("x"), student=TrainConfig(licence="permissive"))


def test_an_encoder_takes_the_size_that_it_was_made_for(weights: Path) -> None:
    assert teacher.find(f"{ENCODER}={weights}", None, data_of(), Path("x")).preprocessing.height == 160


def test_a_checkpoint_answers_with_its_logits(checkpoint: Artifact) -> None:
    found = teacher.find(str(checkpoint.path), None, checkpoint.training.data, Path("student"))
    assert (found.teaches, found.identity, found.same_splits) == ("logits", checkpoint.identity, True)
    reference = np.load(checkpoint.path / "reference.npz")
    told = found.answers(reference["images"], torch.device("cpu"), mirror=False, on_image=lambda done: None)
    np.testing.assert_allclose(told[0], reference["logits"], rtol=1e-3, atol=1e-3)
    other = replace(checkpoint.training.data, indices_sha256="f" * 64)
    assert teacher.find(str(checkpoint.path), None, other, Path("x")).same_splits is False


def refused(named: str | Path, says: str, *, size: int | None = None, data: DataSplit | None = None) -> None:
    with pytest.raises(EdgebenchError, match=says) as raised:
        teacher.find(str(named), size, data or data_of(), Path("runs/student"))
    assert raised.value.fix


def test_teachers_that_cannot_teach_this_student(checkpoint: Artifact, weights: Path, tmp_path: Path) -> None:
    path, digits = checkpoint.path, checkpoint.training.data
    refused(path, "tells 10 classes apart, but the dataset digits has 3", data=data_of(("a", "b", "c")))
    refused(path, "in another order", data=data_of(DIGITS[::-1]))
    refused(path, "its class 9 is '9', not 'ten'", data=data_of((*DIGITS[:9], "ten")))
    refused(path, "takes images of 16 × 16", size=64, data=digits)
    refused(make_artifact(tmp_path / "exported").path, "is an artifact in onnx")
    refused(tmp_path / "nowhere", "is no checkpoint's folder")
    refused(weights, "does not say which network")
    refused("runs/student", "is the student's own run")
    refused("runs/.student.unfinished", "is the student's own run")
    refused("runs/.other.unfinished", "a training that has not ended")
    with pytest.raises(BadFile, match=r"nowhere\.safetensors does not exist"):
        teacher.find(f"{ENCODER}={tmp_path / 'nowhere.safetensors'}", None, data_of(), Path("x"))
    refused("no_such_network", "no_such_network is no checkpoint's folder, and unknown model")
    refused(ENCODER, f"the teacher {ENCODER} would have random weights: .* there is no {ENCODER}.safetensors in")
    refused(f"test_vit={weights}", "holds the weights of another model")
    refused(f"test_resnett={weights}", "unknown model")


def test_a_damaged_teacher_is_refused(checkpoint: Artifact, tmp_path: Path) -> None:
    for name in (*checkpoint.files, "checkpoint.json"):
        (tmp_path / name).write_bytes((checkpoint.path / name).read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(BadFile, match="changed or damaged"):
        teacher.find(str(tmp_path), None, checkpoint.training.data, Path("x"))


def test_what_decides_on_the_answers_decides_on_a_sweeps_step(
    checkpoint: Artifact, weights: Path, tmp_path: Path
) -> None:
    assert teacher.content(str(checkpoint.path)) == checkpoint.identity
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(weights.read_bytes())
    same = teacher.content(f"{ENCODER}={weights}")
    assert teacher.content(f"{ENCODER}={moved}") == same != teacher.content(f"resnet18={weights}")


# Its answers on disk


def test_answers_are_made_once_and_a_file_that_was_cut_is_noticed(tmp_path: Path) -> None:
    made, said = [], []

    def make() -> np.ndarray:
        made.append(1)
        return np.arange(12, dtype=np.float32).reshape(1, 4, 3)

    for _ in range(3):
        found = answers.kept(tmp_path, "key", make, said.append)
        assert np.array_equal(found, np.arange(12).reshape(1, 4, 3))
    assert len(made) == 1 and not said
    path = tmp_path / "key.npy"
    path.write_bytes(path.read_bytes()[:-4])
    assert np.array_equal(answers.kept(tmp_path, "key", make, said.append), np.arange(12).reshape(1, 4, 3))
    assert len(made) == 2 and "cut or changed" in said[0]
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    answers.kept(tmp_path, "key", make, said.append)
    assert len(made) == 3 and len(said) == 2
    assert sorted(found.name for found in tmp_path.iterdir()) == ["key.json", "key.npy"]
    answers.kept(None, "key", make, said.append)
    assert len(made) == 4


# The loss


def lesson_of(given: np.ndarray, labels: list[int], teaches: str = "logits") -> Lesson:
    record = Distillation(teacher="t", identity="i", teaches=teaches, image_size=8)
    return Lesson(
        images=Images(random_images(len(labels), 8), np.arange(len(labels))),
        classes=torch.tensor(labels), answers=torch.from_numpy(given), record=record,
    )  # fmt: skip


def given_logits(count: int, classes: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2 * count, classes)).astype(np.float32) * 3


def config_of(**settings: float) -> TrainConfig:
    return TrainConfig(distill="t", image_size=8, **settings)


def test_the_loss_is_cross_entropy_of_the_labels_and_divergence_from_the_softened_teacher() -> None:
    given, labels = given_logits(4), [2, -1, 0, -1]
    config = config_of(distill_weight=0.7, temperature=4.0, label_smoothing=0.1)
    teaching = Teaching(lesson_of(given, labels), config, nn.Identity(), 3)
    mirrored = torch.tensor([False, True, False, False])
    rows = teaching.rows(torch.arange(4), mirrored)
    assert rows.tolist() == [0, 5, 2, 3], "the mirror image has an answer of its own"
    assert teaching.classes(rows).tolist() == labels
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    loss, put_out = teaching.loss(logits, teaching.targets(rows))
    by_labels = F.cross_entropy(logits[[0, 2]], torch.tensor([2, 0]), label_smoothing=0.1)
    p, q = (torch.from_numpy(given)[rows] / 4).softmax(1), (logits / 4).softmax(1)
    by_teacher = 16 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(loss, 0.3 * by_labels + 0.7 * by_teacher)
    assert put_out is logits


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn_from_it() -> None:
    given = given_logits(4)
    teaching = Teaching(lesson_of(given, [0, 1, -1, -1]), config_of(distill_weight=1.0), nn.Identity(), 3)
    rows = torch.arange(4)
    assert teaching.loss(torch.from_numpy(given)[rows], teaching.targets(rows))[0].abs() < 1e-6


def test_features_are_read_off_the_students_own_by_a_layer_that_learns() -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    given = np.random.default_rng(0).normal(5, 2, (8, 7)).astype(np.float16)
    teaching = Teaching(lesson_of(given, [0, 1, -1, -1], "features"), config_of(distill_weight=1.0), net, 3)
    images = torch.randn(4, 3, 8, 8)
    logits, seen = teaching.module(images)
    features = net[:3](images)
    torch.testing.assert_close(seen, teaching.projection(features))
    torch.testing.assert_close(logits, net(images))
    answer = torch.from_numpy(given[:4]).float()
    standard = (answer - answer.mean(0)) / answer.std(0, correction=0)
    loss, _ = teaching.loss((logits, seen), teaching.targets(torch.arange(4)))
    torch.testing.assert_close(loss, 1 - F.cosine_similarity(seen, standard).mean())
    loss.backward()
    assert teaching.projection.weight.grad.abs().sum() > 0 and net[0].weight.grad.abs().sum() > 0


def test_a_student_without_a_linear_classifier_cannot_learn_features() -> None:
    given = np.zeros((2, 7), np.float16)
    with pytest.raises(UsageError, match="no linear layer"):
        Teaching(lesson_of(given, [0], "features"), config_of(), nn.Sequential(nn.Conv2d(3, 3, 3)), 3)


# The settings


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"unlabelled": "frames"}, "--unlabelled does nothing without a teacher"),
        ({"distill_size": 64}, "--distill-size does nothing without a teacher"),
        ({"distill": "t", "temperature": 0.0}, "--temperature is 0"),
        ({"distill": "t", "distill_weight": 1.5}, "--distill-weight is 1.5"),
    ],
)
def test_settings_that_make_no_sense(settings: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        TrainConfig(**settings).check()


def test_paths_become_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = absolute(TrainConfig(distill="runs/t", unlabelled="frames"))
    assert (whole.distill, whole.unlabelled) == (str(tmp_path / "runs/t"), str(tmp_path / "frames"))
    assert absolute(TrainConfig(distill="resnet18")).distill == "resnet18", "a network, not a folder"
    assert absolute(TrainConfig(distill="resnet18=w.safetensors")).distill == f"resnet18={tmp_path / 'w.safetensors'}"
