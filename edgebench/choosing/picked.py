"""A pick as data: what was asked, how far it got, what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgebench.choosing.decision import Decision
from edgebench.records.limits import Limits, Prefer
from edgebench.records.recipe import TrainConfig
from edgebench.records.result import Result
from edgebench.specs import SCHEMA, Precision


@dataclass(frozen=True)
class Asked:
    """All that the answer depends on. `configs`: a recipe for each candidate, whose epochs are decided here."""

    configs: tuple[TrainConfig, ...]
    device: str
    runtimes: tuple[str, ...]
    precisions: tuple[Precision, ...]
    limits: Limits
    prefer: Prefer
    budget_s: float
    target: str = "onnx"


@dataclass(frozen=True)
class Progress:
    """What a killed pick goes on with: the epochs that were decided, by "model round", and the seconds it took."""

    epochs: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    schema: int = SCHEMA


@dataclass(frozen=True)
class Picked:
    """The decision, its results, the file that holds each, and what became of the candidates that have none."""

    decision: Decision
    results: tuple[Result, ...]
    files: tuple[Path, ...]
    left_out: dict[str, str]
    seconds: float
