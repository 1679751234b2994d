"""Fixes that training prints, followed to the letter: the command with the fix does what the first one could not."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Command, clean_environment
from datasets import write_images

from edgebench.errors import BadFile, UsageError
from edgebench.training import models
from edgebench.training.data import decoding

NET = """
from torch import nn

def build(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))
"""
OPTION = re.compile(r"(--[a-z-]+)(?: (\d[\w.]*|full|random)\b)?")


def with_fix(arguments: list[str], fix: str) -> list[str]:
    """The arguments as a reader of the fix changes them: an option is left out, or added, or gets another value."""
    name, value = OPTION.search(fix).groups()
    if re.search(rf"(leave out|drop) {name}", fix):
        at = arguments.index(name)
        takes = at + 1 < len(arguments) and not arguments[at + 1].startswith("--")
        return arguments[:at] + arguments[at + 1 + takes :]
    if name in arguments:
        return [value if i and arguments[i - 1] == name else each for i, each in enumerate(arguments)]
    return [*arguments, name, *([value] if value else [])]


def broken(root: Path) -> str:
    write_images(root / "animals", 8)
    (root / "animals" / "cat" / "000.png").write_text("no image")
    return str(root / "animals")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--subset", "5"], "too small for 10 classes"),
        (["--subset", "99999"], "is larger than"),
        (["--dataset", "BROKEN"], "cannot be decoded"),
        (["--dataset", "FULL-DISK"], "decoded images need"),
        (["--subset", "60", "--resume"], "no unfinished run"),
        (["--subset", "60", "--freeze", "--init", "w.safetensors"], "no classifier apart"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_the_command_with_the_fix_works(arguments, problem, in_process: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "net.py").write_text(NET)
    if "FULL-DISK" in arguments:
        full = decoding.shutil.disk_usage(tmp_path)._replace(free=100)
        monkeypatch.setattr(decoding.shutil, "disk_usage", lambda path: full)
    if "w.safetensors" in arguments:
        from safetensors.torch import save_file

        torch.manual_seed(0)
        save_file({"1.weight": torch.rand(10, 192), "1.bias": torch.rand(10)}, tmp_path / "w.safetensors")
    made = {"BROKEN": lambda: broken(tmp_path), "FULL-DISK": lambda: str(write_images(tmp_path / "animals", 8))}
    asked = [made[each]() if each in made else each for each in arguments]
    base = ["--model", "net.py:build", "--image-size", "8", "--epochs", "1", "--no-floor", "--threads", "1"]
    first = in_process("train", *base, *asked, "--out", "out", cwd=tmp_path)
    assert first.returncode and problem in first.stderr, first.stderr
    fix = first.stderr.partition("fix: ")[2].strip()
    second = in_process("train", *base, *with_fix(asked, fix), "--out", "out", cwd=tmp_path)
    assert second.returncode == 0, f"{fix}\n{second.stderr}"


@pytest.mark.parametrize("name", ["halonet26t", "bat_resnext26ts", "crossvit_tiny_240"])
def test_the_image_size_that_a_network_is_said_to_take_works(name: str) -> None:
    with pytest.raises(UsageError, match="cannot take images of 224 × 224 pixels") as caught:
        models.build(name, 3, 224, 0)
    (size,) = re.fullmatch(r"--image-size (\d+), which works", caught.value.fix).groups()
    assert models.build(name, 3, int(size), 0)[1].macs


def test_the_printed_conversion_works_on_what_timm_saves(tmp_path: Path) -> None:
    """timm's train.py saves its arguments beside the weights. The path has a blank, as paths do."""
    source, info = models.build("test_resnet", 10, 64, seed=1)
    (tmp_path / "my runs").mkdir()
    path = tmp_path / "my runs" / "model_best.pth.tar"
    args = argparse.Namespace(lr=0.1, out=Path("x"), metric=np.float64(1))
    torch.save({"epoch": 3, "arch": "x", "state_dict": source.state_dict(), "args": args}, path)
    with pytest.raises(BadFile) as caught:
        models.load_weights(source, info, path)
    python, *command = shlex.split(caught.value.fix.rpartition(": ")[2])
    assert python == "python"
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0, done.stderr
    model, _ = models.build("test_resnet", 10, 64, seed=2)
    report = models.load_weights(model, info, Path(command[-1]))
    assert len(report.matched) == report.tensors
