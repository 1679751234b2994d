"""A program of torch.export is read without torch's loader, computes what torch computes, and runs nothing else."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgebench import artifact as folder
from edgebench.adopting import opening
from edgebench.adopting.asked import Adoption
from edgebench.errors import BadFile, EdgebenchError
from edgebench.exporting.building import Build, perform
from edgebench.machine import registry
from edgebench.specs import Artifact, SessionOptions

TARGET = "torch.ops.aten.mul.Tensor"


class Net(nn.Module):
    """Several inputs in containers, outputs in containers, an index, a size that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.table = nn.Linear(4, 3), nn.Embedding(5, 4)
        self.register_buffer("scale", torch.arange(4.0))

    def forward(self, frames: torch.Tensor, more: dict[str, torch.Tensor]) -> dict[str, Any]:
        found = self.layer((frames + self.table(more["ids"])) * self.scale)
        return {"scores": found, "parts": (found.reshape(found.shape[0] * 3), found.max(1)[0]), "best": found.argmax(1)}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(3)
    return Net().eval()


@pytest.fixture(scope="module")
def program(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    rows = torch.export.Dim("rows", min=1, max=6)
    given = (torch.ones(2, 4), {"ids": torch.tensor([0, 1])})
    shapes = ({0: rows}, {"ids": {0: rows}})
    torch.export.save(torch.export.export(network, given, dynamic_shapes=shapes), path)
    return path


def adopted(file: Path, out: Path, **asked: Any) -> Artifact:
    out.mkdir(parents=True)
    asked = {"name": "net", "format": "pt2", "runtime": "torch"} | asked
    made = opening.adopt(Adoption(file=str(file), **asked), out)
    folder.write_manifest(out, made)
    return folder.read(out)


def changed(file: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy of the archive with other entries, by their names without the folder."""
    with zipfile.ZipFile(file) as archive:
        entries = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"net/{name}", content)
    return path


def in_json(name: str, edit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        content = json.loads(entries[name])
        edit(content)
        entries[name] = json.dumps(content).encode()

    return change


def calling(target: str) -> Callable[[dict[str, bytes]], None]:
    def edit(content: dict[str, Any]) -> None:
        (node,) = [each for each in content["graph_module"]["graph"]["nodes"] if each["target"] == TARGET]
        node["target"] = target

    return in_json("models/model.json", edit)


@pytest.fixture(scope="module")
def made(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return adopted(program, tmp_path_factory.mktemp("made") / "it", shapes={"frames": (3, 4)})


def test_it_computes_what_torch_computes(network: nn.Module, made: Artifact) -> None:
    assert [(s.name, s.dtype, s.sizes) for s in made.inputs] == [
        ("frames", "float32", (3, 4)), ("more_ids", "int64", (3,))
    ]  # fmt: skip
    assert [s.name for s in made.outputs] == ["scores", "parts_0", "parts_1", "best"]
    assert made.adopted.values["more_ids"] == "integers from 0 to 4" and made.model.parameters == 39
    assert made.adopted.reference.startswith("torch ") and not made.adopted.unrepeatable
    examples = folder.read_examples(made)
    for request, answer in zip(examples.requests, examples.answers, strict=True):
        with torch.inference_mode():
            known = network(torch.from_numpy(request["frames"]), {"ids": torch.from_numpy(request["more_ids"])})
        assert np.array_equal(answer["scores"], known["scores"]) and np.array_equal(answer["best"], known["best"])
        assert np.array_equal(answer["parts_0"], known["parts"][0])


def test_it_becomes_onnx(made: Artifact, tmp_path: Path) -> None:
    answer = perform(Build(target="onnx", source=str(made.path), precision="fp32", max_batch=1), tmp_path)
    assert answer.exported is not None, answer.error
    assert [spec.shape for spec in answer.exported.inputs] == [(3, 4), (3,)]
    import onnxruntime

    session, examples = onnxruntime.InferenceSession(tmp_path / "model.onnx"), folder.read_examples(made)
    found = session.run([spec.name for spec in made.outputs], examples.requests[0])
    for array, spec in zip(found, made.outputs, strict=True):
        assert np.allclose(array, examples.answers[0][spec.name], atol=1e-5)


def test_a_size_that_it_was_not_exported_for_is_refused(program: Path, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="'frames' has 7 where the program takes 1 to 6"):
        adopted(program, tmp_path / "made", shapes={"frames": (7, 4)})


def test_nothing_but_operators_on_tensors_is_called(program: Path, tmp_path: Path) -> None:
    wrong = {
        "torch.numel": "which edgebench does not run", "torch.version.debug": "which edgebench does not run",
        "torch.ops.name": "which edgebench does not run", "_operator.concat": "does not run",
        "torch.ops.aten.save.default": "does not have|opens files", "torch.ops.aten.from_file.default": "opens files",
        "torch.ops.aten.__doc__.title": "does not have", "torch.ops.aten.no_such.default": "does not have",
    }  # fmt: skip
    for i, (target, told) in enumerate(wrong.items()):
        file = changed(program, tmp_path / f"{i}.pt2", calling(target))
        with pytest.raises(BadFile, match=told):
            adopted(file, tmp_path / str(i), shapes={"frames": (3, 4)})


def test_what_needs_a_pickle_or_holds_code_is_refused(program: Path, tmp_path: Path) -> None:
    weights = "data/weights/model_weights_config.json"

    def edit(key: str, value: object) -> Callable[[dict[str, Any]], None]:
        return lambda content: content["config"]["scale"].__setitem__(key, value)

    def far(content: dict[str, Any]) -> None:
        content["config"]["scale"]["tensor_meta"]["storage_offset"] = {"as_int": 10**9}

    def output(content: dict[str, Any]) -> None:
        spec = content["graph_module"]["signature"]["output_specs"][3]
        spec["user_output"] = {"arg": {"as_none": True}}

    def state(content: dict[str, Any]) -> None:
        content["graph_module"]["signature"]["output_specs"][3] = {
            "buffer_mutation": {"arg": {"name": "argmax"}, "buffer_name": "scale"}
        }

    cases: dict[str, Callable[[dict[str, bytes]], Any]] = {
        "'scale' in a pickle": in_json(weights, edit("use_pickle", True)),
        "weights in a pickle, as torch 2.8": lambda entries: entries.pop(weights),
        "AOTInductor": lambda entries: entries.update({"data/aotinductor/model/wrapper.so": b""}),
        "holds 2 programs": lambda entries: entries.update({"models/other.json": b"{}"}),
        "is a TorchScript program": lambda entries: (
            entries.clear(), entries.update({"constants.pkl": b"", "data.pkl": b""})
        ),
        "of torch 2.7 or older": lambda entries: (
            entries.clear(), entries.update({"serialized_exported_program.json": b"{}"})
        ),
        "cannot be opened": in_json(weights, far),
        "is damaged": in_json("models/model.json", lambda content: content.pop("graph_module")),
        "'best' is nothing": in_json("models/model.json", output),
        "changes 'scale' at each call": in_json("models/model.json", state),
    }  # fmt: skip
    for i, (told, change) in enumerate(cases.items()):
        file = changed(program, tmp_path / f"{i}.pt2", change)
        with pytest.raises(BadFile, match=told):
            adopted(file, tmp_path / str(i), shapes={"frames": (3, 4)})
    (tmp_path / "text.pt2").write_text("hello")
    with pytest.raises(BadFile, match="is damaged, or no program"):
        adopted(tmp_path / "text.pt2", tmp_path / "text")


class Writing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu_(x)


class Counting(Writing):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return x + self.count


def test_what_writes_in_place_spares_its_inputs_and_must_not_have_a_state(tmp_path: Path) -> None:
    for network in (Writing(), Counting()):
        torch.export.save(torch.export.export(network, (torch.ones(2),)), tmp_path / f"{type(network).__name__}.pt2")
    with pytest.raises(BadFile, match="changes its weights at each call"):
        adopted(tmp_path / "Counting.pt2", tmp_path / "counting")
    made = adopted(tmp_path / "Writing.pt2", tmp_path / "writing")
    request = {"x": np.array([-1, 1], np.float32)}
    with registry.load("runtimes", "torch").open(made, "cpu", SessionOptions()) as session:
        assert session.run(request)["output"].tolist() == [0, 1] and request["x"].tolist() == [-1, 1]
        with pytest.raises(EdgebenchError, match="'x' has shape"):
            session.run({"x": np.ones(3, np.float32)})
