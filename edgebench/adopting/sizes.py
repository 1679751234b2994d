"""The sizes of a foreign model's inputs: the user's, else sensible ones by the names and places of the dimensions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgebench.errors import BadFile, UsageError
from edgebench.records.batches import BATCH, BOUNDS
from edgebench.specs import ANY_RANK, TensorSpec

MOST_BYTES = 2 << 30  # of one request
ITEM_BYTES = 16  # at most, of an element
PIXELS, TEXT_WIDTH, TOKENS, FEATURES, SAMPLES, OTHER = 224, 320, 128, 512, 16_000, 16
STATE = re.compile(r"state|hidden|cache|past|^[hc](_?0|_?in)?$")  # of a name of an input: begins with zeros
HEIGHT_WIDTH = re.compile(r"^(h|w|.*height|.*width|image_?size|.*rows|.*cols)$")
LENGTH = re.compile(r"^(t|l|s|seq.*|.*seq|.*_len|.*length|.*tokens?|.*time.*|.*frames)$")
AUDIO = re.compile(r"^(.*samples.*|.*audio.*)$")
CHANNELS = re.compile(r"^(c|.*channels?|.*depth)$")


def read(given: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """`--shape NAME=1x3x640x640`, by the name of the input; a scalar is NAME=."""
    found: dict[str, tuple[int, ...]] = {}
    for item in given:
        name, equals, sizes = item.rpartition("=")
        if not (equals and name and re.fullmatch(r"(\d{1,10}(x\d{1,10})*)?", sizes)):
            raise UsageError(f"--shape {item!r} is not INPUT=SIZES", "for example --shape images=1x3x640x640")
        found[name] = tuple(int(size) for size in sizes.split("x")) if sizes else ()
    return found


def resolved(
    inputs: Sequence[TensorSpec], given: Mapping[str, tuple[int, ...]], usual: Mapping[str, int] | None = None
) -> tuple[TensorSpec, ...]:
    """The inputs with their sizes. A name of a dimension has the same size wherever it occurs; `usual`: a size for it
    that the file suggests.

    Raises UsageError for a shape that the model does not take or that holds nothing, BadFile for a request that is
    absurdly large.
    """
    specs = {spec.name: spec for spec in inputs}
    sizes: dict[str, int] = {}
    for name, wanted in given.items():
        if name not in specs:
            known = ", ".join(map(repr, specs)) or "none"
            raise UsageError(f"the model has no input {name!r}", f"its inputs: {known}")
        _take(specs[name], wanted, sizes)
    for spec in inputs:
        if spec.shape == (ANY_RANK,) and spec.name not in given:
            raise UsageError(
                f"the file leaves open how many dimensions {spec.name!r} has", f"--shape {spec.name}=1x3x224x224"
            )
        for axis, size in enumerate(spec.shape):
            if isinstance(size, str) and size not in sizes and spec.name not in given:
                sizes[size] = (usual or {}).get(size) or _sensible(spec, axis)
    made = tuple(
        replace(spec, sizes=given.get(spec.name) or tuple(sizes.get(size, size) for size in spec.shape))
        if spec.shape != ()
        else replace(spec, sizes=())
        for spec in inputs
    )
    for spec in made:
        if 0 in spec.sizes and not STATE.search(spec.name.lower()):  # a cache may be empty at first
            shape = "×".join(map(str, spec.sizes))
            raise UsageError(f"{spec.name!r} is {shape}: with a size of 0 it holds nothing", _other(spec, "larger"))
        if (count := math.prod(spec.sizes)) * ITEM_BYTES > MOST_BYTES:
            shape = "×".join(map(str, spec.sizes))
            raise BadFile(
                f"{spec.name!r} has {count:,} elements ({shape}): more than edgebench makes", _other(spec, "smaller")
            )
    return made


def _other(spec: TensorSpec, how: str) -> str:
    if any(isinstance(size, str) for size in spec.shape):
        return f"give {how} sizes with --shape {spec.name}=…"
    return "its size is fixed in the file: export the model again"


def _take(spec: TensorSpec, wanted: tuple[int, ...], sizes: dict[str, int]) -> None:
    """Check a given shape against the file's, and note what it makes of the names."""
    if spec.shape == (ANY_RANK,):
        return
    told = "x".join(map(str, spec.shape))
    if len(wanted) != len(spec.shape):
        raise UsageError(f"{spec.name!r} has {len(spec.shape)} dimensions, {len(wanted)} were given", f"it is {told}")
    for size, number in zip(spec.shape, wanted, strict=True):
        if isinstance(size, int) and size != number:
            raise UsageError(f"{spec.name!r} has {size} where {number} was given", f"it is {told}")
        if isinstance(size, str) and _within(size, number) != number:
            raise UsageError(f"{spec.name!r} cannot have {number} in {size!r}", f"it is {told}")
        if isinstance(size, str) and sizes.setdefault(size, number) != number:
            raise UsageError(
                f"{size!r} is {sizes[size]} in one input and {number} in {spec.name!r}", "give it one size"
            )


def _sensible(spec: TensorSpec, axis: int) -> int:
    """A size for an open dimension: by its name, else by its place; within its bounds."""
    return _within(str(spec.shape[axis]), _usual(spec, axis))


def _within(name: str, size: int) -> int:
    bounds = BOUNDS.search(name)
    return max(int(bounds[1]), min(size, int(bounds[2] or size))) if bounds else size


def _usual(spec: TensorSpec, axis: int) -> int:
    name, shape = str(spec.shape[axis]).lower(), spec.shape
    if BATCH.match(name):
        return 1
    image = len(shape) == 4
    if CHANNELS.match(name):
        return 3
    if HEIGHT_WIDTH.match(name):
        return PIXELS
    if AUDIO.match(name):
        return SAMPLES
    if LENGTH.match(name):
        return FEATURES if len(shape) == 2 and spec.dtype.startswith("float") else TOKENS  # a signal, not words
    if axis == 0 or STATE.search(spec.name.lower()):
        return 1
    if image and axis == 1 and shape[3] not in (1, 3, 4):
        return 3
    if image and spec.dtype.startswith(("float", "uint8")):
        fixed = [size for i, size in enumerate(shape) if i and isinstance(size, int) and size > 4]
        return TEXT_WIDTH if fixed else PIXELS  # a line of text has a fixed height
    if len(shape) == 2:
        return FEATURES if spec.dtype.startswith("float") else TOKENS
    return OTHER
