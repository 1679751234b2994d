"""Which networks and weights timm has; imports it even beside a torchvision that does not match torch."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch

from edgebench.errors import Unsupported, unknown_name
from edgebench.training.short_names import SHORT_NAMES, SINCE

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
