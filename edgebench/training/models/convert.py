"""Takes the weights out of a checkpoint of torch's and runs nothing in it: `python -m …convert A.pth B.safetensors`.

A .pth file is a pickle, which names functions to call. Here each name becomes a class that does nothing, except for
those few that tensors are made of. So the settings, optimizers and objects that a training loop saves beside its
weights do no harm, and need not be installed.
"""

from __future__ import annotations

import collections
import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file

from edgebench.errors import BadFile, EdgebenchError
from edgebench.training.models.weights import WRAPPERS

MADE_OF = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): lambda *made: {},
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
}


class _Ignored:
    """In place of anything that is no tensor: takes what a pickle gives to it, and does nothing."""

    def __new__(cls, *given: object, **named: object) -> _Ignored:
        return super().__new__(cls)

    def __init__(self, *given: object, **named: object) -> None:
        pass

    def __call__(self, *given: object, **named: object) -> _Ignored:
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        pass

    def extend(self, values: object) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return MADE_OF.get((module, name), _Ignored)


# torch.load takes a module with these names instead of pickle, and finds the storages of tensors itself.
INERT = SimpleNamespace(
    __name__="inert", Unpickler=_Unpickler, load=lambda file, **options: _Unpickler(file, **options).load()
)


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a network in a file that torch.save wrote, by name.

    Of several sets of weights, an average of the weights comes first, as timm takes it. Raises BadFile.
    """
    try:
        if zipfile.is_zipfile(path) and "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records():
            raise BadFile(f"{path} is a TorchScript program, not weights", "save its state_dict() with torch.save")
        saved = torch.load(path, map_location="cpu", weights_only=False, pickle_module=INERT)
    except EdgebenchError:
        raise
    except Exception as error:  # a damaged pickle can fail anywhere
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadFile(f"{path} is damaged or was not written by torch: {reason}", "copy or download it again") from None
    found = next(_sets(saved), None)
    if not found:
        raise BadFile(f"{path} holds no weights by name", "save the network's state_dict() with torch.save")
    return {name: tensor.detach().clone().contiguous() for name, tensor in found.items()}


def _sets(saved: object) -> Iterator[dict[str, torch.Tensor]]:
    """The sets of named tensors in what was saved, the likeliest first."""
    if not isinstance(saved, Mapping):
        return
    for key in WRAPPERS:
        yield from _sets(saved.get(key))
    tensors = {name: t for name, t in saved.items() if isinstance(name, str) and isinstance(t, torch.Tensor)}
    if tensors:
        yield tensors


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        raise SystemExit(f"usage: python -m {__spec__.name if __spec__ else __name__} WEIGHTS.pth WEIGHTS.safetensors")
    source, target = map(Path, arguments)
    try:
        found = weights(source)
        save_file(found, target)
    except (EdgebenchError, OSError) as error:
        raise SystemExit(f"Error: {error}") from None
    print(f"{len(found)} tensors: {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
