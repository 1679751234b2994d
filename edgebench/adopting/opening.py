"""`python -m edgebench.adopting.opening PIPE EXCHANGE`: opens a foreign model in a process of its own (see opener.py).

A library may crash on a file that nobody here has seen, or take all memory. The process that asks does neither. The
folder for the model's files comes through the pipe, as soon as the question lies in the folder EXCHANGE.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebench import artifact as folder
from edgebench.adopting import inputs, linking, networks, preprocessing, sizes
from edgebench.adopting.asked import Adoption, AdoptionAnswer
from edgebench.adopting.named import is_named
from edgebench.adopting.networks import ForeignModel
from edgebench.adopting.opener import ANSWER, ASKED
from edgebench.adopting.told import inputs_told
from edgebench.artifact import Examples
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.machine import registry
from edgebench.machine.children import end_with_parent, teller
from edgebench.measuring import agreement
from edgebench.records import jsonio
from edgebench.records.adopted import Adopted
from edgebench.records.batches import batch
from edgebench.records.preprocessing import Preprocessing
from edgebench.records.workspace import now
from edgebench.specs import Artifact, Foreign, ModelInfo, SessionOptions, TensorSpec

RESERVED = {*folder.MANIFESTS, *folder.RECORDS}  # names of files that edgebench writes
OTHER_INPUTS = "give sizes that it takes with --shape INPUT=SIZES, or real inputs with --inputs"


def adopt(asked: Adoption, out: Path, tell: Any = lambda phase: None) -> Artifact:
    """Put the model into the folder `out`, with requests and the reference's answers. Raises EdgebenchError."""
    runtime = registry.load("runtimes", asked.runtime)
    if asked.network or is_named(asked.file):
        given = [Path(path) for path in asked.inputs]
        found = networks.found(asked.file, asked.network, asked.shapes, given, out, tell)
    else:
        found = _file(asked, runtime, out)
    requests = _requests(found, asked, sum(path.stat().st_size for path in out.iterdir()))
    made = _artifact(asked, found, requests, runtime.version(), out)
    tell("opening the model")
    options = SessionOptions(precision=made.precision, batch=made.adopted.batch, reference=True)
    try:
        with runtime.open(made, "cpu", options) as session:
            answers = []
            for i, request in enumerate((*requests.each, requests.each[0])):  # what it does not repeat is told
                tell(f"answering request {i + 1} of {len(requests.each) + 1}")
                answers.append(session.run(request))
            again = answers.pop()
    except BadFile as error:
        raise BadFile(_explained(error.message, made, Path(asked.file)), error.fix) from None
    except EdgebenchError as error:  # it opened, and does not take what it was asked
        raise BadFile(_explained(error.message, made, Path(asked.file)), OTHER_INPUTS) from None
    _check(answers, made)
    varying = [s.name for s in made.outputs if found.foreign.stateful or not _repeated(s.name, answers[0], again)]
    made = replace(made, adopted=replace(made.adopted, unrepeatable=tuple(varying)))
    tell("writing the answers")
    folder.write_examples(out, made, Examples(tuple(requests.each), tuple(answers)))
    return made


def _file(asked: Adoption, runtime: Any, out: Path) -> ForeignModel:
    """The model in a file that the runtime opens; it is put into `out`, with the weights beside it."""
    path = Path(asked.file)
    foreign: Foreign = runtime.signature(path)
    inputs.refuse_types((*foreign.inputs, *foreign.outputs))
    for name in foreign.files:
        if name in RESERVED:
            raise BadFile(f"{path}: edgebench keeps a file {name!r} of its own", "rename the model's")
        model = name == path.name
        linking.place(path if model else linking.beside(path, name), out / name, link=model)
    info = ModelInfo(name="", timm_name="", arguments={}, parameters=foreign.parameters, macs=None, origin="adopted")
    return ForeignModel(foreign=foreign, model=info, file=path.name)


@dataclass(frozen=True)
class Requests:
    """What is asked of the model: the inputs with their sizes, the values of each request, what these are, and how
    pictures become the first input, if that was said."""

    inputs: tuple[TensorSpec, ...]
    each: list[dict[str, np.ndarray]]
    values: dict[str, str] = field(default_factory=dict)
    how: Preprocessing | None = None

    @property
    def batch(self) -> int:
        if self.how is None:
            return batch(self.inputs)
        return inputs.images_each(self.how, preprocessing.picture(self.how, self.inputs))


def _requests(known: ForeignModel, asked: Adoption, model_bytes: int) -> Requests:
    found, own = known.foreign, known.preprocessing
    wanted = preprocessing.read(asked.preprocess) if asked.preprocess else None
    if asked.inputs:
        if asked.shapes:
            raise UsageError("--inputs has its shapes already", "leave out --shape")
        requests = inputs.given([Path(path) for path in asked.inputs], found.inputs)
        specs = sizes.resolved(found.inputs, {name: a.shape for name, a in requests[0].items()})
        return Requests(specs, requests, how=preprocessing.settled(wanted, specs) if wanted else own)
    if wanted is None and own is None:
        if asked.pictures:
            raise UsageError("it is not known what the model makes of a picture", preprocessing.PICTURES)
        specs = sizes.resolved(found.inputs, asked.shapes, found.usual)
        return Requests(specs, *inputs.generated(specs, found.below, asked.seed, inputs.most_requests(model_bytes)))
    if wanted:
        specs = preprocessing.sized(found.inputs, asked.shapes, wanted)
        how = preprocessing.settled(wanted, specs)
    else:
        specs, how = sizes.resolved(found.inputs, asked.shapes, found.usual), own
    chosen = [Path(path) for path in asked.pictures]
    return Requests(specs, *inputs.of_pictures(chosen, how, specs, found.below, asked.seed), how)


def _artifact(asked: Adoption, found: ForeignModel, requests: Requests, version: str, out: Path) -> Artifact:
    foreign = found.foreign
    return Artifact(
        format=asked.format, precision=foreign.precision, inputs=requests.inputs, outputs=foreign.outputs,
        preprocessing=requests.how, model=replace(found.model, name=asked.name),
        files=dict.fromkeys(foreign.files, ""), tools=foreign.tools, created=now(), path=out,
        adopted=Adopted(
            file=found.file, reference=f"{asked.runtime} {version}", requests=len(requests.each),
            inputs="given" if asked.inputs else "images" if asked.pictures else "synthetic",
            seed=None if asked.inputs else asked.seed, batch=requests.batch, values=requests.values,
            quantized=foreign.quantized, steered_by=foreign.steered_by,
            classes=found.classes, licence=found.licence, network=found.network,
        ),
    )  # fmt: skip


def _repeated(name: str, answer: dict[str, np.ndarray], again: dict[str, np.ndarray]) -> bool:
    return agreement.compared(name, [again[name]], [answer[name]], "fp32").passed


def _check(answers: list[dict[str, np.ndarray]], made: Artifact) -> None:
    for answer in answers:
        if answer.keys() != {spec.name for spec in made.outputs}:
            raise BadFile(f"the model returns {sorted(answer)}, which is not what its file says", "export it again")
        for name, array in answer.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiubc":
                raise BadFile(f"the output {name!r} is no array of numbers", "export the model with plain tensors")


def _explained(message: str, made: Artifact, file: Path) -> str:
    """A failure with what it may depend on: how the file was made, and which sizes and values were chosen for it. It
    names the user's file, not ours."""
    message = message.replace(f"{made.path}/", f"{file.parent}/")
    facts = ", ".join(f"{name} {value}" for name, value in made.tools.items() if value)
    return f"{message}\n  the file: {facts}\n  its inputs here: {inputs_told(made)}"


def main(arguments: list[str]) -> None:
    end_with_parent()
    tell, there, exchange = teller(), int(arguments[0]), Path(arguments[1])
    with os.fdopen(there, "rb") as told:
        out = told.read()
    if not out:  # there is no question
        return
    try:
        asked = jsonio.read(Adoption, exchange / ASKED)
        answer = AdoptionAnswer(artifact=adopt(asked, Path(os.fsdecode(out)), tell))
    except EdgebenchError as error:
        answer = AdoptionAnswer(error=error.message, fix=error.fix, usage=isinstance(error, UsageError))
    except MemoryError:
        answer = AdoptionAnswer(error="the model needs more memory than there is", fix="smaller sizes: --shape")
    jsonio.write(exchange / ANSWER, answer)
    sys.stdout.flush()
    os._exit(0)  # to free a large model piece by piece takes a third of a second


if __name__ == "__main__":
    main(sys.argv[1:])
