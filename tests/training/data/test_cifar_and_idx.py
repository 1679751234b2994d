"""Files from outside, CIFAR's and MNIST's: read exactly, or refused with one message that names the file."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from datasets import CLASSES, idx_bytes, in_turn, random_images, write_cifar, write_idx
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.errors import BadFile
from edgebench.training import data
from edgebench.training.data import idx, restricted_pickle


def load(folder: Path) -> data.Splits:
    return data.load(str(folder), "full", 32, 0)


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(BadFile) as caught:
        load(folder)
    for word in words:
        assert word in caught.value.message
    assert caught.value.fix and "\n" not in caught.value.message


# CIFAR


@pytest.mark.parametrize("fine, record", [(False, 3073), (True, 3074)])
@pytest.mark.parametrize("cut", [1, 3000, -1])
def test_a_cut_binary_file(fine: bool, record: int, cut: int, tmp_path: Path) -> None:
    path = write_cifar(tmp_path / "cifar", fine=fine) / ("train.bin" if fine else "data_batch_2.bin")
    content = path.read_bytes()
    path.write_bytes(content[:-cut] if cut > 0 else b"")
    refused(tmp_path / "cifar", str(path), f"not a multiple of the record size {record}")


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("fine", [False, True])
def test_a_label_out_of_range(fine: bool, pickled: bool, tmp_path: Path) -> None:
    labels = in_turn(72)
    labels[70] = 3
    write_cifar(tmp_path / "cifar", fine=fine, pickled=pickled, labels=labels)
    refused(tmp_path / "cifar", "label 3", "3 classes (0 to 2)", "test")


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("missing", ["data_batch_1", "data_batch_4", "test_batch"])
def test_a_missing_batch_is_named(missing: str, pickled: bool, tmp_path: Path) -> None:
    path = write_cifar(tmp_path / "cifar", pickled=pickled) / f"{missing}{'' if pickled else '.bin'}"
    path.unlink()
    refused(tmp_path / "cifar", str(path), "No such file")


@pytest.mark.parametrize("content", [b"", b"cat", b"cat\ncat\n", b"\xff\xfe"])
def test_class_names_that_are_none(content: bytes, tmp_path: Path) -> None:
    (write_cifar(tmp_path / "cifar") / "batches.meta.txt").write_bytes(content)
    refused(tmp_path / "cifar", "batches.meta.txt")


class Attack:
    def __init__(self, *call: object) -> None:
        self._call = call

    def __reduce__(self) -> tuple:
        return self._call[0], self._call[1:]


@pytest.mark.parametrize(
    "function, name", [(os.system, "posix.system"), (eval, "__builtin__.eval"), (np.array, "numpy.array")]
)
def test_a_pickle_that_would_call_something_is_refused_by_name(function, name: str, tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar", pickled=True)
    proof = tmp_path / "proof"
    attack = pickle.dumps({b"data": Attack(function, f"touch {proof}")}, protocol=2)
    (tmp_path / "cifar" / "data_batch_3").write_bytes(attack)
    refused(tmp_path / "cifar", "data_batch_3", name, "attack")
    assert not proof.exists()


@pytest.mark.parametrize(
    "content, word",
    [
        ([1, 2], "does not hold a dictionary"),
        ({b"labels": [0]}, "no images"),
        ({b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 1]}, "no images"),
        ({b"data": np.zeros((2, 3072), np.float32), b"labels": [0, 1]}, "only bytes"),
        ({b"data": np.zeros((2, 3072), object), b"labels": [0, 1]}, "only bytes"),
        ({b"data": np.zeros((2, 3072), np.uint8)}, "no list of labels"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, "cat"]}, "no list of labels"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1 << 70]}, "no list of labels"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "1 labels for 2 images"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, -1]}, "label -1"),
    ],
)
def test_a_pickle_that_holds_something_else(content: object, word: str, tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar", pickled=True)
    (tmp_path / "cifar" / "data_batch_3").write_bytes(pickle.dumps(content, protocol=2))
    refused(tmp_path / "cifar", "data_batch_3", word)


def test_pickles_of_python_2_and_of_numpy_1_are_read(tmp_path: Path) -> None:
    (tmp_path / "meta").write_bytes(b"\x80\x02}q\x00U\x0blabel_namesq\x01]q\x02(U\x03catq\x03U\x03dogq\x04es.")
    assert restricted_pickle.read(tmp_path / "meta") == {"label_names": [b"cat", b"dog"]}
    folder = write_cifar(tmp_path / "cifar", pickled=True)
    expected = load(folder).info
    for path in folder.glob("*_batch*"):
        path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load(folder).info == expected


def test_arrays_keep_their_values_in_either_order(tmp_path: Path) -> None:
    values = random_images(1, 5)[0]
    for array in (values, np.asfortranarray(values)):
        (tmp_path / "file").write_bytes(pickle.dumps({"array": array}, protocol=2))
        np.testing.assert_array_equal(restricted_pickle.read(tmp_path / "file")["array"], values)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = write_cifar(tmp_path_factory.mktemp("fuzz") / "cifar", train=10, test=3, pickled=True)
    return folder / "fuzzed", (folder / "batches.meta").read_bytes()


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@settings(max_examples=150)
@given(st.data())
def test_a_damaged_pickle_is_read_or_refused(batch: tuple[Path, bytes], drawn: st.DataObject) -> None:
    path, content = batch
    at = drawn.draw(st.integers(0, len(content) - 1))
    put = drawn.draw(st.binary(max_size=6))
    path.write_bytes(content[:at] + put + content[at + drawn.draw(st.integers(0, 4)) :])
    try:
        assert isinstance(restricted_pickle.read(path), dict)
    except BadFile as error:
        assert str(path) in error.message


def test_a_pickle_that_would_take_all_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta").write_bytes(b"\x80\x02}r\xff\xff\xff\xff.")
    with pytest.raises(BadFile, match="numbers a value 4294967295, but has only 9 bytes"):
        restricted_pickle.read(tmp_path / "meta")


# IDX


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize(
    "change, word",
    [
        (lambda content: b"\0\0\x08\x01" + content[4:], "begins with 00 00 08 01"),
        (lambda content: b"", "begins with nothing"),
        (lambda content: content[:10], "ends within its header"),
        (lambda content: content[:-1], "announces 60 × 28 × 28 bytes of content, but has 47039"),
        (lambda content: content + b"x", "but has more"),
        (lambda content: content[:4] + b"\xff" * 12 + content[16:], "more than any dataset of this kind"),
        (lambda content: content[:4] + b"\0" * 4 + content[8:], "more than any dataset of this kind"),
    ],
)
def test_a_damaged_idx_file(change, word: str, gzipped: bool, tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mnist", gzipped=gzipped)
    path = folder / f"train-images-idx3-ubyte{'.gz' if gzipped else ''}"
    content = change(gzip.decompress(path.read_bytes()) if gzipped else path.read_bytes())
    path.write_bytes(gzip.compress(content) if gzipped else content)
    refused(folder, str(path), word)


@pytest.mark.parametrize("change", [lambda c: c[:-9], lambda c: c[:30], lambda c: c[:40] + b"xxxxxx" + c[46:]])
def test_a_damaged_gzip(change, tmp_path: Path) -> None:
    path = write_idx(tmp_path / "mnist") / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    refused(tmp_path / "mnist", str(path), "cannot be read")


def test_idx_files_that_do_not_go_together(tmp_path: Path) -> None:
    labels = write_idx(tmp_path / "mnist", gzipped=False) / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(idx_bytes(np.zeros(59, np.uint8)))
    refused(tmp_path / "mnist", "59 labels for 60 images")
    labels.write_bytes(content[:-1] + b"\x0a")
    refused(tmp_path / "mnist", str(labels), "label 10", "10 classes (0 to 9)")
    labels.unlink()
    refused(tmp_path / "mnist", "neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz")


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.integers(1, 6), min_size=n, max_size=n)))
def test_idx_values_come_back_as_written(tmp_path_factory: pytest.TempPathFactory, shape: list[int]) -> None:
    path = tmp_path_factory.getbasetemp() / "values"
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path.write_bytes(idx_bytes(values))
    np.testing.assert_array_equal(idx.read_file(path, len(shape)), values)


@pytest.mark.parametrize("pickled", [False, True])
def test_classes_are_named_as_the_files_say(pickled: bool, tmp_path: Path) -> None:
    assert load(write_cifar(tmp_path / "cifar", pickled=pickled)).info.classes == CLASSES


def test_the_check_before_a_training_reads_the_arrays_for_it_too(tmp_path: Path) -> None:
    dataset = data.find(str(write_cifar(tmp_path / "cifar")))
    data.check(dataset, "full")
    (tmp_path / "cifar" / "data_batch_1.bin").unlink()
    assert len(data.load(dataset, "full", 32, 0).train)
