"""The user's own networks: a function in a Python file, a TOML with arguments for timm, an installed plug-in."""

from __future__ import annotations

import contextlib
import inspect
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgebench.errors import BadFile, EdgebenchError, UsageError, unknown_name
from edgebench.machine import registry
from edgebench.records import digests, toml, user_functions
from edgebench.records.weight_files import TRUST

# Arguments that edgebench sets itself, or that would make timm open files or download weights.
RESERVED = {
    "num_classes", "img_size", "in_chans", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path",
    "cache_dir", "scriptable", "exportable", "no_jit", "features_only", "device", "dtype",
}  # fmt: skip
KEYS = ("timm", "arguments")

Factory = Callable[..., Any]


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """The timm name and the arguments in a model's TOML. Raises BadFile or, for a wrong key, UsageError."""
    table = toml.read(path, example='for example: timm = "resnet18"')
    for key in table:
        if key not in KEYS:
            raise unknown_name(f"key in {path}:", key, KEYS)
    timm_name, arguments = table.get("timm"), table.get("arguments", {})
    if not isinstance(timm_name, str):
        raise BadFile(f"{path} names no timm model", 'add a line such as timm = "resnet18"')
    if not isinstance(arguments, dict):
        raise BadFile(f"{path}: arguments is not a table", "write them under a line [arguments]")
    refuse_reserved(arguments, str(path))
    for key, value in arguments.items():
        if not _is_plain(value):
            raise BadFile(f"{path}: the argument {key!r} is {value}", "give text, finite numbers, true, false or lists")
    return timm_name, arguments


def _is_plain(value: Any) -> bool:
    """Whether a checkpoint's JSON gives the same value back."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def refuse_reserved(arguments: dict[str, Any], where: str) -> None:
    """Raise BadFile for arguments of timm.create_model that a file may not set."""
    if taken := sorted(RESERVED & set(arguments)):
        raise BadFile(
            f"{where}: a file may not set the argument {taken[0]!r}",
            "leave it out: the options of `edgebench train` set classes, image size and weights",
        )


def split(name: str) -> tuple[Path, str]:
    """The file and the function of a network. Raises UsageError if one of them is missing."""
    return user_functions.split(name, "my_model.py:build")


def from_function(name: str, classes: int, image_size: int) -> tuple[nn.Module, str]:
    """The network that `FILE.py:function` returns, and the file's sha256. Executes the file.

    The function takes (num_classes, image_size), or only num_classes. Whatever goes wrong in the file raises BadFile or
    UsageError with the line.
    """
    factory, sha256 = loaded(name)
    return called(factory, name, (classes, image_size)), sha256


def loaded(name: str) -> tuple[Factory, str]:
    """The function of `FILE.py:function` and the file's sha256. Executes the file."""
    path, function = split(name)
    source = user_functions.read(path)
    return user_functions.load(path, function, source), digests.of_bytes(source)


def from_plugin(name: str, classes: int, image_size: int) -> nn.Module:
    """The network of an installed plug-in: an entry point in the group `edgebench.models`."""
    return called(registry.load_object("models", name), name, (classes, image_size))


def restore_function(name: str, sha256: str, classes: int, image_size: int) -> nn.Module:
    """Rebuild the network of a checkpoint from the file that the user trusts, never from a path in the checkpoint.

    A checkpoint may come from anyone, and rebuilding this one executes Python. So the user names the file in the
    environment variable EDGEBENCH_TRUST_MODEL, and it must equal the file that made the checkpoint byte for byte.
    Raises EdgebenchError.
    """
    trusted = os.environ.get(TRUST, "")
    wanted = name.rpartition(":")[2]
    how = f"{TRUST}=FILE.py:{wanted} edgebench …, where FILE.py is the file it was made with"
    if not trusted:
        raise EdgebenchError(
            f"the network of this checkpoint is the function {wanted!r} of a Python file ({name!r}). edgebench does "
            "not run a file just because a checkpoint names it",
            f"if you trust the file: {how}",
        )
    path, function = split(trusted)
    source = user_functions.read(path)
    if function != wanted:
        raise EdgebenchError(f"{TRUST} names the function {function!r}; the checkpoint was made with {wanted!r}", how)
    if (found := digests.of_bytes(source)) != sha256:
        raise EdgebenchError(
            f"{path} is not the file that the checkpoint was made with: its sha256 is {found[:12]}…, the "
            f"checkpoint's is {sha256[:12]}…",
            "restore the file as it was, or make the checkpoint again",
        )
    return called(user_functions.load(path, function, source), trusted, (classes, image_size), least=0)


def check_output(model: nn.Module, name: str, classes: int, image_size: int) -> None:
    """Raise UsageError unless two images give logits of shape (2, classes)."""
    try:
        with torch.no_grad():
            out = model.eval()(torch.zeros(2, 3, image_size, image_size))
    except Exception as error:  # a user's network may fail in any way
        shape, why = (2, 3, image_size, image_size), _told(error, name)
        raise UsageError(
            f"{name} cannot take images of shape {shape}: {why}",
            "correct the network, or give another --image-size",
        ) from None
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if shape != (2, classes):
        raise UsageError(
            f"{name} answers two images with {shape}, not with logits of shape (2, {classes})",
            "end the network with a linear layer of num_classes outputs, and return only its output",
        )


def wanted(factory: Factory, name: str, most: int = 2, least: int = 1) -> int:
    """How many of (num_classes, image_size) the function takes. Raises UsageError unless it is `least` to `most`."""
    with contextlib.suppress(ValueError, TypeError):
        signature = inspect.signature(factory)
        for count in range(most, least - 1, -1):
            with contextlib.suppress(TypeError):
                signature.bind(*[0] * count)
                return count
    nothing = ", nor with nothing" if least == 0 else ""
    raise UsageError(
        f"{name} cannot be called with (num_classes, image_size), nor with (num_classes){nothing}",
        "def build(num_classes, image_size): … return a torch.nn.Module",
    )


def called(factory: Factory, name: str, given: tuple[int, int], *, least: int = 1) -> nn.Module:
    """The network that the function makes, with as much of `given`, at least `least`, as it takes."""
    count = wanted(factory, name, len(given), least)
    try:
        model = factory(*given[:count])
    except (Exception, SystemExit) as error:  # the user's function can raise anything
        raise UsageError(f"{name} fails: {_told(error, name)}", "correct it") from None
    if not isinstance(model, nn.Module):
        raise UsageError(f"{name} returns {type(model).__name__}, not a torch.nn.Module", "return the network itself")
    return model


def _told(error: BaseException, name: str) -> str:
    """The error in one line, with that of the user's file, if the network is of one."""
    return user_functions.told(error, split(name)[0] if user_functions.is_function(name) else None)
