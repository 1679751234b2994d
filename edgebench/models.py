"""From a name to a timm network, its cost, and back from a checkpoint."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import torch
from torch import nn

from edgebench.errors import BadFile, EdgebenchError, UsageError, unknown_name
from edgebench.specs import Artifact, ModelInfo

# The short names that a user types, and the timm model each stands for.
SHORT_NAMES = {
    "convnext_v2_tiny": "convnextv2_tiny",
    "efficientnetv2_s": "tf_efficientnetv2_s",
    "mobilenetv3": "mobilenetv3_large_100",
    "resnet50": "resnet50",
    "vit_base": "vit_base_patch16_224",
    "deit_small": "deit_small_patch16_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
}

_LIBRARIES: list[torch.library.Library] = []  # an operator lives only as long as the Library that declared it


@cache
def import_timm() -> Any:
    """Import timm also beside a torchvision that does not fit torch.

    A CPU-only or Jetson torch beside the CUDA-built torchvision of PyPI cannot load torchvision's compiled part, and
    `import torchvision` then dies on `operator torchvision::nms does not exist`. No classifier needs it: declaring the
    two operators lets torchvision's pure Python part, which is all that timm uses, import.
    """
    try:
        import timm
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for module in [m for m in sys.modules if m.split(".")[0] in ("torchvision", "timm")]:
            del sys.modules[module]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        import timm
    return timm


def resolve(name: str) -> str:
    """The timm name that a short name or timm name means. Raises UsageError that offers the closest ones."""
    timm = import_timm()
    timm_name = SHORT_NAMES.get(name, name)
    known = timm.is_model(timm_name.split(".")[0])
    try:
        timm.get_pretrained_cfg(timm_name)
    except RuntimeError:  # timm has the network, but not with the weights that the tag after the dot names
        known = False
    if not known:
        raise unknown_name("model", name, {*SHORT_NAMES, *timm.list_models()}, where="`edgebench models --all`")
    return timm_name


def build(name: str, classes: int, image_size: int, seed: int) -> tuple[nn.Module, ModelInfo]:
    """A freshly initialised network for `classes` classes and square images of `image_size` pixels, and what it costs.

    Raises UsageError if the network cannot take images of that size.
    """
    timm, timm_name = import_timm(), resolve(name)
    arguments: dict[str, Any] = {"num_classes": classes}
    config = timm.get_pretrained_cfg(timm_name)
    if config is not None and config.fixed_input_size:  # ViT, DeiT, Swin: the size is part of the architecture
        arguments["img_size"] = image_size
    torch.manual_seed(seed)
    try:
        model = timm.create_model(timm_name, pretrained=False, **arguments).eval()
        macs = count_macs(model, image_size)
    except (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError) as error:
        raise UsageError(
            f"{name} cannot take images of {image_size} × {image_size} pixels: {_first_line(error)}",
            "give a larger --image-size, a multiple of 32 (224 works for every backbone)",
        ) from None
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return model, ModelInfo(name, timm_name, arguments, parameters, macs)


def count_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of one image, counted by torch's own FlopCounterMode (which counts a MAC as two FLOPs)."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # The counter does not know the CPU's fused attention; the plain formula has the same products, which it does know.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, image_size, image_size))
    return counter.get_total_flops() // 2


def restore(artifact: Artifact) -> nn.Module:
    """The network of a checkpoint with its trained weights, in eval mode. Raises BadFile if they do not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from edgebench.artifact import model_file

    timm = import_timm()
    path = model_file(artifact, ".safetensors")
    if not timm.is_model(artifact.model.timm_name):
        raise EdgebenchError(
            f"this timm ({timm.__version__}) does not know the checkpoint's model {artifact.model.timm_name!r}",
            f"install the timm it was trained with: {artifact.tools.get('timm', 'see checkpoint.json')}",
        )
    try:
        model = timm.create_model(artifact.model.timm_name, pretrained=False, **artifact.model.arguments)
        model.load_state_dict(load_file(path), strict=True)
    except (SafetensorError, RuntimeError, TypeError) as error:
        raise BadFile(f"{path} does not fit {artifact.model.timm_name}: {_first_line(error)}", "train anew") from None
    return model.eval()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
