"""Weights from elsewhere and the network that they belong to become the files of a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.adopting import inputs, linking, sizes
from edgebench.adopting.named import TIMM, is_named, no_weights
from edgebench.errors import UsageError
from edgebench.records import user_functions
from edgebench.records.weight_files import TRUST
from edgebench.specs import Foreign, ModelInfo, Preprocessing, TensorSpec

if TYPE_CHECKING:
    from edgebench.training.models import TimmWeights
    from edgebench.training.models.foreign import Filled

INPUT, LOGITS, FEATURES, OUTPUT = "input", "logits", "features", "output"

Told = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ForeignModel:
    """A model from elsewhere, whose files lie in the artifact's folder, and what is known of it.

    `file`: what the user named. `network`, `classes`, `licence`: as in Adopted.
    """

    foreign: Foreign
    model: ModelInfo
    file: str
    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] = field(default=())
    licence: str = ""
    network: str = ""


def found(
    source: str, network: str, shapes: Mapping[str, tuple[int, ...]], given: Sequence[Path], out: Path, tell: Told
) -> ForeignModel:
    """Put the weights of `timm:NAME`, or those of a file for the network `network`, into the folder `out`.

    Raises EdgebenchError, with the fix, if they cannot be had or do not fit.
    """
    from edgebench.training.models import foreign

    if is_named(source):
        path, network, known = _pretrained(source.removeprefix(TIMM), tell)
        told = f"{TIMM}{network}"
    else:
        path, told = Path(source), Path(source).name
        known = _stated(network, path)
        network = known.name or network
    tell("reading the weights")
    example = inputs.arrays(given[0]) if given else None
    if user_functions.is_function(network):
        os.environ[TRUST] = network  # the user named it, so what opens the checkpoint may run it too
    sizes_of = {name: array.shape for name, array in example.items()} if example else dict(shapes)
    image = next((shape for shape in sizes_of.values() if len(shape) == 4), None)
    filled = foreign.fill(network, path, image_size=image[-1] if image else None)
    ours = not user_functions.is_function(network)
    if ours and INPUT not in sizes_of:
        sizes_of[INPUT] = (1, *foreign.input_size(network))
    specs = _inputs([INPUT] if ours else foreign.inputs(filled.network), sizes_of, example)
    filled_arrays = {spec.name: np.zeros(spec.sizes, spec.dtype) for spec in specs}
    batch = specs[0].sizes[0] if specs and specs[0].shape[:1] == ("batch",) else None
    single = (LOGITS if filled.info.arguments.get("num_classes") else FEATURES) if ours else OUTPUT
    outputs = foreign.returned(filled, filled_arrays, single, batch)
    name = _place(filled, path, told, out)
    return ForeignModel(
        foreign=Foreign(
            inputs=tuple(TensorSpec(spec.name, spec.dtype, spec.shape) for spec in specs), outputs=outputs,
            files=(name,), precision="fp32", parameters=filled.info.parameters, tools=foreign.tools(),
        ),
        model=filled.info, file=told, network=network, licence=known.licence,
        preprocessing=foreign.preprocessing(known.name, *specs[0].sizes[2:]) if known.name else None,
        classes=foreign.classes(known.name, filled.info.arguments["num_classes"]) if known.name else (),
    )  # fmt: skip


def _pretrained(name: str, tell: Told) -> tuple[Path, str, TimmWeights]:
    """timm's own weights of a network, its name, and which they are: of a file of the user's, as `train --init` finds
    it, the Hugging Face cache, or the hub."""
    from edgebench.records.recipe import TrainConfig
    from edgebench.training import beginnings, models

    def on_bytes(what: str, done: int, total: int) -> None:
        tell(f"fetching {what}: {done / 2**20:.0f}" + (f" of {total / 2**20:.0f}" if total else "") + " MiB")

    if not models.is_timm(name) or name.endswith(".toml"):
        raise UsageError(f"{name!r} is not a network of timm's", "`edgebench models --all` lists them")
    resolved = models.resolve(name)
    known = models.timm_weights(resolved)
    began = beginnings.find(TrainConfig(model=name, init="auto"), on_bytes=on_bytes)
    if not began.learned:
        raise no_weights(known.name or name, began.why)
    if not began.weights:  # a file whose name does not say which of timm's weights it holds
        return Path(began.path), resolved, models.TimmWeights()
    return Path(began.path), began.weights, models.timm_weights(began.weights)


def _stated(network: str, path: Path) -> TimmWeights:
    """Which of timm's weights these are: those that the network's name says with a tag, or the file's, or unknown."""
    from edgebench.training import models

    target = models.resolve(network)
    if models.is_timm(network) and not network.endswith(".toml"):
        for name in (target, path.stem):
            known = models.timm_weights(name) if "." in name else models.TimmWeights()
            if known.name == name and name.split(".")[0] == target.split(".")[0]:
                return known
    return models.TimmWeights()


def _inputs(
    names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], example: Mapping[str, np.ndarray] | None
) -> tuple[TensorSpec, ...]:
    """The inputs with their sizes; the first size of a single image is a batch."""
    for name in names:
        if name not in shapes:
            raise UsageError(
                f"nothing says which sizes the input {name!r} has",
                f"--shape {name}=1x3x224x224, or --inputs FILE.npz for other types than float32",
            )
    specs = []
    for name in names:
        shape = tuple(shapes[name])
        opened = ("batch", *shape[1:]) if len(names) == 1 and len(shape) == 4 else shape
        specs.append(TensorSpec(name, str(example[name].dtype) if example else "float32", opened))
    inputs.refuse_types(specs)
    return sizes.resolved(specs, {name: tuple(shape) for name, shape in shapes.items()})


def _place(filled: Filled, path: Path, told: str, out: Path) -> str:
    """The name of the file with the weights in `out`: the user's own where its tensors have the network's names."""
    from edgebench.training.models import foreign

    if not filled.exact:
        foreign.save(filled, out / "weights.safetensors")
        return "weights.safetensors"
    name = f"{told.removeprefix(TIMM)}.safetensors" if is_named(told) else path.name
    linking.place(path, out / name)
    return name
