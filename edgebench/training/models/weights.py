"""Loads a network's first weights from a safetensors file, and says which of them fitted."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edgebench.errors import BadFile
from edgebench.records.weight_files import PICKLED, SAFE
from edgebench.specs import ModelInfo
from edgebench.training.models.finetune import classifier_names
from edgebench.training.models.names import import_timm

# If a smaller share of the network's tensors (without the head) is in the file, it belongs to another network. The
# share is high because related networks have much in common: EfficientNet-B0 finds 79 % of its tensors in Lite0's file,
# and its squeeze-and-excitation layers would stay untrained.
LEAST_MATCH = 0.9
CONVERTER = "edgebench.training.models.convert"
# What trainings put before a network's names, and the keys under which they keep its weights; an average comes first.
WRAPPERS = (
    "state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model", "module", "_orig_mod", "backbone",
    "net", "network",
)  # fmt: skip


class OtherNetwork(BadFile):
    """The file holds the weights of another network."""


@dataclass(frozen=True, kw_only=True)
class WeightsReport:
    """What was done with each tensor. Names are the network's; in `unused` they are the file's.

    `matched` includes those `resampled` to another patch size, image size or window. `head`: the classifier, new
    because the file has another number of classes. `mismatched` have another shape in the file, `missing` are not in
    it; both keep their initial values.
    """

    path: str
    tensors: int
    matched: tuple[str, ...]
    resampled: tuple[str, ...]
    head: tuple[str, ...]
    mismatched: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def line(self) -> str:
        """One line for a terminal."""
        parts = [f"{len(self.matched)} of {self.tensors} tensors"]
        if self.resampled:
            parts.append(f"{len(self.resampled)} of them resampled")
        if self.head:
            parts.append("the head is new")
        for names, what in (
            (self.mismatched, "of another shape"), (self.missing, "missing in the file"), (self.unused, "unused"),
        ):  # fmt: skip
            if names:
                parts.append(f"{len(names)} {what}")
        return ", ".join(parts)

    @property
    def text(self) -> str:
        """The line, then every tensor that did not fit."""
        lines = [self.line]
        for what in ("mismatched", "missing", "unused"):
            if names := getattr(self, what):
                lines += [f"  {what}:", *(f"    {name}" for name in names)]
        return "\n".join(lines)


def load_weights(model: nn.Module, info: ModelInfo, path: Path) -> WeightsReport:
    """Load the tensors of a safetensors file that fit by name and shape, after timm's own renaming and resampling.

    Patch embeddings, position embeddings and tables of relative positions are resampled where timm knows how. A
    classifier for another number of classes keeps its initial values. Raises BadFile, and leaves the model as it was,
    if the file cannot be read, has numbers that are not finite, or belongs to another network.
    """
    file, own = read(path), model.state_dict()
    prefix, raw, weights = unwrapped(model, info, file)
    heads = classifier_names(model)
    in_head = {name for name in own if any(name.startswith(f"{head}.") for head in heads)}
    fits = {name: weights[name] for name in own if name in weights and weights[name].shape == own[name].shape}
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # only torch writes it
    matched = [name for name in fits if name not in counters]
    wanted = [name for name in own if name not in in_head | counters]
    body = [name for name in matched if name not in in_head]
    if len(body) < LEAST_MATCH * len(wanted):
        raise OtherNetwork(
            f"{path} holds the weights of another model: {len(body)} of {len(wanted)} tensors of {info.name} match",
            "give a file for this network, or the --model that the file belongs to",
        )
    if bad := next((name for name in fits if not torch.isfinite(fits[name]).all()), None):
        raise BadFile(f"{path}: the tensor {bad!r} holds NaN or infinity", "give an undamaged file")
    model.load_state_dict(fits, strict=False)
    others = [name for name in own if name not in fits and name not in counters]
    return WeightsReport(
        path=str(path),
        tensors=len(own) - len(counters),
        matched=tuple(matched),
        resampled=tuple(name for name in matched if name in raw and raw[name].shape != own[name].shape),
        head=tuple(name for name in others if name in in_head),
        mismatched=tuple(name for name in others if name in weights and name not in in_head),
        missing=tuple(name for name in others if name not in weights and name not in in_head),
        unused=(
            *(name for name in weights if name not in own),
            *(name for name in file if not name.startswith(prefix)),
        ),
    )


def check_weights_file(path: Path) -> None:
    """Raise BadFile unless this is a file that is called .safetensors: no folder, and no pickle."""
    if not path.is_file():
        raise BadFile(
            f"{path} does not exist" if not path.exists() else f"{path} is not a file",
            "check the path: it is relative to the current folder",
        )
    if path.suffix != SAFE:
        if path.suffix not in PICKLED:
            raise BadFile(f"{path} is not a .safetensors file", "name a .safetensors file, or one of torch's (.pth)")
        files = shlex.join([str(path), str(path.with_suffix(SAFE))])
        raise BadFile(
            f"{path} is a pickle, which can run any code when it is read",
            f"take the weights out of it, which runs nothing: python -m {CONVERTER} {files}",
        )


def read(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_weights_file(path)
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadFile(f"{path} is damaged or not a safetensors file: {reason}", "copy or download it again") from None


def unwrapped(
    model: nn.Module, info: ModelInfo, file: dict[str, torch.Tensor]
) -> tuple[str, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The beginning of the file's names that a network's follow, made of WRAPPERS such as "state_dict.module."; the
    tensors under it; and what `_filtered` makes of them. Of several, the one under which most tensors fit."""
    own = model.state_dict().keys()
    found = []
    for prefix in sorted(_prefixes(file), key=lambda prefix: ("ema" not in prefix, len(prefix)) if prefix else ()):
        part = {name.removeprefix(prefix): t for name, t in file.items() if name.startswith(prefix)}
        weights = _filtered(model, info, part)
        found.append((prefix, part, weights))
    return max(found, key=lambda each: len(own & each[2].keys()))  # of equal ones the first


def _prefixes(names: Iterable[str]) -> set[str]:
    """The wrappers that names begin with: "", "model.", "model.module." and so on."""
    found = {""}
    for name in names:
        prefix = ""
        for word in name.split(".")[:-1]:
            if word not in WRAPPERS:
                break
            prefix += f"{word}."
            found.add(prefix)
    return found


def _filtered(model: nn.Module, info: ModelInfo, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights with the model's names and, if timm has a filter for it, in the model's shapes."""
    if info.origin != "timm":
        return weights
    import_timm()
    filter_fn = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if filter_fn is None:
        return weights
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch warns about indexing in timm's interpolation
            return filter_fn(dict(weights), model)
    except Exception:  # a file of another network: the number of matching tensors gives the better message
        return weights


def input_statistics(info: ModelInfo, weights: str = "") -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation, in shares of 255, that learned weights of this network were trained with; None if unknown.

    `weights`: which of timm's they are, by default those that timm prefers. A fine-tuned network needs these, not those
    of the new data. They are not always ImageNet's: the tf_ networks have 0.5 and 0.5, MobileCLIP has 0 and 1.
    """
    name = weights or info.timm_name
    config = import_timm().get_pretrained_cfg(name) if name else None
    return (tuple(config.mean), tuple(config.std)) if config is not None else None
