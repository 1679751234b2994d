"""Weights that cannot be had are told before anything large is imported, and those that may be had are looked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from edgebench.errors import EdgebenchError
from edgebench.records.recipe import TrainConfig
from edgebench.training import at_hand, hub


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "unreachable", lambda: "no network")


def keep(cache: Path, repository: str, file: str = hub.FILE) -> None:
    path = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / "0" / file
    path.parent.mkdir(parents=True)
    path.touch()


@pytest.mark.parametrize(
    ("name", "kept", "may"),
    [
        ("resnet18", "timm/resnet18.a1_in1k", True),
        ("resnet18.a1_in1k", "timm/resnet50.a1_in1k", False),
        ("vit_base_patch16_clip_quickgelu_224", "timm/vit_base_patch16_clip_224.openai", True),
        ("siglip2", "timm/vit_base_patch16_siglip_gap_224.v2_webli", True),
        ("fastvit_mci0.apple_mclip", "apple/mobileclip_s0_timm", True),
        ("mobilenetv3", "timm/efficientnet_b0.ra_in1k", False),
    ],
)
def test_what_the_cache_may_have_is_looked_for(name: str, kept: str, may: bool, tmp_path: Path) -> None:
    keep(tmp_path / "cache", kept)
    assert at_hand.lacking(name) == ("" if may else "no network")


def test_what_the_folder_has_is_taken_and_else_named(tmp_path: Path) -> None:
    keep(tmp_path / "cache", "timm/resnet18.a1_in1k", "config.json")
    told = f"no network, and there is no resnet18.safetensors in {tmp_path}"
    assert at_hand.lacking("resnet18", tmp_path) == told
    (tmp_path / "resnet18.safetensors").touch()
    assert at_hand.lacking("resnet18", tmp_path) == "" and at_hand.lacking("resnet18") == "no network"


def test_only_a_recipe_that_needs_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for init, model in (("auto", "resnet18"), ("random", "resnet18"), ("pretrained", "net.py:build")):
        at_hand.check(TrainConfig(model=model, init=init))
    with pytest.raises(EdgebenchError, match="weights of resnet18 cannot be had: no network") as caught:
        at_hand.check(TrainConfig(model="resnet18", init="pretrained"))
    assert "--init FILE.safetensors" in caught.value.fix
    monkeypatch.setattr(hub, "unreachable", lambda: "")
    at_hand.check(TrainConfig(model="resnet18", init="pretrained"))


@pytest.mark.parametrize("command", [["adopt", "timm:resnet18"], ["train", "--init", "pretrained"]])
def test_it_is_told_before_torch_is_imported(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom edgebench.cli import main\n"
        f"sys.argv = {['edgebench', *command, '--workspace', str(tmp_path)]}\n"
        "try:\n    main()\nfinally:\n    print([name for name in ('torch', 'timm') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and done.stdout.endswith("[]\n"), done.stderr
    assert "cannot be had: HF_HUB_OFFLINE is set" in done.stderr and "fix: " in done.stderr
