"""The user's own networks: a function in a file, a TOML, a plug-in; their faults; whom a checkpoint may trust."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from conftest import PLUGINS
from factories import make_artifact
from safetensors.torch import save

from edgebench.cli import cli
from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError
from edgebench.specs import Artifact, ModelInfo
from edgebench.training import models

NET = """
from torch import nn

def build(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size * image_size, num_classes))

def by_classes(num_classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def checkpoint(path: Path, model: torch.nn.Module, info: ModelInfo) -> Artifact:
    return make_artifact(path, format="checkpoint", model=info, content=save(model.state_dict()))


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLUGINS.parent / "nets")


@pytest.mark.parametrize("function", ["build", "by_classes"])
def test_a_function_in_a_file(net: Path, function: str) -> None:
    name = f"{net}:{function}"
    assert models.resolve(name) == name
    model, info = models.build(name, 7, 16, seed=0)
    assert model(torch.rand(2, 3, 16, 16)).shape == (2, 7)
    assert (info.name, info.origin) == (name, "file")
    assert info.file_sha256 == hashlib.sha256(net.read_bytes()).hexdigest()
    assert info.macs == model[-1].weight.numel()
    same, _ = models.build(name, 7, 16, seed=0)
    assert torch.equal(same[-1].weight, model[-1].weight)


def test_a_file_named_as_a_timm_model_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resnet50.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    assert models.build("resnet50.py:build", 3, 8, seed=0)[1].origin == "file"


BROKEN = {
    "no function of that name": ("def other(n): ...", "unknown function in .*'build'"),
    "a syntax error": ("x = 1\ndef build(:", "line 2: SyntaxError"),
    "an error when it is loaded": ("\n\n1 / 0", "line 3: ZeroDivisionError: division by zero"),
    "an exit when it is loaded": ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
    "an error in the function": ("def build(n):\n    raise KeyError('depth')", "line 2: KeyError: 'depth'"),
    "a missing library": ("import no_such_library", "line 1: ModuleNotFoundError"),
    "no network": ("def build(n):\n    return [n]", "returns list, not a torch.nn.Module"),
    "too many parameters": ("def build(a, b, c): ...", r"cannot be called with \(num_classes, image_size\)"),
    "logits of another shape": (
        "from torch import nn\ndef build(n): return nn.Sequential(nn.Flatten(), nn.LazyLinear(n + 1))",
        r"answers two images with \(2, 11\), not with logits of shape \(2, 10\)",
    ),
    "no logits but a list": (
        "from torch import nn\nclass N(nn.Module):\n    def forward(self, x): return [x]\ndef build(n): return N()",
        "answers two images with list",
    ),
    "an error in forward": (
        "from torch import nn\nclass N(nn.Module):\n    def forward(self, x):\n        return x.reshape(-1, 5)\n"
        "def build(n): return N()",
        r"cannot take images of shape \(2, 3, 16, 16\): line 4",
    ),
    "bytes that are no text": (b"\xff\xfe\x00", "SyntaxError|UnicodeDecodeError"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_in_a_file_is_one_message_with_the_line(tmp_path: Path, what: str) -> None:
    content, message = BROKEN[what]
    path = tmp_path / "broken.py"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=message) as caught:
        models.build(f"{path}:build", 10, 16, seed=0)
    assert "\n" not in caught.value.message and "broken.py" in caught.value.message


@pytest.mark.parametrize("name", ["net.py", "net.py:", "net.py:a b", "net.py:a.b"])
def test_a_file_without_a_function_says_what_to_type(name: str) -> None:
    with pytest.raises(UsageError, match="does not name a function") as caught:
        models.resolve(name)
    assert "FILE.py:FUNCTION" in caught.value.fix


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        models.resolve(f"{tmp_path / 'none.py'}:build")


def test_only_the_trusted_file_is_run_for_a_checkpoint(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, info = models.build(f"{net}:build", 4, 8, seed=1)
    made = checkpoint(tmp_path / "checkpoint", model, info)
    with pytest.raises(EdgebenchError, match="not run a file just because") as caught:
        models.restore(made)
    assert "EDGEBENCH_TRUST_MODEL=FILE.py:build" in caught.value.fix

    moved = net.rename(tmp_path / "moved.py")  # where the file lies does not matter, what is in it does
    monkeypatch.setenv("EDGEBENCH_TRUST_MODEL", f"{moved}:build")
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(models.restore(made)(images), model(images))

    monkeypatch.setenv("EDGEBENCH_TRUST_MODEL", f"{moved}:by_classes")
    with pytest.raises(EdgebenchError, match="names the function 'by_classes'; the checkpoint was"):
        models.restore(made)


def test_a_trusted_file_that_was_changed_is_not_run(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = checkpoint(tmp_path / "checkpoint", *models.build(f"{net}:build", 4, 8, seed=1))
    mark = tmp_path / "was-run"
    net.write_text(f"open({str(mark)!r}, 'w').close()\n{NET}")
    monkeypatch.setenv("EDGEBENCH_TRUST_MODEL", f"{net}:build")
    with pytest.raises(EdgebenchError, match="is not the file that the checkpoint was made with"):
        models.restore(made)
    assert not mark.exists()


def test_a_toml_gives_timm_arguments_and_needs_no_toml_to_be_restored(tmp_path: Path) -> None:
    path = tmp_path / "slim.toml"
    path.write_text('timm = "resnet18"\n[arguments]\nchannels = [8, 16, 32, 64]\n')
    model, info = models.build(str(path), 5, 32, seed=0)
    assert (info.timm_name, info.origin) == ("resnet18", "timm") and info.parameters < 300_000
    assert info.strides == {"conv1": 1, "maxpool": 1}
    made = checkpoint(tmp_path / "checkpoint", model, info)
    path.unlink()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(models.restore(made)(images), model(images))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('tim = "resnet18"', "unknown key in .*'tim'.*"),
        ('timm = "resnet18"\nargument = {}', "'argument'"),
        ("timm = 18", "names no timm model"),
        ("timm = ", "is not TOML"),
        ('timm = "resnet18"\narguments = 3', "arguments is not a table"),
        ('timm = "resnet81"', "unknown model 'resnet81'"),
        ('timm = "resnet18"\n[arguments]\nno_such = 1', "does not work for .*no_such"),
        ('timm = "resnet18"\n[arguments]\ndrop_rate = nan', "'drop_rate' is nan"),
        ('timm = "resnet18"\n[arguments]\ncheckpoint_path = "x.pth"', "may not set the argument 'checkpoint_path'"),
        ('timm = "resnet18"\n[arguments]\nnum_classes = 3', "may not set the argument 'num_classes'"),
    ],
)
def test_a_toml_that_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(content)
    with pytest.raises((UsageError, BadFile), match=message):
        models.build(str(path), 10, 32, seed=0)


def test_a_wrong_key_offers_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('tim = "resnet18"')
    with pytest.raises(UsageError) as caught:
        models.resolve(str(path))
    assert "did you mean timm?" in caught.value.fix


def test_a_toml_that_is_not_there() -> None:
    with pytest.raises(BadFile, match=r"none\.toml cannot be read"):
        models.resolve("none.toml")


def test_a_plug_in_trains_and_is_restored(plugins: None, tmp_path: Path) -> None:
    model, info = models.build("plugged", 6, 16, seed=0)
    assert (info.origin, info.timm_name) == ("plugin", "")
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(models.restore(checkpoint(tmp_path / "c", model, info))(images), model(images))


def test_a_plug_in_cannot_take_the_name_of_a_timm_model(plugins: None) -> None:
    assert models.resolve("resnet50") == "resnet50"
    with torch.device("meta"):
        assert models.build("resnet50", 10, 224, seed=0)[1].origin == "timm"


def test_a_plug_in_that_does_not_load(plugins: None) -> None:
    with pytest.raises(Unsupported, match="a_module_that_does_not_exist"):
        models.build("unloadable_net", 10, 16, seed=0)


def test_a_plug_in_is_offered_and_listed(plugins: None) -> None:
    with pytest.raises(UsageError) as caught:
        models.resolve("pluged")
    assert "plugged" in caught.value.fix
    done = CliRunner().invoke(cli, ["models"])
    assert done.exit_code == 0, done.output
    assert "installed plug-ins:\n  plugged\n" in done.output and "the seven backbones:\n" in done.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"arguments": {"num_classes": 4, "checkpoint_path": "/tmp/x.pth"}},
            "may not set the argument 'checkpoint_path'",
        ),
        (
            {"arguments": {"num_classes": 4, "pretrained_cfg": {"file": "x.pth"}}},
            "may not set the argument 'pretrained_cfg'",
        ),
        ({"strides": {"conv1.0": 0}}, "given the stride 0"),
        ({"strides": {"no.such.module": 1}}, "no attribute"),
        ({"strides": {"bn1": 1}}, "has no stride"),
        ({"origin": "file", "arguments": {"num_classes": "4", "image_size": 8}}, "are not num_classes and image_size"),
        ({"origin": "plugin", "arguments": {}}, "are not num_classes and image_size"),
    ],
)
def test_a_checkpoint_cannot_smuggle_in_what_rebuilds_it(tmp_path: Path, changes: dict, message: str) -> None:
    model, info = models.build("test_resnet", 4, 96, seed=0)
    assert models.restore(checkpoint(tmp_path / "good", model, info))
    with pytest.raises(BadFile, match=message):
        models.restore(checkpoint(tmp_path / "bad", model, replace(info, **changes)))
