"""The short names of timm's networks, and importing timm even beside a torchvision that does not match torch."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch

from edgebench.errors import Unsupported, unknown_name

# The short names that a user types, and the timm model of each. Of a family with several sizes, the smallest for which
# timm has ImageNet weights.
GROUPS = {
    "the seven backbones": {
        "convnext_v2_tiny": "convnextv2_tiny",
        "efficientnetv2_s": "tf_efficientnetv2_s",
        "mobilenetv3": "mobilenetv3_large_100",
        "resnet50": "resnet50",
        "vit_base": "vit_base_patch16_224",
        "deit_small": "deit_small_patch16_224",
        "swin_tiny": "swin_tiny_patch4_window7_224",
    },
    "hybrids of convolution and attention": {
        "coatnet": "coatnet_nano_rw_224",
        "caformer": "caformer_s18",
        "fastvit": "fastvit_t8",
        "efficientvit": "efficientvit_b0",
        "mobilenetv4_hybrid": "mobilenetv4_hybrid_medium",
        "pvt": "pvt_v2_b0",
    },
    "made for the edge": {
        "mobilenetv4": "mobilenetv4_conv_small",
        "repvgg": "repvgg_a0",
        "resnet_mini": "test_resnet",  # 0.37 M parameters; made to test timm, and good at small images
        "poolformer": "poolformer_s12",
        "cpubone": "cpubone_nano",
    },
    "vision encoders of VLMs and VLAs": {
        "siglip": "vit_base_patch16_siglip_gap_224.webli",
        "siglip2": "vit_base_patch16_siglip_gap_224.v2_webli",
        "dinov2": "vit_small_patch14_dinov2",
        "dinov3": "vit_small_patch16_dinov3",
        "eupe": "vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m",
        "mobileclip": "fastvit_mci0",  # timm's name for the image encoder of MobileCLIP-S0
        "mobileclip2": "fastvit_mci0.apple_mclip2_dfndr2b",
        "pe": "vit_pe_core_tiny_patch16_384",
    },
}
SHORT_NAMES = {short: timm_name for group in GROUPS.values() for short, timm_name in group.items()}
# The first timm that has the network and its weights, for what the oldest timm that we take may lack.
SINCE = {
    "siglip": "1.0.15", "siglip2": "1.0.15", "pe": "1.0.17", "dinov3": "1.0.20", "mobileclip2": "1.0.20",
    "eupe": "1.0.28", "cpubone": "1.0.29",
}  # fmt: skip

_LIBRARIES: list[torch.library.Library] = []  # an operator lives only as long as the Library that declared it


@cache
def import_timm() -> Any:
    """Import timm even beside a torchvision that does not match torch.

    A CPU-only or Jetson torch cannot load the compiled part of PyPI's CUDA-built torchvision, and `import torchvision`
    then fails with `operator torchvision::nms does not exist`. No classifier needs that operator. Once the two
    operators are declared, torchvision's pure Python part imports, and timm uses nothing else.
    """
    try:
        return _timm()
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for module in [m for m in sys.modules if m.split(".")[0] in ("torchvision", "timm")]:
            del sys.modules[module]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        return _timm()


def _timm() -> Any:
    """timm, without what its import loads for nothing: wandb takes a second, and torch's compiler three.

    timm imports wandb if it is installed. It marks a part of NaFlexViT as not to be compiled, which loads the compiler
    unless it is marked as torch marks its own functions. torchvision imports the compiler for one function, which it
    calls where it compiles an operator of detectors (torchvision 0.28): it now loads it there.
    """
    compiler = "torch._dynamo.utils"
    stand_ins = {"wandb": None, compiler: ModuleType(compiler)}
    mine = {name: module for name, module in stand_ins.items() if name not in sys.modules}

    def real(name: str) -> Any:
        if name.startswith("__"):  # whoever looks through all modules, as inspect does, needs none of it
            raise AttributeError(name)
        if sys.modules.get(compiler) is stand_ins[compiler]:
            del sys.modules[compiler]
        return getattr(importlib.import_module(compiler), name)

    stand_ins[compiler].is_compile_supported = lambda device: real("is_compile_supported")(device)
    stand_ins[compiler].__getattr__ = real  # whoever needs more of it, as the compiler itself, gets the real one
    disable = torch.compiler.disable
    sys.modules.update(mine)
    torch.compiler.disable = getattr(torch, "_disable_dynamo", disable)  # which loads the compiler at the first call
    try:
        import timm

        return timm
    finally:
        torch.compiler.disable = disable
        for name, module in mine.items():
            if sys.modules.get(name, module) is module:
                sys.modules.pop(name, None)


def timm_name_of(name: str, others: tuple[str, ...] = ()) -> str:
    """The timm name for a short name or a timm name. Raises UsageError, which offers the closest names.

    `others`: further names to offer.
    """
    timm = import_timm()
    timm_name = SHORT_NAMES.get(name, name)
    known = timm.is_model(timm_name.split(".")[0])
    try:
        timm.get_pretrained_cfg(timm_name)
    except RuntimeError:  # timm has the network, but no weights with the tag after the dot
        known = False
    if not known and name in SINCE:
        raise Unsupported(
            f"{name} is {timm_name} in timm, and the installed timm {timm.__version__} does not have it",
            f"pip install 'timm>={SINCE[name]}'",
        )
    if not known:
        raise unknown_name(
            "model", name, {*SHORT_NAMES, *others, *timm.list_models()}, where="`edgebench models --all`"
        )
    return timm_name


@dataclass(frozen=True, kw_only=True)
class TimmWeights:
    """Weights that timm knows. `name`: with their tag; `repository`: on the Hugging Face hub. "" is unknown."""

    name: str = ""
    repository: str = ""
    licence: str = ""


def timm_weights(timm_name: str) -> TimmWeights:
    """The weights that a timm name means, with or without a tag. All fields are empty if timm knows none."""
    timm = import_timm()
    try:
        config = timm.get_pretrained_cfg(timm_name) if timm.is_model(timm_name.split(".")[0]) else None
    except RuntimeError:  # timm has the network, but no weights with this tag
        config = None
    if config is None or not config.tag:
        return TimmWeights()
    return TimmWeights(
        name=f"{config.architecture}.{config.tag}",
        repository=config.hf_hub_id or "",
        licence=getattr(config, "license", None) or "",  # timm says it since 1.0.21
    )
