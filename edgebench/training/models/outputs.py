"""What a network returns, as named tensors: one, several in a tuple or list, by key, and nested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from edgebench.errors import BadFile


def named(result: Any, single: str) -> dict[str, torch.Tensor]:
    """The tensors in their order. A tensor alone is called `single`; one in a container by its way there: "boxes_0".

    Raises BadFile for what is neither a tensor nor a container of tensors.
    """
    if isinstance(result, torch.Tensor):
        return {single: result}
    return dict(_inside(result, ""))


def _inside(result: Any, at: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(result, torch.Tensor):
        yield at, result
    elif isinstance(result, Mapping):
        for key, value in result.items():
            yield from _inside(value, f"{at}_{key}" if at else str(key))
    elif isinstance(result, (tuple, list)):
        for i, value in enumerate(result):
            yield from _inside(value, f"{at or 'output'}_{i}")
    else:
        what = "nothing (None)" if result is None else f"a {type(result).__name__}"
        raise BadFile(
            f"the output {at or 'output'!r} is {what}, not a tensor", "return only tensors, in tuples, lists or dicts"
        )
