"""Networks by name: published cost and size, small images, unknown names, timm beside a broken torchvision."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest
import torch

from edgebench.errors import UsageError
from edgebench.specs import ModelInfo
from edgebench.training import models
from edgebench.training.short_names import GROUPS, SHORT_NAMES


@cache
def sketched(name: str, image_size: int, classes: int = 1000) -> tuple[torch.nn.Module, ModelInfo]:
    """The network on torch's meta device: all shapes and no numbers, so that a large one is there at once."""
    with torch.device("meta"):
        return models.build(name, classes, image_size, seed=0)


HYBRIDS = ("coatnet", "fastvit", "pvt")
SEVEN = tuple(GROUPS["the seven backbones"])


@pytest.mark.parametrize(
    ("name", "size"),
    [*((name, 32) for name in (*SEVEN, *HYBRIDS)), *((name, 64) for name in ("mobilenetv3", "deit_small"))],
)
def test_a_backbone_is_adapted_to_small_images_and_learns_from_them(name: str, size: int) -> None:
    # Numbers are faster than the meta device, which computes shapes in Python, but ViT-Base has too many of them.
    model, info = sketched(name, size, 10) if name == "vit_base" else models.build(name, 10, size, seed=0)
    assert not model.training
    assert (info.name, info.timm_name) == (name, SHORT_NAMES[name])
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert info.macs > 0 and info.flops == 2 * info.macs and info.activations > 0
    assert f"{size} × {size}" in info.adapted[0]
    device = next(model.parameters()).device
    features = model.forward_features(torch.rand(2, 3, size, size, device=device))
    places = features.shape[1] if features.ndim == 3 else features[0].numel() // model.num_features
    assert places in (16, 65), "4 × 4 places, or 8 × 8 tokens and one for the class"
    logits = model.forward_head(features)
    assert logits.shape == (2, 10)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    if device.type == "cpu":
        assert logits.isfinite().all() and all(parameter.grad.isfinite().all() for parameter in model.parameters())


# Each is adapted as another one of its kind: siglip as ViT, caformer as poolformer, dinov3 as eupe, both mobileclip as
# fastvit.
ALIKE = ("siglip", "siglip2", "caformer", "dinov3", "mobileclip", "mobileclip2")


@pytest.mark.parametrize("name", [name for name in SHORT_NAMES if name not in (*SEVEN, *HYBRIDS, *ALIKE)])
def test_the_other_short_names_are_adapted_too(name: str) -> None:
    model, info = models.build(name, 10, 32, seed=0)
    with torch.no_grad():
        logits = model.train()(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 10) and logits.isfinite().all() and info.adapted


@pytest.mark.parametrize("name", ["resnet50", "vit_base", "swin_tiny", "coatnet"])
def test_images_of_224_pixels_are_left_to_the_original_network(name: str) -> None:
    _, info = sketched(name, 224)
    assert (info.adapted, info.strides) == ((), {})
    assert set(info.arguments) <= {"num_classes", "img_size"}


@pytest.mark.parametrize(
    ("name", "size", "note"),
    [
        ("resnet50", 32, "stride 2 → 1 in conv1, stride 2 → 1 in maxpool for 32 × 32"),
        ("convnext_v2_tiny", 64, "stride 4 → 2 in stem.0 for 64 × 64"),
        ("vit_base", 32, "patch size 16 → 4 for 32 × 32 images"),
        ("dinov2", 64, "patch size 14 → 8 for 64 × 64 images"),
        ("swin_tiny", 32, "patch size 4 → 1 for 32 × 32 images; window size 7 → 4"),
        ("vit_base", 100, "patch size 16 does not divide 100: the last 4 rows and columns of pixels are ignored"),
    ],
)
def test_an_adaptation_is_said(name: str, size: int, note: str) -> None:
    assert note in "; ".join(sketched(name, size, 10)[1].adapted)


def test_the_adapted_resnet_is_the_one_that_is_commonly_trained_on_cifar() -> None:
    """ResNet-50 with a total stride of 8 costs 1.3 GMACs at 32 × 32 (github.com/kuangliu/pytorch-cifar)."""
    assert sketched("resnet50", 32, 10)[1].macs == pytest.approx(1.305e9, rel=0.002)


def test_every_short_name_is_a_timm_model() -> None:
    timm = models.import_timm()
    for short, name in SHORT_NAMES.items():
        assert models.resolve(short) == models.resolve(name) == name
        assert timm.is_model(name)


def test_resnet50_costs_what_its_authors_say() -> None:
    _, info = sketched("resnet50", 224)
    assert info.macs == pytest.approx(4.09e9, rel=0.01)
    assert info.parameters == 25_557_032
    assert info.activations == pytest.approx(11.11e6, rel=0.001)  # timm's card of ResNet-50, by fvcore


def test_vit_base_costs_what_timm_says_attention_included() -> None:
    _, info = sketched("vit_base", 224)
    assert info.macs == pytest.approx(17.58e9, rel=0.02)
    assert info.parameters == 86_567_656
    tokens, width, depth = 197, 768, 12
    linear = tokens * width * width * 12 * depth  # the four projections and the two layers of each block
    attention = 2 * tokens * tokens * width * depth  # queries by keys, then weights by values
    patches, head = 196 * 16 * 16 * 3 * width, width * 1000
    assert info.macs == linear + attention + patches + head
    assert info.activations == pytest.approx(23.9e6, rel=0.001)  # timm's card of DeiT-Base, which is the same


def test_a_transformer_is_built_for_the_image_size() -> None:
    _, info = sketched("vit_base", 64, 10)
    assert info.arguments == {"num_classes": 10, "img_size": 64, "patch_size": 8}
    assert sketched("resnet50", 64, 10)[1].arguments == {"num_classes": 10}


def test_the_cost_of_convolutions_grows_with_the_area_and_the_parameters_do_not() -> None:
    (_, small), (_, large) = sketched("resnet50", 96), sketched("resnet50", 192)
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


@pytest.mark.parametrize(("name", "size"), [("convnext_v2_tiny", 4), ("mobilenetv3", 0)])
def test_images_that_are_too_small(name: str, size: int) -> None:
    with pytest.raises(UsageError, match=f"{name} cannot take images of {size} × {size} pixels") as caught:
        sketched(name, size, 10)
    assert caught.value.fix == "--image-size 224, which works"
    assert "\n" not in caught.value.message


def test_timm_imports_in_a_fresh_process() -> None:
    """Also where torchvision's compiled part does not fit torch, as a CPU-only torch beside PyPI's torchvision. Neither
    wandb nor torch's compiler is loaded for it, and what then needs the compiler gets the real one."""
    code = (
        "import sys\n"
        "from edgebench.training import models\n"
        "timm = models.import_timm()\n"
        "assert models.import_timm() is timm\n"
        "assert not {'wandb', 'torch._dynamo', 'torch._dynamo.utils'} & sys.modules.keys()\n"
        "import torch, torchvision.transforms\n"
        "assert torch.compiler.disable is not torch._disable_dynamo\n"
        "supported = vars(sys.modules['torchvision.ops.roi_align']).get('is_compile_supported', lambda device: True)\n"
        "print(timm.is_model('resnet50'), timm.create_model('test_efficientnet').num_classes, supported('cpu'))\n"
        "import torch._dynamo.utils\n"
        "assert torch._dynamo.utils.__file__\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("True 1000 True\n", 0), done.stderr
