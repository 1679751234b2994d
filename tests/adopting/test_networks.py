"""Weights from elsewhere become a checkpoint whose answers are those of their network, or are refused by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_standin import COMMIT
from huggingface_hub import constants
from safetensors.torch import save_file

from edgebench import artifact as folder
from edgebench.adopting import adopt as adopting
from edgebench.adopting import opening
from edgebench.adopting.asked import Adoption
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.measuring import worker
from edgebench.records import digests
from edgebench.records.jobs import Job
from edgebench.records.preprocessing import Preprocessing
from edgebench.records.weight_files import TRUST
from edgebench.records.workspace import Workspace
from edgebench.report.page import reproduce
from edgebench.specs import Artifact
from edgebench.training import models

NAME, TAGGED = "test_resnet", "test_resnet.r160_in1k"
SIZE = {"input": (1, 3, 64, 64)}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights anywhere, no network, and no trusted file."""
    monkeypatch.setenv("EDGEBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(TRUST, "")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A tiny network of timm's with 1000 classes."""
    return models.build(NAME, 1000, 64, seed=5, adapt=False)[0]


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


def adopted(file: Any, out: Path, network: str = "", **asked: Any) -> Artifact:
    """The artifact in `out`, made in this process."""
    runtime, format = adopting.adopter(Path(file), network)
    out.mkdir(parents=True)
    given = {"name": "it", "network": network} | asked
    made = opening.adopt(Adoption(file=str(file), format=format, runtime=runtime, **given), out)
    folder.write_manifest(out, made)
    return folder.read(out)


def answers(network: torch.nn.Module, made: Artifact) -> list[np.ndarray]:
    """What the network itself answers to the requests of the artifact."""
    with torch.inference_mode():
        return [
            network(*(torch.from_numpy(array) for array in request.values())).numpy()
            for request in folder.read_examples(made).requests
        ]


def test_a_pretrained_classifier_is_taken_as_it_is(network: torch.nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "cache" / f"models--timm--{TAGGED}" / "snapshots" / COMMIT / "model.safetensors"
    blob = file.parents[2] / "blobs" / "weights"
    blob.parent.mkdir(parents=True)
    save_file(weights(network), blob)
    blob = blob.rename(blob.with_name(digests.of_file(blob)))
    (file.parents[2] / "refs").mkdir()
    (file.parents[2] / "refs" / "main").write_text(COMMIT)
    file.parent.mkdir(parents=True)
    file.symlink_to(blob)

    made = adopted(f"timm:{NAME}", tmp_path / "made", shapes=SIZE)
    assert (made.format, made.training, made.model.timm_name) == ("checkpoint", None, TAGGED)
    assert (made.adopted.file, made.adopted.licence) == (f"timm:{TAGGED}", "apache-2.0")
    assert len(made.adopted.classes) == 1000 and made.adopted.classes[1] == "goldfish, Carassius auratus"
    assert made.preprocessing == Preprocessing(
        height=64, width=64, mean=(0.5,) * 3, std=(0.5,) * 3, resize="crop", crop=0.95,
    )  # fmt: skip
    assert (made.path / f"{TAGGED}.safetensors").read_bytes() == blob.read_bytes()
    known = [answer["logits"] for answer in folder.read_examples(made).answers]
    assert all(map(np.array_equal, known, answers(network, made)))
    job = Job(artifact=made.identity, runtime="torch", device="cpu", compute="cpu", scenario="verify", precision="fp32")
    result = worker.run_job(job, made)
    assert result.status == "ok" and result.parity.passed, result.message
    assert result.artifact.adopted.classes == () and result.artifact.identity == made.identity, "its folder has them"
    assert reproduce.commands(result).startswith(f"edgebench adopt timm:{TAGGED} --name it --shape input=1x3x64x64")


def test_weights_that_cannot_be_had_are_told_with_the_way_round(tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match=f"weights of {TAGGED} cannot be had: .*HF_HUB_OFFLINE") as caught:
        adopted(f"timm:{NAME}", tmp_path / "made")
    assert f"edgebench adopt WEIGHTS.safetensors --model {TAGGED}" in caught.value.fix
    with pytest.raises(UsageError, match="unknown model 'no_such_net'"):
        adopted("timm:no_such_net", tmp_path / "other")


def test_wrapped_weights_of_other_classes(tmp_path: Path) -> None:
    """As trainings save them: under names of wrappers, in a pickle that is not unpickled."""
    own = models.build(NAME, 7, 64, seed=2, adapt=False)[0]
    file = tmp_path / "best.pth"
    torch.save({"epoch": 3, "state_dict": {f"module.{n}": t for n, t in weights(own).items()}}, file)
    made = adopted(file, tmp_path / "made", NAME, shapes=SIZE)
    assert made.model.arguments["num_classes"] == 7 and made.outputs[0].shape == ("batch", 7)
    assert (made.adopted.classes, made.adopted.licence, made.preprocessing) == ((), "", None)
    assert (made.adopted.file, list(made.files)) == ("best.pth", ["reference.npz", "weights.safetensors"])
    known = [answer["logits"] for answer in folder.read_examples(made).answers]
    assert all(map(np.array_equal, known, answers(own, made)))


def test_what_does_not_fit_is_named(network: torch.nn.Module, tmp_path: Path) -> None:
    own, first = weights(network), next(iter(network.state_dict()))
    wrong = {
        f"lacks '{first}' of {NAME}": {n: t for n, t in own.items() if n != first},
        f"holds 'more.weight', which {NAME} does not have": own | {"more.weight": torch.zeros(2)},
        f"the tensor '{first}' has shape": own | {first: torch.zeros(3)},
        "holds NaN or infinity": own | {first: own[first] * np.nan},
        "holds the weights of another model: 0 of": {"x": torch.zeros(1)},
    }
    for i, (told, content) in enumerate(wrong.items()):
        save_file(content, tmp_path / "weights.safetensors")
        with pytest.raises(BadFile, match=told):
            adopted(tmp_path / "weights.safetensors", tmp_path / str(i), NAME)


SOURCE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.layer = nn.Linear(4, classes)

    def forward(self, frame, scale=None, *, training=False):
        out = self.layer(frame)
        return {"boxes": (out, out * 2), "best": out.argmax(-1)}

def plain():
    return Net()

def classes(num_classes):
    return Net(num_classes)

def sized(num_classes, image_size):
    return Net(num_classes)

class None_(Net):
    def forward(self, frame):
        return self.layer(frame), None

def none():
    return None_()
"""


def test_a_function_makes_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "weights.safetensors"
    save_file({"layer.weight": torch.ones(5, 4), "layer.bias": torch.zeros(5)}, file)
    given = {"shapes": {"frame": (3, 4)}}
    made = adopted(file, tmp_path / "made", "net.py:classes", **given)
    assert [(spec.name, spec.dtype, spec.shape) for spec in made.outputs] == [
        ("boxes_0", "float32", (3, 5)), ("boxes_1", "float32", (3, 5)), ("best", "int64", (3,))
    ]  # fmt: skip
    assert made.model.origin == "file" and made.adopted.network == "net.py:classes"
    assert list(made.files) == ["reference.npz", "weights.safetensors"]
    job = Job(artifact=made.identity, runtime="torch", device="cpu", compute="cpu", scenario="verify", precision="fp32")
    result = worker.run_job(job, made)
    assert result.status == "ok"
    again = "edgebench adopt weights.safetensors --model net.py:classes --name it --shape frame=3x4 --seed 0"
    assert reproduce.commands(result).startswith(again)
    os.environ[TRUST] = ""
    assert "EDGEBENCH_TRUST_MODEL=FILE.py:classes" in worker.run_job(job, made).message

    wrong = {
        "0 of 2 tensors of net.py:plain match": ("net.py:plain", given), "takes an image size": ("net.py:sized", given),
        "which sizes the input 'frame' has": ("net.py:classes", {}), "unknown function": ("net.py:clases", given),
        "'output_1' is nothing": ("net.py:none", given),
        "does not take frame 3×5": ("net.py:classes", {"shapes": {"frame": (3, 5)}}),
        "no input 'images'": ("net.py:classes", {"shapes": {"frame": (3, 4), "images": (1,)}}),
    }  # fmt: skip
    for i, (told, (name, more)) in enumerate(wrong.items()):
        if "output_1" in told:
            save_file({"layer.weight": torch.ones(2, 4), "layer.bias": torch.zeros(2)}, file)
        with pytest.raises(EdgebenchError, match=told):
            adopted(file, tmp_path / f"{i}", name, **more)
        save_file({"layer.weight": torch.ones(5, 4), "layer.bias": torch.zeros(5)}, file)


def test_a_type_comes_from_the_users_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\ndef words():\n    return nn.Embedding(9, 4)\n")
    monkeypatch.chdir(tmp_path)
    save_file({"weight": torch.randn(9, 4)}, tmp_path / "weights.safetensors")
    np.savez(tmp_path / "request.npz", input=np.arange(6).reshape(2, 3))
    asked = {"inputs": (str(tmp_path / "request.npz"),)}
    made = adopted(tmp_path / "weights.safetensors", tmp_path / "made", "net.py:words", **asked)
    assert [(s.name, s.dtype, s.sizes) for s in made.inputs] == [("input", "int64", (2, 3))]
    assert made.outputs[0].shape == (2, 3, 4) and made.adopted.inputs == "given"


def test_weights_and_their_network_belong_together(tmp_path: Path) -> None:
    file, other = tmp_path / "weights.safetensors", tmp_path / "net.onnx"
    save_file({"x": torch.zeros(1)}, file)
    other.write_bytes(b"")
    for told, fix, given in (
        ("nothing says which network", "--model NAME", (file,)),
        ("is no file of weights", "leave out --model", (other, NAME)),
        ("names its network already", "leave out --model", (Path("timm:x"), NAME)),
    ):
        with pytest.raises(UsageError, match=told) as caught:
            adopting.adopt(given[0], Workspace(tmp_path / "runs"), network=(*given, "")[1])
        assert fix in caught.value.fix
    with pytest.raises(UsageError, match="nothing says which network"):
        adopting.read(file, Workspace(tmp_path / "runs"))
