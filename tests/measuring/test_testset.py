"""The test split in one file: it comes back whole, in parts, and what does not fit is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from factories import StubSession, make_artifact, network

from edgebench import artifact
from edgebench.errors import BadFile, NewerFile
from edgebench.machine import locks
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


def test_two_may_write_the_same_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process writes it while this one does, and the reference's answers are added meanwhile."""
    found, path = make_artifact(), tmp_path / "t.npz"
    put, others = testset._put, [None]

    def beside(*given) -> None:
        if others:
            others.pop()
            written(path, found, logits=None)
            testset.add_first(path, np.arange(600) % 10)
            assert testset.kept(path, found)
        put(*given)

    monkeypatch.setattr(testset, "_put", beside)
    written(path, found, logits=None)
    testset.add_first(path, np.arange(600) % 10)
    testset.add_first(path, np.zeros(600, np.int64))  # those that are there stay
    with testset.opened(path, found) as test:
        assert (test.first == test.labels).all()
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_deleted_and_what_another_writes_is_not(tmp_path: Path) -> None:
    left, live = (tmp_path / f"{testset.UNFINISHED}{name}" for name in "ab")
    left.write_bytes(b"half")
    live.write_bytes(b"half")
    with live.open("rb") as held:
        assert locks.taken(held)
        testset.write(tmp_path / "cc.npz", np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1), None, "3" * 64)
    assert {path.name for path in tmp_path.iterdir()} == {live.name, "cc.npz"}


@pytest.mark.parametrize("action", ["write", "add_first"])
def test_what_is_cut_short_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    found = make_artifact()
    path = written(tmp_path / "t.npz", found, logits=None)
    before = path.read_bytes()

    def stop(*given) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(testset, "_put", stop)
    with pytest.raises(KeyboardInterrupt):
        written(path, found) if action == "write" else testset.add_first(path, np.zeros(600, np.int64))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "nothing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "a byte":  # in the middle of the pictures
        with zipfile.ZipFile(path) as file:
            place = file.getinfo("images/0.npy").header_offset + 400
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    else:  # only one entry is there, or one is missing
        with zipfile.ZipFile(path) as old:
            inside = {name: old.read(name) for name in old.namelist()}
        keep = [how.removeprefix("only ")] if how.startswith("only ") else [name for name in inside if name != how]
        with zipfile.ZipFile(path, "w") as new:
            for name in keep:
                new.writestr(name, inside[name])


DAMAGES = ["nothing", "cut", "empty", "a byte", "only torch_first.npy", "images/0.npy", "labels.npy"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_not_kept(tmp_path: Path, how: str) -> None:
    found = make_artifact()
    path = written(tmp_path / "t.npz", found)
    assert testset.kept(path, found)
    damage(path, how)
    assert not testset.kept(path, found)


def test_a_newer_file_is_not_taken_for_damaged(tmp_path: Path) -> None:
    np.savez(tmp_path / "newer.npz", schema=3)
    with pytest.raises(NewerFile):
        testset.kept(tmp_path / "newer.npz", make_artifact())


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
