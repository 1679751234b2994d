"""The inputs on which an adopted model is quantized, and those on which its answers are compared afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench import artifact as folder
from edgebench.errors import Unsupported, UsageError
from edgebench.exporting.quantize import FEWEST
from edgebench.machine import registry
from edgebench.specs import Artifact, SessionOptions

if TYPE_CHECKING:
    import numpy as np

MOST_HELD_OUT = 32  # requests; a fifth of the calibration inputs if that is less

Request = Mapping[str, "np.ndarray"]


@dataclass(frozen=True, kw_only=True)
class CalibrationInputs:
    """`requests` tell the ranges of the activations. `held_out`: those on which the answers are compared, given by
    `head`, the model as it was adopted; empty if they are the requests that the artifact has, which are others.
    `apart`: whether none of these is among `requests`."""

    requests: tuple[Request, ...]
    held_out: tuple[Request, ...] = ()
    apart: bool = True
    head: Artifact


def inputs(source: Artifact, head: Artifact, given: Sequence[Request]) -> CalibrationInputs:
    """Divide the user's inputs, by default those that the model was adopted with. Raises UsageError if there are none,
    too few, or of other sizes than the model's."""
    own = folder.read_examples(source).requests if source.adopted.inputs != "synthetic" else ()
    if not (given or own):
        raise UsageError(
            f"int8 needs inputs of your own: those of {source.path.name} were generated",
            f"--calibration FILE.npz …, at least {FEWEST}: an array for each input, by its name",
        )
    for request in given:
        for spec in source.inputs:
            if request[spec.name].shape != spec.sizes:
                raise UsageError(
                    f"the calibration inputs have {spec.name!r} of {request[spec.name].shape}, the model was adopted "
                    f"with {spec.sizes}",
                    "adopt it once more with these sizes: --shape, or --inputs",
                )
    if (count := len(given or own)) < FEWEST:
        raise UsageError(f"{count} calibration inputs are too few", f"give at least {FEWEST}, better 300")
    if given and own and not {*map(_bytes, own)} & {*map(_bytes, given)}:
        return CalibrationInputs(requests=tuple(given), head=head)
    requests = tuple(given or own)
    held = min(max(2, count // 5), MOST_HELD_OUT, count - FEWEST)
    if held < 1:
        return CalibrationInputs(requests=requests, held_out=requests, apart=False, head=head)
    places = {i * count // held for i in range(held)}
    return CalibrationInputs(
        requests=tuple(one for i, one in enumerate(requests) if i not in places),
        held_out=tuple(requests[i] for i in sorted(places)), head=head,
    )  # fmt: skip


def adopted(made: Artifact, used: CalibrationInputs) -> Artifact:
    """The artifact with what its record says of the requests."""
    known = replace(made.adopted, calibrated=len(used.requests), held_out=used.apart)
    if used.held_out:
        kind = "given" if known.inputs == "synthetic" else known.inputs
        seed = None if kind == "given" else known.seed
        known = replace(known, inputs=kind, seed=seed, values={}, requests=len(used.held_out))
    return replace(made, adopted=known)


def answers(head: Artifact, requests: Sequence[Request]) -> list[dict[str, np.ndarray]]:
    """What the model as it was adopted answers to these, on its reference runtime."""
    stated = registry.all_facts("runtimes")
    name = next((name for name, one in stated.items() if head.format in one.adopts), registry.native(head.format))
    options = SessionOptions(precision=head.precision, batch=head.adopted.batch)
    with registry.load("runtimes", name).open(head, "cpu", options) as session:
        return [session.run(dict(request)) for request in requests]


def write(path: Path, source: Artifact, requests: Sequence[Request]) -> None:
    """Keep requests in a file, by position, since names of inputs may be anything."""
    import numpy as np

    arrays = {f"{i}-{j}": each[s.name] for i, each in enumerate(requests) for j, s in enumerate(source.inputs)}
    np.savez(path, **arrays)


def read(path: Path, source: Artifact) -> tuple[Request, ...]:
    import numpy as np

    with np.load(path, allow_pickle=False) as data:
        count = len(data.files) // len(source.inputs)
        return tuple({s.name: data[f"{i}-{j}"] for j, s in enumerate(source.inputs)} for i in range(count))


def _bytes(request: Request) -> tuple[bytes, ...]:
    return tuple(request[name].tobytes() for name in sorted(request))


def refuse_accuracy_drop(source: Artifact, drop: float | None) -> None:
    if source.adopted and drop is not None:
        raise Unsupported(
            "--accuracy-drop counts right answers to validation images, which an adopted model does not have",
            "leave it out; the bounds of int8 hold in any case",
        )
