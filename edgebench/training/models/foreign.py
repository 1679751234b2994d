"""A network of somebody else's with its own weights, none missing and none left over; what it takes and returns."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from edgebench.errors import BadFile, UsageError
from edgebench.records import user_functions
from edgebench.records.weight_files import SAFE
from edgebench.specs import ModelInfo, Preprocessing, TensorSpec
from edgebench.training import models
from edgebench.training.models import convert, custom, outputs
from edgebench.training.models import weights as files
from edgebench.training.models.finetune import classifier_names

USUAL_CLASSES, USUAL_SIZE = 1000, 224  # a first try, where neither the weights nor the user have said more
IMAGENET = re.compile(r"in(1k|12k|21k|22k)")  # in the tag of timm's weights: what they tell apart
SHOWN = 3  # names of tensors in a message

Arrays = Mapping[str, np.ndarray]  # an example of each input


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A network in eval mode with its weights. `exact`: the file holds them under the network's own names and in its
    shapes, so that it can stay as it is."""

    network: nn.Module
    info: ModelInfo
    exact: bool


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a file of weights, by name. A pickle is read without running anything in it: see convert.py."""
    return files.read(path) if path.suffix == SAFE else convert.weights(path)


def fill(name: str, path: Path, *, image_size: int | None) -> Filled:
    """The network of this name for the classes that the weights in `path` have. Raises BadFile if a tensor is missing,
    left over, of another shape or not finite.

    `name`: as of `models.build`, but a function in a file may also take no arguments, and its network any inputs.
    """
    file, make = read(path), _maker(name, image_size)
    network, info = make(_usual_classes(name))
    prefix, raw, weights = files.unwrapped(network, info, file)
    for head in classifier_names(network):
        found, own = weights.get(f"{head}.weight"), getattr(network.get_submodule(head), "weight", None)
        if found is not None and (own is None or found.shape[0] != own.shape[0]):
            network, info = make(found.shape[0])
            prefix, raw, weights = files.unwrapped(network, info, file)
            break
    own = network.state_dict()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # only torch writes it
    left = [n for n in file if not n.startswith(prefix) and n.split(".")[0] not in files.WRAPPERS]
    _check(path, info.name, {n: t for n, t in own.items() if n in weights or n not in counters}, weights, left)
    network.load_state_dict(weights, strict=False)
    same = file.keys() == own.keys() and all(weights[name] is raw[name] for name in own)
    return Filled(network=network.eval(), info=info, exact=same and path.suffix == SAFE)


def _maker(name: str, image_size: int | None) -> Callable[[int], tuple[nn.Module, ModelInfo]]:
    if not user_functions.is_function(name):
        size = image_size or models.usual_size(name) or USUAL_SIZE
        return lambda classes: models.build(name, classes, size, 0, adapt=False)
    factory, sha256 = custom.loaded(name)
    if custom.wanted(factory, name, least=0) == 2 and image_size is None:
        raise UsageError(f"{name} takes an image size, and none was given", "--shape INPUT=1x3x224x224")

    def made(classes: int) -> tuple[nn.Module, ModelInfo]:
        torch.manual_seed(0)
        given = {"num_classes": classes, "image_size": image_size or 0}
        network = custom.called(factory, name, (classes, image_size or 0), least=0)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        return network, ModelInfo(
            name=name, timm_name="", arguments=given, parameters=parameters, macs=None, origin="file",
            file_sha256=sha256,
        )  # fmt: skip

    return made


def _usual_classes(name: str) -> int:
    """How many classes the weights of this network usually have; 0 where they end in features."""
    config = _config(models.resolve(name)) if models.is_timm(name) else None
    return USUAL_CLASSES if config is None else config.num_classes


def _config(timm_name: str) -> Any:
    return models.import_timm().get_pretrained_cfg(timm_name)


def _check(
    path: Path, name: str, own: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], left: list[str]
) -> None:
    fix = "give the --model that the file belongs to"
    fits = [key for key in own if key in found and found[key].shape == own[key].shape]
    if len(fits) < files.LEAST_MATCH * len(own):
        raise files.OtherNetwork(
            f"{path} holds the weights of another model: {len(fits)} of {len(own)} tensors of {name} match", fix
        )
    if wrong := [key for key in own if key in found and key not in fits]:
        key, shapes = wrong[0], [tuple(each[wrong[0]].shape) for each in (found, own)]
        raise BadFile(f"{path}: the tensor {key!r} has shape {shapes[0]}, that of {name} {shapes[1]}", fix)
    if missing := [key for key in own if key not in found]:
        raise BadFile(f"{path} lacks {_listed(missing)} of {name}", fix)
    if more := [*(key for key in found if key not in own), *left]:
        raise BadFile(f"{path} holds {_listed(more)}, which {name} does not have", fix)
    if bad := next((key for key in own if not torch.isfinite(found[key]).all()), None):
        raise BadFile(f"{path}: the tensor {bad!r} holds NaN or infinity", "give an undamaged file")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more tensors" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more


def save(filled: Filled, path: Path) -> None:
    """Write the weights under the network's own names."""
    save_file({name: tensor.contiguous() for name, tensor in filled.network.state_dict().items()}, path)


def tools() -> dict[str, str]:
    """The libraries that make the network what it is."""
    return {"torch": torch.__version__, "timm": models.import_timm().__version__}


def inputs(network: nn.Module) -> list[str]:
    """The names of what the network takes: the parameters of its `forward` that have no default."""
    found = inspect.signature(network.forward).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in found if each.kind in kinds and each.default is inspect.Parameter.empty]


def returned(filled: Filled, given: Arrays, single: str, batch: int | None) -> tuple[TensorSpec, ...]:
    """The outputs, from one run. A first size that is `batch` is open. Raises BadFile if it does not take `given`."""
    try:
        with torch.inference_mode():
            result = filled.network(*(torch.from_numpy(array) for array in given.values()))
    except Exception as error:  # a network may fail in any way
        shapes = ", ".join(f"{name} {'×'.join(map(str, array.shape)) or 'a scalar'}" for name, array in given.items())
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadFile(
            f"{filled.info.name} does not take {shapes}: {reason}",
            "give sizes and types that it takes: --shape, --inputs",
        ) from None
    return tuple(
        TensorSpec(name, str(t.dtype).removeprefix("torch."), _open(tuple(t.shape), batch))
        for name, t in outputs.named(result, single).items()
    )


def _open(shape: tuple[int, ...], batch: int | None) -> tuple[int | str, ...]:
    return ("batch", *shape[1:]) if batch is not None and shape[:1] == (batch,) else shape


def input_size(name: str) -> tuple[int, int, int]:
    """Channels, height and width of the images that timm's weights of this network were made for."""
    config = _config(models.resolve(name)) if models.is_timm(name) else None
    return (3, USUAL_SIZE, USUAL_SIZE) if config is None else tuple(config.input_size)


def preprocessing(weights: str, height: int, width: int) -> Preprocessing | None:
    """How timm prepares pictures for these weights of its own, at this size; None if it does so in another way than a
    Preprocessing can say."""
    config = _config(weights)
    if config.input_size[0] != 3 or config.interpolation not in ("bilinear", "bicubic"):
        return None
    squeezed = config.crop_mode == "squash"
    if config.crop_mode not in ("center", "squash") or (squeezed and config.crop_pct != 1):
        return None
    crop = {} if squeezed else {"resize": "crop", "crop": config.crop_pct}
    return Preprocessing(
        height=height, width=width, mean=tuple(config.mean), std=tuple(config.std), interpolation=config.interpolation,
        **crop,
    )  # fmt: skip


def classes(weights: str, count: int) -> tuple[str, ...]:
    """What the classes of these weights of timm's are, in words, if they are ImageNet's; else nothing."""
    config = _config(weights)
    if config.num_classes != count or not IMAGENET.search(config.tag or ""):
        return ()
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else ()
