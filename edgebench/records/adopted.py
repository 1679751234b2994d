"""What is known of a model that edgebench did not train: its file, its reference, and where its inputs come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edgebench.records.declared import Count, Positive

# How weights are stored where the model computes in floats all the same.
STORED = {"weights": "weights stored in few bits", "fp16 weights": "weights stored in fp16"}


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """How a model of somebody else's became an artifact.

    `file`: the name of the file that it was made of. `reference`: the runtime, with its version, that gave the answers
    which all others are compared with, on its CPU. `inputs`: generated from `seed` ("synthetic"), or the user's, arrays
    ("given") or pictures ("images"); there are `requests` of them, each of `batch` rows (1 if no dimension is a batch).
    `values`: by input, in words, what was generated, or that it is pictures.

    `quantized`: how the file is quantized ("QDQ", "QOperator", "dynamic"), or only its weights (STORED); else empty.
    `steered_by`: operators whose work depends on the values of the inputs. `unrepeatable`: outputs that the reference
    itself does not repeat; they are not compared. `settings`: a digest of what was asked for, by which an earlier
    adoption is found.

    `classes`: what the numbers of a classifier's last axis mean, in words, in their order; empty if it is not known.
    `licence`: of the weights; empty if it is not known. `network`: of weights, what they were said to belong to: a name
    of timm's, or FILE.py:function.

    `calibrated`: of an export in int8, how many requests told the ranges of its activations; `held_out`: whether its
    answers are compared on others than these.
    """

    file: str
    reference: str
    inputs: Literal["synthetic", "given", "images"]
    seed: int | None
    requests: Count
    values: dict[str, str] = field(default_factory=dict)
    batch: Positive = 1
    quantized: str = ""
    steered_by: tuple[str, ...] = ()
    unrepeatable: tuple[str, ...] = ()
    settings: str = ""
    classes: tuple[str, ...] = field(default=(), metadata={"json": "unless default"})
    licence: str = field(default="", metadata={"json": "unless default"})
    network: str = field(default="", metadata={"json": "unless default"})
    calibrated: int = field(default=0, metadata={"json": "unless default"})
    held_out: bool = field(default=True, metadata={"json": "unless default"})

    @property
    def told(self) -> str:
        """In a cell of a table: "synthetic inputs, reference: onnxruntime 1.32.0"."""
        return f"{self.inputs_told}, reference: {self.reference}"

    @property
    def quantized_told(self) -> str:
        """In words: "quantized (QDQ)", or that only the weights are stored in few bits; empty if it is neither."""
        return {"": "", **STORED}.get(self.quantized, f"quantized ({self.quantized})")

    @property
    def inputs_told(self) -> str:
        return "images as inputs" if self.inputs == "images" else f"{self.inputs} inputs"


def folder_name(model: str, settings: str, *what: str) -> str:
    """The folder of an adopted model in the workspace, or of an export of it: NAME-HASH-onnx, NAME-HASH-onnx-fp16."""
    return "-".join((plain(model), settings[:8], *what))


def plain(name: str) -> str:
    """A model's name as a part of the name of a folder."""
    return ("".join(c if c.isalnum() or c in "._-" else "_" for c in name).lstrip(".") or "model")[:80]
