"""Networks: builds one by its name or from the user's file, and restores one from a checkpoint."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.machine import registry
from edgebench.records import user_functions
from edgebench.specs import Artifact, ModelInfo
from edgebench.training.models import cost, custom, small_images
from edgebench.training.models.finetune import (
    classifier_names,
    freeze,
    hasten_statistics,
    keep_frozen,
    linear_head,
    parameter_groups,
)
from edgebench.training.models.names import (
    TimmWeights,
    import_timm,
    timm_name_of,
    timm_weights,
)
from edgebench.training.models.outputs import named as named_outputs
from edgebench.training.models.small_images import Adaptation, takes_size
from edgebench.training.models.weights import (
    OtherNetwork,
    WeightsReport,
    check_weights_file,
    input_statistics,
    load_weights,
)
from edgebench.training.short_names import SHORT_NAMES

__all__ = [
    "OtherNetwork", "TimmWeights", "WeightsReport", "build", "check_weights_file",
    "classifier_names", "freeze", "hasten_statistics", "import_timm", "input_statistics", "is_timm", "keep_frozen",
    "linear_head", "load_weights", "named_outputs", "parameter_groups", "resolve", "restore", "takes_size",
    "timm_weights", "usual_size",
]  # fmt: skip


COMMON_SIZES = (224, 256, 240, 288, 384)  # one of them is tried after another where an image size fails


def resolve(name: str) -> str:
    """The timm name for `name`, or `name` itself if it is a plug-in's or a function's in a file. Executes nothing.

    Raises UsageError, which offers the closest names, or BadFile if nothing has this name.
    """
    if user_functions.is_function(name):
        path, _ = custom.split(name)
        if not path.is_file():
            raise BadFile(f"{path} does not exist", "check the path: it is relative to the current folder")
        return name
    if name.endswith(".toml"):
        return timm_name_of(custom.read_toml(Path(name))[0])
    return name if _is_plugin(name) else timm_name_of(name, tuple(registry.names("models")))


def is_timm(name: str) -> bool:
    """Whether a name, or the TOML that it names, means a network of timm's. An unknown name counts as timm's."""
    return not user_functions.is_function(name) and not _is_plugin(name)


def usual_size(name: str) -> int | None:
    """The image size, in pixels, that timm's weights of this network were made for; None if it is not timm's."""
    config = import_timm().get_pretrained_cfg(resolve(name)) if is_timm(name) else None
    return config.input_size[-1] if config is not None else None


def _is_plugin(name: str) -> bool:
    """timm's names come first: a plug-in cannot silently take one over."""
    return name in registry.names("models") and name not in SHORT_NAMES and not _timm_has(name)


def _timm_has(name: str) -> bool:
    return import_timm().is_model(name.split(".")[0])


def build(name: str, classes: int, image_size: int, seed: int, *, adapt: bool = True) -> tuple[nn.Module, ModelInfo]:
    """A network for `classes` classes and square images of `image_size` pixels, in eval mode, and its description.

    `name`: a short name, a timm name, the path of a TOML, a plug-in's name, or `FILE.py:function`, which executes that
    file. With `adapt`, timm's networks are adapted to small images; `ModelInfo.adapted` says how. Raises UsageError if
    the network cannot take images of this size. Its weights are random: `training.beginnings` brings learned ones.
    """
    target = resolve(name)
    if is_timm(name):
        extra = custom.read_toml(Path(name))[1] if name.endswith(".toml") else {}
        return _build_timm(name, target, extra, classes, image_size, seed, adapt)
    torch.manual_seed(seed)
    given = {"num_classes": classes, "image_size": image_size}
    if user_functions.is_function(name):
        (model, sha256), origin = custom.from_function(name, classes, image_size), "file"
    else:
        model, sha256, origin = custom.from_plugin(name, classes, image_size), "", "plugin"
    custom.check_output(model, name, classes, image_size)
    return model, _info(model, image_size, name=name, timm_name="", arguments=given, origin=origin, file_sha256=sha256)


def _build_timm(
    name: str, timm_name: str, extra: dict[str, Any], classes: int, image_size: int, seed: int, adapt: bool
) -> tuple[nn.Module, ModelInfo]:
    def sized(image_size: int) -> tuple[nn.Module, ModelInfo]:
        *adapted, plain = small_images.adaptations(timm_name, {**extra, "num_classes": classes}, image_size)
        for plan in adapted if adapt else ():
            with contextlib.suppress(Exception):  # a network that cannot be adapted is built unchanged
                return _made(name, timm_name, plan, image_size, seed)
        return _made(name, timm_name, plain, image_size, seed)

    try:
        return sized(image_size)
    except Exception as error:  # unusual arguments can raise anything
        size = f"{image_size} × {image_size} pixels"
        if extra:
            what = f"{timm_name} with the arguments of {name} does not work for images of {size}"
            raise UsageError(f"{what}: {_first_line(error)}", f"change the arguments in {name}") from None
        if not isinstance(error, (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError)):
            raise
        for other in dict.fromkeys((usual_size(name) or 224, *COMMON_SIZES)):
            with contextlib.suppress(Exception):
                if other != image_size and sized(other):
                    fix = f"--image-size {other}, which works"
                    break
        else:
            fix = f"another --model: this one takes none of {', '.join(map(str, COMMON_SIZES))} pixels either"
        raise UsageError(f"{name} cannot take images of {size}: {_first_line(error)}", fix) from None


def _made(name: str, timm_name: str, plan: Adaptation, image_size: int, seed: int) -> tuple[nn.Module, ModelInfo]:
    torch.manual_seed(seed)
    model = import_timm().create_model(timm_name, pretrained=False, **plan.arguments).eval()
    small_images.set_strides(model, plan.strides)
    fields = {"arguments": plan.arguments, "strides": plan.strides, "adapted": plan.notes}
    return model, _info(model, image_size, name=name, timm_name=timm_name, **fields)


def _info(model: nn.Module, image_size: int, **fields: Any) -> ModelInfo:
    counted = cost.count(model, image_size)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return ModelInfo(parameters=parameters, macs=counted.macs, activations=counted.activations, **fields)


def restore(artifact: Artifact) -> nn.Module:
    """The network of a checkpoint with its weights, in eval mode. Raises BadFile if they do not fit.

    Nothing that the checkpoint names is executed. If the network is a function in a user's file, the user names that
    file in EDGEBENCH_TRUST_MODEL, and its sha256 must be the recorded one: see `custom.restore_function`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from edgebench.artifact import model_file

    path = model_file(artifact, ".safetensors")
    try:
        model = _rebuild(artifact)
        model.load_state_dict(load_file(path), strict=True)
    except (SafetensorError, RuntimeError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise BadFile(
            f"{path} does not fit {artifact.model.name}: {_first_line(error)}", "make the checkpoint again"
        ) from None
    return model.eval()


def _rebuild(artifact: Artifact) -> nn.Module:
    info, timm = artifact.model, import_timm()
    if info.origin != "timm":
        classes, image_size = (info.arguments.get(key) for key in ("num_classes", "image_size"))
        if not (type(classes) is int and type(image_size) is int):
            raise BadFile(
                f"{artifact.path}: the model's arguments are not num_classes and image_size",
                "make the checkpoint again",
            )
        if info.origin == "file":
            name = artifact.adopted.network if artifact.adopted else info.name
            return custom.restore_function(name, info.file_sha256, classes, image_size)
        return custom.from_plugin(info.name, classes, image_size)
    if not _timm_has(info.timm_name):
        raise EdgebenchError(
            f"this timm ({timm.__version__}) does not know the checkpoint's model {info.timm_name!r}",
            f"install the timm it was made with: {artifact.tools.get('timm', 'see checkpoint.json')}",
        )
    ours = {"num_classes", "img_size"}
    custom.refuse_reserved({k: v for k, v in info.arguments.items() if k not in ours}, str(artifact.path))
    model = timm.create_model(info.timm_name, pretrained=False, **info.arguments)
    small_images.set_strides(model, info.strides)
    return model


def _first_line(error: BaseException) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return " ".join(
        line.strip() for line in lines[: 1 + lines[0].endswith(":")]
    )  # torch's first line may only announce the next
