"""`python -m edgebench.estimating.foreign_layers MODEL SIZES.json ANSWER.json`: counts the layers of an adopted model.

In a process of its own: the onnx library may crash on a file that nobody here has seen.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from edgebench import artifact
from edgebench.errors import BadFile, EdgebenchError, Unsupported
from edgebench.estimating import onnx_layers
from edgebench.estimating.onnx_layers import CountedLayers
from edgebench.machine.children import Child, end_with_parent
from edgebench.records import jsonio, replacing
from edgebench.specs import Artifact

LIMIT_S = 300.0


@dataclass(frozen=True)
class Sizes:
    """By input, its sizes."""

    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CountAnswer:
    """What was counted; or what is wrong, and the fix."""

    counted: CountedLayers | None = None
    error: str = ""
    fix: str = ""


def count(model: Artifact) -> CountedLayers:
    """The layers of an adopted ONNX model at its sizes. Raises Unsupported if they cannot be counted."""
    path = artifact.model_file(model, ".onnx")
    with replacing.scratch() as exchange:
        asked, answer_file = Path(exchange, "sizes.json"), Path(exchange, "answer.json")
        jsonio.write(asked, Sizes({spec.name: spec.sizes for spec in model.inputs}))
        command = [sys.executable, "-m", "edgebench.estimating.foreign_layers", *map(str, (path, asked, answer_file))]
        ending = Child(command).wait(time_limit_s=LIMIT_S)
        try:
            answer = jsonio.read(CountAnswer, answer_file)
        except BadFile:
            how = f"the process that counted them {ending.how} ({ending.last_line})"
            raise Unsupported(f"the layers of {path} are not known: {how}", "another version of onnx") from None
    if answer.counted is None:
        raise Unsupported(answer.error, answer.fix)
    return answer.counted


def perform(path: Path, sizes: Sizes) -> CountAnswer:
    """Count in this process."""
    try:
        return CountAnswer(counted=onnx_layers.counted(path, sizes.inputs))
    except EdgebenchError as error:
        return CountAnswer(error=error.message, fix=error.fix)


def main(arguments: list[str]) -> None:
    end_with_parent()
    path, asked, answer = map(Path, arguments)
    jsonio.write(answer, perform(path, jsonio.read(Sizes, asked)))


if __name__ == "__main__":
    main(sys.argv[1:])
