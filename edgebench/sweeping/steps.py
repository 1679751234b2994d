"""The steps of a sweep as data: what to do, what that depends on, and its outcome."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

from edgebench.machine.scenario_registry import find
from edgebench.measuring.options import RunOptions
from edgebench.records import digests
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Precision

SCHEMA = 1
StepKind = Literal["train", "adopt", "export", "evaluate", "measure"]
StepStatus = Literal["running", "ok", "failed", "timeout", "out_of_memory", "crashed", "unsupported"]


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train by a recipe into the checkpoint `folder`; the test split is kept too, for the evaluations.

    `contents`: a sha256 of the dataset and of each file and folder that the recipe names, and as "init" the identity of
    what it begins with (`Beginning.identity`); `tools`: versions of the libraries. `probe`: only fit a classifier to
    the frozen features (training/probing.py).
    """

    config: TrainConfig
    folder: str
    contents: dict[str, str]
    tools: dict[str, str]
    probe: bool = False

    kind: ClassVar[StepKind] = "train"
    needs: ClassVar[tuple[str, ...]] = ()
    device: ClassVar[str] = ""

    @cached_property
    def identity(self) -> str:
        # Only what is in the files matters, not where they are.
        config = dataclasses.replace(
            self.config, data_dir=None, dataset="", layout=None, labels=None, init="auto", licence="any", distill=None,
            unlabelled=None,
        )  # fmt: skip
        return _hash("probe" if self.probe else self.kind, told(config), self.contents, self.tools)

    @property
    def title(self) -> str:
        what = "probe" if self.probe else "train"
        return f"{what} {self.config.model}, subset {self.config.subset}, seed {self.config.seed}"


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Begin with an adopted model: the artifact of this identity, in this folder of the workspace's artifacts."""

    artifact: str
    folder: str
    model: str

    kind: ClassVar[StepKind] = "adopt"
    needs: ClassVar[tuple[str, ...]] = ()
    device: ClassVar[str] = ""

    @cached_property
    def identity(self) -> str:
        return _hash(self.kind, self.artifact)

    @property
    def title(self) -> str:
        return f"adopt {self.model}"


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export what the step `source` makes. `device`: the profile on which it has to be done; "" for any machine.

    `calibration`: of an adopted model, by file or folder of inputs for int8, the digest of what it holds.
    """

    source: str
    target: str
    precision: Precision
    accuracy_drop: float | None = None
    calibration_images: int = 300
    max_batch: int = 32
    extra: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    device: str = ""
    calibration: dict[str, str] = field(default_factory=dict)

    kind: ClassVar[StepKind] = "export"

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.source,)

    @cached_property
    def identity(self) -> str:
        return _hash(self.kind, told(self))

    @property
    def title(self) -> str:
        return f"export to {self.target}, {self.precision}"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measure or evaluate, as `options.scenario` says, what the step `source` makes, on one runtime of a device.

    `machine` distinguishes this device from others of the same profile; `tools`: the version of the runtime there;
    `environment`: the variables by which libraries compute otherwise (`jobs.steering`).
    """

    source: str
    device: str
    machine: str
    options: RunOptions
    tools: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict, metadata={"json": "unless default"})

    @property
    def kind(self) -> StepKind:
        return "measure" if find(self.options.scenario).timed else "evaluate"

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def runtime(self) -> str:
        return self.options.runtimes[0]

    @cached_property
    def identity(self) -> str:
        return _hash(self.kind, told(self))

    @property
    def title(self) -> str:
        return f"{self.kind} on {self.runtime}, {self.device}"


Step = Train | Adopt | Export | Measure


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """The outcome of a step, or that it is under way.

    `path`: what it made (a checkpoint, an artifact or a result), relative to the workspace. `product`: the identity of
    a checkpoint or artifact that it made; `made_from`: that of the artifact it started from. `since`: when it first
    began; `began`: when it last began; `attempts`: how often; `seconds`: how long the last attempt took.
    """

    step: Step
    status: StepStatus
    since: str
    began: str
    attempts: int = 1
    seconds: float | None = None
    message: str = ""
    path: str = ""
    product: str = ""
    made_from: str = ""
    log_tail: str = ""
    schema: int = SCHEMA


def race_together(one: Step, other: Step) -> bool:
    """Whether two measurements may be made together, in a race: of one device, and alike but for what they measure."""
    if not (isinstance(one, Measure) and isinstance(other, Measure) and one.options.race and one.kind == "measure"):
        return False
    asked = [dataclasses.replace(step.options, runtimes=()) for step in (one, other)]
    return asked[0] == asked[1] and (one.device, one.machine) == (other.device, other.machine)


def alone(step: Step) -> bool:
    """Whether nothing else may run on its machine: it measures there, or an export tries out what is fastest."""
    return bool(step.device)


def _hash(*parts: Any) -> str:
    return digests.of_data([SCHEMA, *parts])


def told(value: Any) -> dict[str, Any]:
    """The fields that differ from their defaults. So a setting that a newer edgebench adds keeps old identities."""
    changed = {}
    for each in dataclasses.fields(value):
        found = getattr(value, each.name)
        default = each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
        if isinstance(found, float) and found.is_integer():
            found = int(found)  # 2 and 2.0 are the same number, and JSON may turn one into the other
        if found != default:
            changed[each.name] = told(found) if dataclasses.is_dataclass(found) else found
    return changed
