"""A pick as data: Asked, what it was asked, and Picked, its outcome. picking.py makes the one from the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebench.choosing.decision import Decision
from edgebench.choosing.limits import Limits, Prefer
from edgebench.records.recipe import TrainConfig
from edgebench.records.result import Result
from edgebench.specs import Artifact, Precision


@dataclass(frozen=True, kw_only=True)
class Asked:
    """All that the answer depends on. `configs`: a recipe for each candidate; the pick itself decides the epochs.
    `race`: the runtimes of a candidate are measured by turns."""

    configs: tuple[TrainConfig, ...]
    device: str
    runtimes: tuple[str, ...]
    precisions: tuple[Precision, ...]
    limits: Limits
    prefer: Prefer
    budget_s: float
    target: str = "onnx"
    race: bool = True


@dataclass(frozen=True, kw_only=True)
class Picked:
    """The decision and what it is based on. `artifact`: the chosen one; None if nothing keeps the limits.

    `files` holds the file of each of `results`; `left_out`: by model, why a candidate was not measured to the end. What
    speaks against the answer is in the notes of the decision.
    """

    decision: Decision
    artifact: Artifact | None
    results: tuple[Result, ...]
    files: tuple[Path, ...]
    left_out: dict[str, str]
    seconds: float
    waited_s: float = 0.0  # for another edgebench that measured here; not among `seconds`
