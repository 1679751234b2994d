"""Digests: of a file of any size, of data, and identities that stay what an earlier edgebench wrote down."""

from __future__ import annotations

import hashlib
from pathlib import Path

from factories import make_artifact

from edgebench.records import digests
from edgebench.records.jobs import Job
from edgebench.records.recipe import TrainConfig, folder_name


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path: Path) -> None:
    for content in (b"", b"abc", bytes(range(256)) * 5000):  # the last is longer than a block
        file = tmp_path / "file"
        file.write_bytes(content)
        assert digests.of_file(file) == digests.of_bytes(content) == hashlib.sha256(content).hexdigest()


def test_equal_data_has_equal_digests_whatever_the_order_of_its_keys() -> None:
    assert digests.of_data({"a": 1, "b": (1, 2)}) == digests.of_data({"b": [1, 2], "a": 1})
    assert digests.of_data({"a": 1}) != digests.of_data({"a": 1.5})


def test_identities_are_those_of_the_first_release() -> None:
    """Results, checkpoints and sweeps on disk are found by them."""
    job = Job(
        artifact="a" * 64, runtime="openvino", device="orin", compute="cpu", threads=2, rate_hz=30.0,
        options={"k": "é"},
    )  # fmt: skip
    assert job.identity == "ca1c6ab441d1f536cc99ee7a890a7a331f12f17d433801f3d2118e7899c29f83"
    assert folder_name(TrainConfig(model="resnet18", dataset="cifar10"), "cifar10") == "resnet18-cifar10-3e6a3566"
    artifact = make_artifact(files={"model.onnx": "1" * 64, "reference.npz": "2" * 64, "history.jsonl": "3" * 64})
    assert artifact.identity == "271f24148bf19a5ae80c996692e65f603e5063617b22feeaa2eb6922e1e416b3"
