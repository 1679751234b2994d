"""The operators that a program of torch.export may call: torch's own on tensors, and arithmetic on sizes."""

from __future__ import annotations

import importlib
import math
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from edgebench.errors import BadFile

# On sizes, as torch exports them (_SYM_OPS in torch/_export/serde/serialize.py).
ON_SIZES: dict[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in (
            "eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "floordiv", "mod", "pow", "truediv",
            "and_", "or_", "lshift", "rshift",
        )
    },
    **{f"torch.{name}": getattr(torch, name) for name in dir(torch) if name.startswith("sym_")},
    "math.trunc": math.trunc,
    "torch.ops.aten.sym_size.int": lambda tensor, dim: int(tensor.shape[dim]),
}  # fmt: skip
OPERATOR = re.compile(r"torch\.ops\.(aten|prims|quantized_decomposed)\.(\w+)\.(\w+)")
QUANTIZED = "quantized_decomposed"
FIX = "export a model of torch's own operators"


def find(path: Path, target: str) -> tuple[Callable[..., Any], set[str]]:
    """The operator of this name, and the arguments that it writes into. Raises BadFile if it is not on the list.

    A name is looked up in torch.ops alone, and what is found is an operator with a schema, never a Python function.
    """
    if call := ON_SIZES.get(target):
        return call, set()
    found = OPERATOR.fullmatch(target)
    if found is None:
        raise BadFile(f"{path} calls {target!r}, which edgebench does not run", FIX)
    if found[1] == QUANTIZED:
        importlib.import_module("torch.ao.quantization.fx._decomposed")  # declares them
    try:
        call = getattr(getattr(getattr(torch.ops, found[1]), found[2]), found[3])
    except (AttributeError, RuntimeError):
        call = None
    if not isinstance(call, torch._ops.OpOverload):
        raise BadFile(f"{path} calls {target!r}, which torch {torch.__version__} does not have", "another torch")
    arguments = call._schema.arguments
    if any(argument.name == "filename" for argument in arguments):
        raise BadFile(f"{path} calls {target!r}, which opens files", FIX)
    return call, {each.name for each in arguments if each.alias_info is not None and each.alias_info.is_write}
