"""How many images or rows a request may have: any number, or the only one that the file of the model takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from edgebench.specs import Artifact, TensorSpec

BATCH = re.compile(r"^(n|b|bs|bz|batch.*|.*batch|unk__\d+|dynamicdimension\.0|p2o\.dynamicdimension\.0)$")
BOUNDS = re.compile(r"\[(\d+)\.\.(\d*)\]$")  # behind the name of an open dimension that may not have any size


def batch(inputs: Sequence[TensorSpec]) -> int:
    """How many rows a request has: the first size of all inputs, if that is an open dimension of one name, called a
    batch or nothing. Else 1, since it may be anything: a step in time, a beam."""
    firsts = {spec.shape[0] if spec.shape else None for spec in inputs}
    if len(firsts) != 1 or not isinstance(first := firsts.pop(), str):
        return 1
    unnamed = len(inputs) == 1 and BOUNDS.sub("", first) == f"{inputs[0].name}:0"
    return inputs[0].sizes[0] if unnamed or BATCH.match(first.lower()) else 1


def only_batch(made: Artifact) -> int | None:
    """The only batch size that an artifact takes; None if a job may choose it."""
    if made.adopted:
        return made.adopted.batch
    first = made.inputs[0].shape[0]
    return first if isinstance(first, int) else None


def batch_refused(made: Artifact, wanted: int) -> tuple[str, str] | None:
    """Why a model is not run with requests of `wanted` images or rows, and what to type instead; None if it can be."""
    only = only_batch(made)
    if only is None or only == wanted:
        return None
    if (known := made.adopted) is None:
        why = f"{made.path.name} takes requests of {only}, not of {wanted}: {made.format} files have one batch size"
        return why, f"--batch {only}"
    why = f"{made.path.name} was adopted for requests of {known.batch}, not of {wanted}"
    asked = [replace(spec, sizes=(wanted, *(spec.sizes or ())[1:])) for spec in made.inputs]
    if batch(asked) != wanted:
        return why, "leave out --batch: no size of its inputs is an open batch"
    file = str(made.path / known.file) if known.file in made.files else known.file
    shapes = [("--shape", f"{spec.name}={'x'.join(map(str, spec.sizes))}") for spec in asked]
    network = ("--model", known.network) if known.network and not known.file.endswith(f":{known.network}") else ()
    parts = ("edgebench", "adopt", file, *network, *(part for shape in shapes for part in shape))
    return why, f"adopt it once more with these sizes: `{shlex.join(parts)}`"
