"""Networks by name: their published cost and size, images they cannot take, timm beside a broken torchvision."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest
import torch

from edgebench import models
from edgebench.errors import UsageError
from edgebench.specs import ModelInfo


@cache
def sketched(name: str, image_size: int, classes: int = 1000) -> tuple[torch.nn.Module, ModelInfo]:
    """The network on torch's meta device: all shapes and no numbers, so that a large one is there at once."""
    with torch.device("meta"):
        return models.build(name, classes, image_size, seed=0)


@pytest.mark.parametrize("name", models.SHORT_NAMES)
def test_a_short_name_builds_at_64_pixels(name: str) -> None:
    model, info = sketched(name, 64, 10)
    assert model(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 10)
    assert not model.training
    assert (info.name, info.timm_name) == (name, models.SHORT_NAMES[name])
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert info.macs > 0 and info.flops == 2 * info.macs


@pytest.mark.parametrize("name", ["mobilenetv3", "deit_small"])  # a convolutional network and a transformer
def test_a_short_name_runs_at_64_pixels(name: str) -> None:
    model, info = models.build(name, 10, 64, seed=0)
    with torch.no_grad():
        logits = model(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 10) and logits.isfinite().all()
    assert info == sketched(name, 64, 10)[1]


def test_every_short_name_is_a_timm_model() -> None:
    timm = models.import_timm()
    for short, name in models.SHORT_NAMES.items():
        assert models.resolve(short) == models.resolve(name) == name
        assert timm.is_model(name)


def test_resnet50_costs_what_its_authors_say() -> None:
    _, info = sketched("resnet50", 224)
    assert info.macs == pytest.approx(4.09e9, rel=0.01)
    assert info.parameters == 25_557_032


def test_vit_base_costs_what_timm_says_attention_included() -> None:
    _, info = sketched("vit_base", 224)
    assert info.macs == pytest.approx(17.58e9, rel=0.02)
    assert info.parameters == 86_567_656
    tokens, width, depth = 197, 768, 12
    linear = tokens * width * width * 12 * depth  # the four projections and the two layers of each block
    attention = 2 * tokens * tokens * width * depth  # queries by keys, then weights by values
    patches, head = 196 * 16 * 16 * 3 * width, width * 1000
    assert info.macs == linear + attention + patches + head


def test_a_transformer_is_built_for_the_image_size() -> None:
    _, info = sketched("vit_base", 64, 10)
    assert info.arguments == {"num_classes": 10, "img_size": 64}
    assert sketched("resnet50", 64, 10)[1].arguments == {"num_classes": 10}


def test_the_cost_of_convolutions_grows_with_the_area_and_the_parameters_do_not() -> None:
    (_, small), (_, large) = sketched("resnet50", 64), sketched("resnet50", 128)
    assert small.parameters == large.parameters
    head = 2048 * 1000
    assert large.macs - head == 4 * (small.macs - head)


def test_the_seed_decides_the_weights() -> None:
    one, same, other = (models.build("test_efficientnet", 10, 32, seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("name", "close"), [("resnet5", "resnet50"), ("ResNet50", "resnet50"), ("mobilenet3", "mobilenetv3")]
)
def test_an_unknown_model_offers_close_names(name: str, close: str) -> None:
    with pytest.raises(UsageError, match="unknown model") as caught:
        models.resolve(name)
    assert "did you mean" in caught.value.fix and close in caught.value.fix
    assert "edgebench models --all" in caught.value.fix


@pytest.mark.parametrize(
    "name", ["", "zzzzzzzz", "../resnet50", "hf-hub:timm/resnet50", "resnet50.no_such_weights", "resnet50."]
)
def test_what_is_no_model_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="unknown model") as caught:
        models.build(name, 10, 64, seed=0)
    assert "edgebench models --all" in caught.value.fix


@pytest.mark.parametrize(("name", "size"), [("convnext_v2_tiny", 8), ("mobilenetv3", 0)])
def test_images_that_are_too_small(name: str, size: int) -> None:
    with pytest.raises(UsageError, match=f"{name} cannot take images of {size} × {size} pixels") as caught:
        sketched(name, size, 10)
    assert "--image-size" in caught.value.fix
    assert "\n" not in caught.value.message


def test_timm_imports_in_a_fresh_process() -> None:
    """Also where torchvision's compiled part does not fit torch, as a CPU-only torch beside PyPI's torchvision."""
    code = (
        "from edgebench import models\n"
        "timm = models.import_timm()\n"
        "assert models.import_timm() is timm\n"
        "import torchvision.transforms\n"
        "print(timm.is_model('resnet50'), timm.create_model('test_efficientnet').num_classes)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("True 1000\n", 0), done.stderr
