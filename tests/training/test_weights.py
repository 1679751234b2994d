"""Weights to start from: what fits and what does not, files that are refused; frozen bodies and parameter groups."""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgebench.errors import BadFile, UsageError
from edgebench.specs import ModelInfo
from edgebench.training import models
from edgebench.training.models import convert
from edgebench.training.models.weights import WeightsReport

ASSETS = os.environ.get("EDGEBENCH_ASSETS")


def saved(model: nn.Module, path: Path, prefix: str = "") -> Path:
    save_file({prefix + name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_body_is_taken_and_a_head_of_other_classes_is_new(tmp_path: Path, prefix: str) -> None:
    source, _ = models.build("test_resnet", 1000, 64, seed=1)
    model, info = models.build("test_resnet", 10, 64, seed=2)
    head = model.get_classifier().weight.clone()
    report = models.load_weights(model, info, saved(source, tmp_path / "w.safetensors", prefix))
    assert torch.equal(model.conv1[0].weight, source.conv1[0].weight)
    assert torch.equal(model.get_classifier().weight, head)
    assert report.head == ("fc.weight", "fc.bias")
    assert not (report.mismatched or report.missing or report.unused or report.resampled)
    assert len(report.matched) == report.tensors - 2
    assert f"{report.tensors - 2} of {report.tensors} tensors" in report.line and "the head is new" in report.line
    assert report.text == report.line, "what fits is one line"


def test_a_head_of_as_many_classes_is_taken_too(tmp_path: Path) -> None:
    source, info = models.build("test_resnet", 10, 64, seed=1)
    model, _ = models.build("test_resnet", 10, 64, seed=2)
    report = models.load_weights(model, info, saved(source, tmp_path / "w.safetensors"))
    assert report.head == () and torch.equal(model.fc.weight, source.fc.weight)


@pytest.mark.parametrize(
    ("name", "resampled"),
    [
        ("vit_tiny_patch16_224", {"pos_embed", "patch_embed.proj.weight"}),
        ("resnet18", set()),
        ("convnextv2_atto", set()),
    ],
)
def test_weights_of_224_pixels_serve_a_network_of_32(tmp_path: Path, name: str, resampled: set[str]) -> None:
    source, _ = models.build(name, 20, 224, seed=1)
    model, info = models.build(name, 10, 32, seed=2)
    report = models.load_weights(model, info, saved(source, tmp_path / "w.safetensors"))
    assert info.adapted and set(report.resampled) == resampled
    assert not (report.mismatched or report.missing or report.unused)
    with torch.no_grad():
        assert model(torch.rand(2, 3, 32, 32)).isfinite().all()


def test_what_is_missing_mismatched_and_unused_is_told(tmp_path: Path) -> None:
    source, info = models.build("test_resnet", 10, 64, seed=1)
    tensors = source.state_dict()
    del tensors["bn1.bias"]
    tensors |= {"bn1.weight": torch.ones(3), "extra": torch.ones(1)}
    save_file(tensors, tmp_path / "w.safetensors")
    report = models.load_weights(models.build("test_resnet", 10, 64, seed=2)[0], info, tmp_path / "w.safetensors")
    assert (report.missing, report.mismatched, report.unused) == (("bn1.bias",), ("bn1.weight",), ("extra",))
    assert "bn1.bias" in report.text and report.text.startswith(report.line)
    assert "1 missing in the file" in report.line and "1 of another shape" in report.line and "1 unused" in report.line


@pytest.mark.parametrize("other", ["test_vit", "test_efficientnet"])
def test_weights_of_another_network_change_nothing(tmp_path: Path, other: str) -> None:
    path = saved(models.build(other, 10, 64, seed=1)[0], tmp_path / "w.safetensors")
    model, info = models.build("test_resnet", 10, 64, seed=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(BadFile, match=r"the weights of another model: \d+ of \d+ tensors of test_resnet match"):
        models.load_weights(model, info, path)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_relative_that_shares_most_tensors_is_another_network(tmp_path: Path) -> None:
    path = saved(models.build("tf_efficientnet_lite0", 10, 64, seed=1)[0], tmp_path / "w.safetensors")
    with pytest.raises(BadFile, match="another model"):
        models.load_weights(*models.build("efficientnet_b0", 10, 64, seed=2), path)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt", ".pth.tar"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(BadFile, match="is a pickle") as caught:
        models.load_weights(*models.build("test_resnet", 10, 64, seed=0), path)
    files = f"{path} {path.with_suffix('.safetensors')}"
    assert caught.value.fix.endswith(f": python -m {convert.__name__} {files}")


WRAPPED = (
    "_orig_mod.", "module._orig_mod.", "model.", "backbone.", "module.", "net.", "state_dict.", "model_ema.module.",
    "state_dict.model.", "model._orig_mod.module.",
)  # fmt: skip


@cache
def loaded(name: str) -> tuple[dict[str, torch.Tensor], WeightsReport]:
    """The tensors of such a network, and the report where they begin with nothing."""
    source, _ = models.build(name, 20, 64, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = saved(source, Path(folder, "bare.safetensors"))
        return source.state_dict(), models.load_weights(*models.build(name, 10, 64, seed=2), path)


@pytest.mark.parametrize("prefix", WRAPPED)
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])  # test_vit: timm renames and resamples
def test_names_may_begin_as_trainings_save_them(tmp_path: Path, prefix: str, name: str) -> None:
    source, bare = loaded(name)
    tensors = {prefix + key: tensor.contiguous() for key, tensor in source.items()}
    save_file({**tensors, "optimizer.state.0.exp_avg": torch.ones(3)}, tmp_path / "w.safetensors")
    report = models.load_weights(*models.build(name, 10, 64, seed=2), tmp_path / "w.safetensors")
    assert replace(report, path="", unused=()) == replace(bare, path="", unused=())
    assert report.unused == ("optimizer.state.0.exp_avg",)


def test_of_two_sets_of_weights_the_average_is_taken(tmp_path: Path) -> None:
    last, average = (models.build("test_resnet", 10, 64, seed=seed)[0].state_dict() for seed in (1, 2))
    tensors = {f"model.{name}": t for name, t in last.items()} | {f"model_ema.{name}": t for name, t in average.items()}
    save_file(tensors, tmp_path / "w.safetensors")
    model, info = models.build("test_resnet", 10, 64, seed=3)
    report = models.load_weights(model, info, tmp_path / "w.safetensors")
    assert torch.equal(model.state_dict()["conv1.0.weight"], average["conv1.0.weight"])
    assert len(report.unused) == len(last) and all(name.startswith("model.") for name in report.unused)


# Taking weights out of torch's own files


class Settings:
    """What a training loop may save beside its weights: known to nobody else."""

    def __init__(self) -> None:
        self.lr, self.path = np.float64(0.1), Path("somewhere")

    def __reduce__(self):
        return (Settings, (), self.__dict__)


def checkpoint(weights: dict[str, torch.Tensor], how: str) -> object:
    """As timm's train.py, PyTorch Lightning and others save them."""
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    return {
        "bare": weights,
        "timm": {
            "epoch": 3, "arch": "x", "state_dict": weights, "optimizer": optimizer, "version": 2,
            "args": argparse.Namespace(lr=0.1, out=Path("x")), "amp_scaler": {"scale": 2.0}, "metric": np.float64(1),
        },
        "timm with an average": {
            "state_dict": {name: torch.zeros_like(t) for name, t in weights.items()}, "state_dict_ema": weights,
        },
        "lightning": {
            "pytorch-lightning_version": "2", "hyper_parameters": Settings(), "callbacks": {Settings: {"best": 1}},
            "state_dict": {f"model.{name}": t for name, t in weights.items()}, "optimizer_states": [optimizer],
        },
        "compiled": {"model": {f"module._orig_mod.{name}": t for name, t in weights.items()}, "best": Settings()},
        "parameters": {"model": {name: nn.Parameter(t, t.is_floating_point()) for name, t in weights.items()}},
    }[how]  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("how", ["bare", "timm", "timm with an average", "lightning", "compiled", "parameters"])
def test_weights_are_taken_out_of_what_trainings_save(how: str, legacy: bool, tmp_path: Path) -> None:
    source, _ = models.build("test_resnet", 10, 64, seed=1)
    torch.save(
        checkpoint(dict(source.state_dict()), how), tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy
    )
    convert.main([str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors")])
    model, info = models.build("test_resnet", 10, 64, seed=2)
    report = models.load_weights(model, info, tmp_path / "w.safetensors")
    assert len(report.matched) == report.tensors and not report.unused
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), source.parameters(), strict=True))


class Attack:
    """Unpickled as usual, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_a_pickle_is_run(legacy: bool, tmp_path: Path) -> None:
    made = {"state_dict": {"a": torch.ones(2)}, "args": Attack(tmp_path / "owned"), Attack(tmp_path / "owned"): 1}
    torch.save(made, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    assert convert.weights(tmp_path / "w.pth").keys() == {"a"}
    assert not (tmp_path / "owned").exists()


def test_what_holds_no_weights_is_told(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "damaged.pth").write_bytes(b"PK no")
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "script.pth")
    for name, says in (
        ("module", "no weights by name"), ("list", "no weights by name"), ("damaged", "is damaged"),
        ("script", "TorchScript"), ("missing", "No such file"),
    ):  # fmt: skip
        with pytest.raises(BadFile, match=says):
            convert.weights(tmp_path / f"{name}.pth")


@pytest.mark.parametrize("damage", [b"", b"\xff" * 64, b"\x08\0\0\0\0\0\0\0{}      ", None], ids=str)
def test_a_damaged_file(tmp_path: Path, damage: bytes | None) -> None:
    model, info = models.build("test_resnet", 10, 64, seed=0)
    path = saved(model, tmp_path / "w.safetensors")
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(BadFile):
        models.load_weights(model, info, path)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    model, info = models.build("test_resnet", 10, 64, seed=0)
    save_file(
        {**model.state_dict(), "bn1.bias": torch.full_like(model.bn1.bias, torch.nan)}, tmp_path / "w.safetensors"
    )
    with pytest.raises(BadFile, match=r"'bn1\.bias' holds NaN"):
        models.load_weights(model, info, tmp_path / "w.safetensors")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        models.load_weights(*models.build("test_resnet", 10, 64, seed=0), tmp_path / "w.safetensors")


@pytest.mark.skipif(not ASSETS, reason="EDGEBENCH_ASSETS names no folder with the ImageNet weights")
def test_real_imagenet_weights() -> None:
    model, info = models.build("tf_efficientnet_lite0", 10, 64, seed=0)
    report = models.load_weights(model, info, Path(str(ASSETS), "tf_efficientnet_lite0.safetensors"))
    assert (len(report.matched), report.tensors, report.unused) == (245, 247, ())


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("resnet50", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("tf_efficientnet_lite0", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("vit_base_patch16_224", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("fastvit_mci0", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ],
)
def test_inputs_are_scaled_as_the_weights_were_trained(name: str, mean: tuple, std: tuple) -> None:
    info = ModelInfo(name=name, timm_name=name, arguments={}, parameters=0, macs=0)
    assert models.input_statistics(info) == (mean, std)
    assert models.input_statistics(replace(info, timm_name="", origin="file")) is None
    other = models.input_statistics(info, "fastvit_mci0.apple_mclip")
    assert other == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), "those of the weights, not of the network"


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "mobilenetv3_small_050"])
def test_a_frozen_body_does_not_change_and_the_classifier_learns(name: str) -> None:
    model, _ = models.build(name, 10, 32, seed=0)
    models.freeze(model)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW(models.parameter_groups(model, lr=0.1, weight_decay=0.1))
    model.train()
    models.keep_frozen(model)
    model(torch.rand(4, 3, 32, 32)).sum().backward()
    optimizer.step()
    changed = {key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed and {key.split(".")[0] for key in changed} <= {"fc", "head", "classifier"}


def test_a_model_that_is_not_frozen_stays_in_training_mode() -> None:
    model, _ = models.build("test_resnet", 10, 32, seed=0)
    models.keep_frozen(model.train())
    assert all(module.training for module in model.modules())


def test_a_model_without_a_body_cannot_be_frozen() -> None:
    with pytest.raises(UsageError, match="no classifier apart"):
        models.freeze(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)))


@pytest.mark.parametrize("layer_decay", [1.0, 0.75])
@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "own"])
def test_every_parameter_is_in_one_group_and_norms_are_not_decayed(name: str, layer_decay: float) -> None:
    if name == "own":
        layers = [nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)) for _ in range(8)]
        model: nn.Module = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(10))
        model(torch.rand(2, 3, 8, 8))
    else:
        model, _ = models.build(name, 10, 64, seed=0)
    groups = models.parameter_groups(model, lr=0.01, weight_decay=0.1, layer_decay=layer_decay)
    where = {id(parameter): group for group in groups for parameter in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(where) == len(list(model.parameters()))
    undecayed = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    for key, parameter in model.named_parameters():
        kept = parameter.ndim <= 1 or key.endswith(".bias") or key in undecayed
        assert where[id(parameter)]["weight_decay"] == (0.0 if kept else 0.1), key
    rates = [where[id(parameter)]["lr"] for parameter in model.parameters()]
    assert max(rates) == rates[-1] == 0.01
    assert (min(rates) < 0.01) == (layer_decay < 1)
    torch.optim.AdamW(groups)


@pytest.mark.parametrize("layer_decay", [0.0, 1.5, -1.0])
def test_a_layer_decay_that_cannot_be_meant(layer_decay: float) -> None:
    with pytest.raises(UsageError, match="layer decay"):
        models.parameter_groups(nn.Linear(2, 2), lr=0.1, weight_decay=0.1, layer_decay=layer_decay)
