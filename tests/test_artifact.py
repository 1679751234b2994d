"""Artifact folders: written whole or not at all, and any tampering with one is a single BadFile."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import PREPROCESSING, make_artifact, make_reference, make_result
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench import artifact as folder
from edgebench.errors import BadFile, NewerFile
from edgebench.records import digests
from edgebench.specs import SCHEMA, Artifact, Preprocessing


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where an artifact lies that was written before the test."""
    path = tmp_path / "home" / "model"
    make_artifact(path, content=b"old weights")
    return path


def names(path: Path) -> list[str]:
    return sorted(item.name for item in path.iterdir())


def edit_manifest(path: Path, **changes: Any) -> None:
    manifest = path / "artifact.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


# staged()


def test_a_block_that_ends_well_makes_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "model"
    with folder.staged(out) as scratch:
        assert not out.exists()
        (scratch / "file").write_text("new")
    assert names(out) == ["file"] and (out / "file").read_text() == "new"
    assert names(out.parent) == ["model"]


def test_a_block_that_ends_well_replaces_the_old_folder(out: Path) -> None:
    with folder.staged(out) as scratch:
        (scratch / "file").write_text("new")
        assert folder.read(out).format == "onnx", "the old folder is still whole meanwhile"
    assert names(out) == ["file"]
    assert names(out.parent) == ["model"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing_and_the_old_folder_intact(error: type[BaseException], out: Path) -> None:
    before = folder.read(out)
    with pytest.raises(error), folder.staged(out) as scratch:
        (scratch / "file").write_text("half")
        raise error
    assert folder.read(out) == before
    assert (out / "model.onnx").read_bytes() == b"old weights"
    assert names(out.parent) == ["model"]


def test_an_exception_leaves_nothing_where_there_was_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError), folder.staged(tmp_path / "model") as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "file").write_text("half")
        raise ValueError
    assert names(tmp_path) == []


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"sea")
    with pytest.raises(BadFile, match="not an edgebench folder"), folder.staged(tmp_path / "holiday"):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["holiday"] and names(tmp_path / "holiday") == ["photo.jpg"]


def test_a_file_in_the_way_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(BadFile), folder.staged(tmp_path / "model"):
        pytest.fail("the block must not run")
    assert (tmp_path / "model").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with folder.staged(tmp_path / "model") as scratch:
        (scratch / "file").touch()
    assert names(tmp_path / "model") == ["file"]


def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(out: Path) -> None:
    """In a container every run may have the same process number."""
    with pytest.raises(ValueError), folder.staged(out) as scratch:
        left = scratch.name
        raise ValueError
    (out.parent / left).mkdir()
    (out.parent / left / "half").touch()
    with folder.staged(out) as scratch:
        (scratch / "file").touch()
    assert names(out) == ["file"] and names(out.parent) == [out.name]


# read()


@pytest.mark.parametrize("format", ["checkpoint", "onnx", "openvino", "tensorrt"])
def test_what_was_written_reads_back(format: str, tmp_path: Path) -> None:
    made = make_artifact(tmp_path / "model", format=format)
    manifest = "checkpoint.json" if format == "checkpoint" else "artifact.json"
    for path in (tmp_path / "model", tmp_path / "model" / manifest):
        again = folder.read(path)
        assert again == made and again.path == tmp_path / "model"
    assert sorted([*made.files, manifest]) == names(tmp_path / "model")


def test_the_identity_is_the_content(tmp_path: Path) -> None:
    one = make_artifact(tmp_path / "one", created="2026-01-01T00:00:00.000000+00:00")
    same = make_artifact(tmp_path / "same", created="2027-01-01T00:00:00.000000+00:00")
    other = make_artifact(tmp_path / "other", content=b"other weights")
    assert one.identity == same.identity != other.identity
    assert replace(one, precision="fp16").identity != one.identity
    assert replace(one, files=one.files | {"history.jsonl": "0" * 64}).identity == one.identity


def test_a_copy_of_the_folder_is_the_same_artifact(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "copy")
    assert folder.read(tmp_path / "copy") == folder.read(out)


@settings(max_examples=60)
@given(data=st.data())
def test_one_changed_byte_in_any_file(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("artifacts") / "model"
    file = path / data.draw(st.sampled_from(sorted(make_artifact(path, content=bytes(range(256))).files)))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    with pytest.raises(BadFile) as caught:
        folder.read(path)
    assert str(file) in caught.value.message and "changed" in caught.value.message


def test_one_changed_byte_in_the_manifest_raises_nothing_but_badfile(out: Path) -> None:
    manifest = out / "artifact.json"
    content = manifest.read_bytes()

    @settings(max_examples=100)
    @given(st.integers(0, len(content) - 1), st.integers(1, 255))
    def check(position: int, flip: int) -> None:
        changed = bytearray(content)
        changed[position] ^= flip
        manifest.write_bytes(changed)
        with suppress(BadFile):  # but the date of its making, say, may be any
            assert isinstance(folder.read(out), Artifact)

    check()


@pytest.mark.parametrize("name", ["model.onnx", "reference.npz"])
def test_a_deleted_file(name: str, out: Path) -> None:
    (out / name).unlink()
    with pytest.raises(BadFile, match=f"{name} is missing"):
        folder.read(out)
    with pytest.raises(BadFile, match=f"{name} is missing"):
        folder.read(out, verify=False)


@pytest.mark.parametrize("name", ["model.onnx", "reference.npz"])
@pytest.mark.parametrize("length", [0, 3])
def test_a_truncated_file(name: str, length: int, out: Path) -> None:
    (out / name).write_bytes((out / name).read_bytes()[:length])
    with pytest.raises(BadFile, match="changed"):
        folder.read(out)


def test_a_truncated_manifest(out: Path) -> None:
    manifest = out / "artifact.json"
    content = manifest.read_bytes()
    for length in range(0, len(content) - 1, 17):
        manifest.write_bytes(content[:length])
        with pytest.raises(BadFile) as told:
            folder.read(out)
        assert "make it again: `edgebench export`" in told.value.fix and "delete" not in told.value.fix


def test_a_shape_that_no_tensor_has(out: Path) -> None:
    manifest = out / "artifact.json"
    told = json.loads(manifest.read_text())
    told["inputs"][0]["shape"][-1] = -4
    manifest.write_text(json.dumps(told))
    with pytest.raises(BadFile, match=r"inputs\[0\]: the tensor '.*' has a size below 0"):
        folder.read(out)


def test_a_deleted_manifest(out: Path) -> None:
    (out / "artifact.json").unlink()
    with pytest.raises(BadFile, match="neither"):
        folder.read(out)


def test_no_folder_and_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        folder.read(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(BadFile, match="not an artifact folder"):
        folder.read(tmp_path / "file")


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "inner/file", "inner/../model.onnx", "..", ".", "", "..\\secret", "\0", "\ud800"],
)
def test_a_name_that_leaves_the_folder(name: str, out: Path) -> None:
    (out.parent / "secret").write_bytes(b"secret")
    (out / "inner").mkdir()
    (out / "inner" / "file").write_bytes(b"secret")
    edit_manifest(out, files={name: digests.of_file(out.parent / "secret")})
    for verify in (True, False):
        with pytest.raises(BadFile):
            folder.read(out, verify=verify)


def test_a_symbolic_link_out_of_the_folder(out: Path) -> None:
    secret = out.parent / "secret"
    secret.write_bytes((out / "model.onnx").read_bytes())  # so that its hash is the right one
    (out / "model.onnx").unlink()
    (out / "model.onnx").symlink_to(secret)
    with pytest.raises(BadFile, match="symbolic link"):
        folder.read(out)


@pytest.mark.parametrize("extra", [{}, {"field_of_the_future": 1}, {"files": "elsewhere"}])
def test_a_newer_schema(extra: dict[str, Any], out: Path) -> None:
    edit_manifest(out, schema=99, **extra)
    with pytest.raises(NewerFile, match=rf"artifact\.json has schema 99, newer than {SCHEMA}") as caught:
        folder.read(out)
    assert "upgrade" in caught.value.fix


def test_a_manifest_of_the_wrong_name(out: Path) -> None:
    (out / "artifact.json").rename(out / "checkpoint.json")
    with pytest.raises(BadFile, match=r"kept in artifact\.json"):
        folder.read(out)


@pytest.mark.parametrize(
    "change",
    [{"precision": "fp64"}, {"files": []}, {"files": {"model.onnx": 1}}, {"model": 0}, {"inputs": {}}, {"schema": "1"}],
)
def test_a_manifest_of_the_wrong_form(change: dict[str, Any], out: Path) -> None:
    edit_manifest(out, **change)
    with pytest.raises(BadFile, match=r"artifact\.json"):
        folder.read(out)


def test_the_one_model_file(tmp_path: Path) -> None:
    made = make_artifact(tmp_path / "model")
    assert folder.model_file(made, ".onnx") == tmp_path / "model" / "model.onnx"
    with pytest.raises(BadFile, match=r"0 \.plan files"):
        folder.model_file(made, ".plan")
    with pytest.raises(BadFile, match=r"2 \.onnx files"):
        folder.model_file(replace(made, files=made.files | {"b.onnx": ""}), ".onnx")


# reference.npz


def test_the_reference_reads_back(tmp_path: Path) -> None:
    reference = make_reference(images=5)
    read = folder.read_reference(make_artifact(tmp_path / "model", reference=reference))
    for name, dtype in (("images", np.uint8), ("labels", np.int64), ("logits", np.float32)):
        array = getattr(read, name)
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, getattr(reference, name))


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["images", "labels", "logits"])
def test_a_pickle_in_the_reference_is_refused_and_never_opened(name: str, out: Path, tmp_path: Path) -> None:
    exploded = tmp_path / "exploded"
    arrays: dict[str, Any] = dict(vars(make_reference()))
    arrays[name] = np.array([Bomb(exploded)] * 8, dtype=object)
    np.savez(out / "reference.npz", **arrays)
    edit_manifest(out, files={"reference.npz": digests.of_file(out / "reference.npz")})
    with pytest.raises(BadFile, match=r"reference\.npz"):
        folder.read_reference(folder.read(out))
    assert not exploded.exists()

    with np.load(out / "reference.npz", allow_pickle=True) as data:  # the bomb is a real one
        data[name]
    assert exploded.exists()


GOOD = make_reference()


@pytest.mark.parametrize(
    "change",
    [
        {"images": GOOD.images[:-1]},
        {"images": GOOD.images.astype(np.float32)},
        {"images": GOOD.images[:, :4]},
        {"images": GOOD.images[..., 0]},
        {"images": GOOD.images.transpose(0, 3, 1, 2)},
        {"logits": GOOD.logits[:-1]},
        {"logits": GOOD.logits[:, 0]},
        {"logits": np.array(1.0)},
        {"logits": np.full_like(GOOD.logits, np.nan)},
        {"logits": GOOD.logits.astype("U")},
        {"labels": GOOD.labels[:-1]},
        {"labels": GOOD.labels[:0]},
        {"labels": np.array(3)},
        {"labels": GOOD.labels.astype(np.float32)},
        {"images": GOOD.images[:0], "labels": GOOD.labels[:0], "logits": GOOD.logits[:0]},
    ],
)
def test_a_reference_that_does_not_fit(change: dict[str, np.ndarray], out: Path) -> None:
    np.savez(out / "reference.npz", **(vars(GOOD) | change))
    with pytest.raises(BadFile, match=r"reference\.npz"):
        folder.read_reference(folder.read(out, verify=False))


@pytest.mark.parametrize("missing", ["images", "labels", "logits"])
def test_a_reference_without_one_of_its_arrays(missing: str, out: Path) -> None:
    np.savez(out / "reference.npz", **{name: array for name, array in vars(GOOD).items() if name != missing})
    with pytest.raises(BadFile, match=r"reference\.npz"):
        folder.read_reference(folder.read(out, verify=False))


def test_arbitrary_bytes_as_a_reference_raise_nothing_but_badfile(out: Path) -> None:
    file = out / "reference.npz"
    good = file.read_bytes()
    np.save(out / "array.npy", np.zeros(3))
    array = (out / "array.npy").read_bytes()
    made = folder.read(out)

    def check(content: bytes) -> None:
        file.write_bytes(content)
        try:
            folder.read_reference(made)  # a changed byte may miss everything that is read
        except BadFile as error:
            assert "reference.npz" in error.message

    @settings(max_examples=150)
    @given(st.integers(0, len(good) - 1), st.integers(1, 255))
    def one_byte(position: int, flip: int) -> None:
        check(good[:position] + bytes([good[position] ^ flip]) + good[position + 1 :])

    one_byte()
    for content in (b"", b"PK\3\4", b"\x80\x04", array, array[:30], *(good[:n] for n in range(0, len(good), 97))):
        check(content)


def test_a_reference_that_is_a_symbolic_link(out: Path) -> None:
    made = folder.read(out)
    (out / "reference.npz").rename(out.parent / "elsewhere.npz")
    (out / "reference.npz").symlink_to(out.parent / "elsewhere.npz")
    with pytest.raises(BadFile, match="symbolic link"):
        folder.read_reference(made)


# preprocess()


@settings(max_examples=50)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.floats(0, 1)] * 3),
    st.tuples(*[st.floats(0.25, 1)] * 3),
    st.integers(1, 4),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_preprocess_is_the_formula(
    seed: int, mean: tuple[float, ...], std: tuple[float, ...], n: int, size: tuple[int, int]
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8)
    found = folder.preprocess(images, Preprocessing(height=size[0], width=size[1], mean=mean, std=std))
    assert found.dtype == np.float32 and found.shape == (n, 3, *size) and found.flags.c_contiguous
    for channel in range(3):
        exact = (images[..., channel].astype(np.float64) / 255 - mean[channel]) / std[channel]
        np.testing.assert_allclose(found[:, channel], exact, rtol=1e-6, atol=1e-6)


def test_preprocess_does_not_mind_how_the_images_lie_in_memory() -> None:
    images = make_reference(images=4).images
    other = np.asfortranarray(images)
    assert not other.flags.c_contiguous
    np.testing.assert_array_equal(folder.preprocess(other, PREPROCESSING), folder.preprocess(images, PREPROCESSING))
    assert images.dtype == np.uint8, "its argument is left alone"


def test_preprocess_of_one_image_is_that_of_many() -> None:
    images = make_reference(images=4).images
    together = folder.preprocess(images, PREPROCESSING)
    apart = np.concatenate([folder.preprocess(images[i : i + 1], PREPROCESSING) for i in range(4)])
    np.testing.assert_array_equal(together, apart)


def test_what_is_printed_is_a_line(tmp_path: Path) -> None:
    """`print(artifact)` and `print(result)` in Python were walls of all that their manifests hold."""
    made = make_artifact(tmp_path / "made")
    assert repr(made) == f"<Artifact mobilenetv3 (onnx, fp32, 0.0 MiB) in {tmp_path / 'made'}>"
    told = repr(make_result(made))
    assert told.startswith("<Result mobilenetv3") and "median" in told and len(told) < 160 and "\n" not in told


def test_the_size_is_that_of_the_model_without_its_reference_pictures(tmp_path: Path) -> None:
    made = make_artifact(tmp_path / "made", content=b"\x08\x08" * 500)
    assert made.size_bytes == 1000 < (made.path / folder.REFERENCE).stat().st_size
