"""The test split in one file: it comes back whole, in parts, and what does not fit is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from factories import StubSession, make_artifact, network

from edgebench import artifact
from edgebench.errors import BadFile, NewerFile
from edgebench.measuring import judging, testset
from edgebench.specs import Artifact


def written(path: Path, found: Artifact, n: int = 600, **changes) -> Path:
    images = np.zeros((n, found.preprocessing.height, found.preprocessing.width, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(n) % 256
    labels = np.arange(n) % 10
    given = {"images": images, "labels": labels, "logits": np.eye(10)[labels], "origin": found.origin} | changes
    testset.write(path, **given)
    return path


def test_a_test_set_comes_back_in_chunks(tmp_path: Path) -> None:
    found = make_artifact()
    with testset.opened(written(tmp_path / "t.npz", found), found) as test:
        chunks = list(test.images)
        assert [len(chunk) for chunk in chunks] == [512, 88]
        assert (np.concatenate(chunks)[:, 0, 0, 0] == np.arange(600) % 256).all()
        assert (test.labels == test.first).all() and test.facts is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"origin": "another"}, "another checkpoint"),
        ({"labels": np.full(600, 10)}, "beyond the 10 classes"),
        ({"images": np.zeros((600, 9, 9, 3), np.uint8)}, "not a test set|holds images"),
    ],
)
def test_a_test_set_that_does_not_fit_is_refused(tmp_path: Path, changes: dict, says: str) -> None:
    found = make_artifact()
    path = written(tmp_path / "t.npz", found, **changes)
    with pytest.raises(BadFile, match=says), testset.opened(path, found) as test:
        list(test.images)


def test_a_test_set_never_unpickles_nor_unpacks_without_end(tmp_path: Path) -> None:
    found = make_artifact()
    path = tmp_path / "t.npz"
    np.savez(path, labels=np.array([{}], object), torch_first=[0], origin=found.origin)
    with pytest.raises(BadFile, match="not a test set"), testset.opened(path, found):
        pass
    whole = written(path, found)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            with new.open(name, "w") as entry:
                entry.write(b"\0" * (1 << 28) if name == "images/0.npy" else old.read(name))
    with pytest.raises(BadFile, match="larger than"), testset.opened(tmp_path / "bomb.npz", found) as test:
        list(test.images)


def test_a_newer_test_set_is_told_as_newer_and_one_without_a_number_is_read(tmp_path: Path) -> None:
    found = make_artifact()
    whole = written(tmp_path / "t.npz", found)
    with np.load(whole) as file:
        arrays = dict(file)
    np.savez(tmp_path / "newer.npz", schema=3, pictures=np.zeros(3))
    with (
        pytest.raises(NewerFile, match=r"newer\.npz has schema 3, newer than 2"),
        testset.opened(tmp_path / "newer.npz", found),
    ):
        pass
    assert arrays.pop("schema") == 2
    np.savez(tmp_path / "first.npz", **arrays)
    with testset.opened(tmp_path / "first.npz", found) as first, testset.opened(whole, found) as second:
        assert (first.labels == second.labels).all()


def test_the_network_of_the_factories_is_judged(tmp_path: Path) -> None:
    found = make_artifact()
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    logits = network(artifact.preprocess(images, found.preprocessing))
    path = tmp_path / "t.npz"
    labels = logits.argmax(axis=1)
    labels[:20] = (labels[:20] + 1) % 10
    testset.write(path, images, labels, logits, found.origin)
    told = judging.judge(StubSession(), found, path, 16, lambda said: None)
    assert (told.images, told.accuracy, told.torch_accuracy, told.torch_agreement) == (100, 0.8, 0.8, 1.0)
    assert (told.given_again, told.changed) == (100, 0)
    assert told.accuracy_ci95 == pytest.approx((0.7112, 0.8666), abs=1e-4)  # Wilson's, by statsmodels


def test_answers_that_change_from_time_to_time_are_counted(tmp_path: Path) -> None:
    """As OpenVINO's int8 of a network with grouped convolutions on two threads."""
    found, times = make_artifact(), []

    def racing(inputs: np.ndarray) -> np.ndarray:
        times.append(None)
        logits = np.zeros((len(inputs), 10), np.float32)
        logits[:, 0] = 1
        logits[0, 1] = 2 * (len(times) > 40)  # the first 32 batches are the 512 images, the next 32 these again
        return logits

    told = judging.judge(StubSession(racing), found, written(tmp_path / "t.npz", found), 16, lambda said: None)
    assert (told.given_again, told.changed) == (512, 24), "in batches 41 to 64 the first image got another answer"
