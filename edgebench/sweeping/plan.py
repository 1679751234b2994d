"""The plan of a sweep: what to try, from a TOML file and flags. Every mistake in it is reported before any work."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile, UsageError, unknown_name
from edgebench.machine import registry, scenario_registry
from edgebench.machine.device import load_profile
from edgebench.measuring import options as run_options
from edgebench.measuring.options import RunOptions
from edgebench.records import jsonio, toml
from edgebench.records.export_settings import ExportSettings
from edgebench.records.options import without_none
from edgebench.records.recipe import TrainConfig, absolute
from edgebench.specs import Precision
from edgebench.sweeping.adopted_models import is_adopted

PRECISIONS = typing.get_args(Precision)
_NUMBER_WITH_UNIT = re.compile(r"\s*([0-9.]+)\s*[a-zA-Zµ%/]+\s*")
# What each list of the matrix holds.
LISTS: dict[str, type] = {
    "models": str, "subsets": str, "seeds": int, "targets": str, "precisions": str, "runtimes": str, "devices": str,
}  # fmt: skip
TABLES = ("train", "export", "run")


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What to sweep: every combination of the first seven fields.

    Without `runtimes`, each format is measured on its own runtime; without `devices`, on this machine.
    """

    models: tuple[str, ...] = (TrainConfig.model,)
    subsets: tuple[str, ...] = (TrainConfig.subset,)
    seeds: tuple[int, ...] = (TrainConfig.seed,)
    targets: tuple[str, ...] = ("onnx", "openvino")
    precisions: tuple[Precision, ...] = ("fp32",)
    runtimes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    evaluate: bool = True
    train: TrainConfig = field(default_factory=TrainConfig)
    export: ExportSettings = field(default_factory=ExportSettings)
    run: RunOptions = field(default_factory=RunOptions)

    def configs(self) -> list[TrainConfig]:
        """A recipe for each model that is trained, subset and seed, in this order."""
        return [
            absolute(dataclasses.replace(self.train, model=model, subset=subset, seed=seed))
            for model in self.models if not is_adopted(model) for subset in self.subsets for seed in self.seeds
        ]  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """The values of a plan's file. Raises BadFile if it cannot be read or is not TOML."""
    return toml.read(path, what="the plan", example='for example models = ["resnet50"]')


def overlay(told: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's values, overridden by others. In [train], [export] and [run], each setting is overridden by itself."""
    made = {**told, **over}
    for name in TABLES:
        if isinstance(told.get(name), Mapping) and isinstance(over.get(name), Mapping):
            made[name] = {**told[name], **over[name]}
    return made


def make(told: Mapping[str, Any], where: str = "the plan") -> SweepPlan:
    """A plan from its values. Raises UsageError, with the place, for what is unknown, empty, doubled or of a wrong
    type.

    Names of models and datasets are looked up later (facts.find), because that needs torch.
    """
    known = [*LISTS, "evaluate", *TABLES]
    for key in told:
        if key not in known:
            inside = [name for name, fields in _fields().items() if key in fields]
            if inside:
                raise UsageError(f"{where}: {key!r} is outside of its table", f"write it under a line [{inside[0]}]")
            raise _unknown(where, "key", key, known)
    values: dict[str, Any] = {
        name: _list(f"{where}: {name}", told[name], kind) for name, kind in LISTS.items() if name in told
    }
    if "evaluate" in told:
        values["evaluate"] = _value(bool, told["evaluate"], f"{where}: evaluate")
    train, export, run = (_table(name, told.get(name, {}), where) for name in TABLES)
    _check_names(values, where)
    options = run_options.asked({**run, "runtimes": values.get("runtimes", ())})
    options.check()
    if not scenario_registry.load(options.scenario).timed:
        raise UsageError(f"{where}: [run] scenario {options.scenario!r} is not measured", "evaluate = true evaluates")
    plan = SweepPlan(**values, train=TrainConfig(**train), export=ExportSettings(**export), run=options)
    for config in plan.configs():
        config.check()
    if plan.export.calibration_images < 1 or plan.export.max_batch < 1:
        raise UsageError(f"{where}: [export] holds a count below 1", "give at least 1")
    if plan.export.calibration and not any(map(is_adopted, plan.models)):
        raise UsageError(
            f"{where}: [export] calibration is for adopted models, and there is none", "int8 takes training images"
        )
    return plan


def _fields() -> dict[str, dict[str, Any]]:
    """By table, the type of each setting in it."""
    train, run = typing.get_type_hints(TrainConfig), run_options.keys()
    left_out = {"model", "subset", "seed", "runtimes", "policy", "own"}  # these are lists of the plan, or tables
    export = typing.get_type_hints(ExportSettings)
    return {
        "train": {name: kind for name, kind in train.items() if name not in left_out},
        "export": export,
        "run": {name: kind for name, kind in run.items() if name not in left_out},
    }


def _table(name: str, told: Any, where: str) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        raise UsageError(f"{where}: {name} is not a table", f"write its settings under a line [{name}]")
    known = _fields()[name]
    for key in told:
        if key not in known:
            raise _unknown(where, f"setting in [{name}]", key, list(known))
    return {key: _value(known[key], value, f"{where}: [{name}] {key}") for key, value in told.items()}


def _unknown(where: str, what: str, key: str, known: list[str]) -> UsageError:
    error = unknown_name(what, key, known)
    return UsageError(f"{where}: {error.message}", error.fix)


def _value(kind: Any, value: Any, where: str) -> Any:
    try:
        return jsonio.decode(kind, value, where)
    except BadFile as error:
        unit = _NUMBER_WITH_UNIT.fullmatch(value) if isinstance(value, str) else None
        fix = f"give the number alone, {unit[1]}: the unit is in the name" if unit else ""
        if dataclasses.is_dataclass(inner := without_none(kind)):
            fields = ", ".join(f"{field.name} = …" for field in dataclasses.fields(inner))
            fix = f"write a table in the plan: {where.split()[-1]} = {{{fields}}}"
        raise UsageError(error.message, fix) from None


def _list(where: str, value: Any, kind: type) -> tuple[Any, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    if not items:
        raise UsageError(f"nothing to do: {where} is empty", "name at least one")
    if where.endswith("subsets"):  # 500 and 0.1 may be given as numbers
        items = [str(item) if type(item) in (int, float) else item for item in items]
    items = [_value(kind, item, where) for item in items]
    refuse_copies(where, items)
    return tuple(items)


def refuse_copies(where: str, names: list[Any], means: Mapping[str, str] | None = None) -> None:
    """Raise UsageError if a list names the same thing twice, also under two names."""
    seen: dict[Any, Any] = {}
    for name in names:
        meant = (means or {}).get(name, name)
        if meant in seen:
            again = "twice" if seen[meant] == name else f"as {seen[meant]} and as {name}"
            raise UsageError(f"{where} names {meant} {again}", "leave one of them out")
        seen[meant] = name


def _check_names(values: dict[str, Any], where: str) -> None:
    """Replace aliases by the registered names. Raises UsageError for unknown names."""
    if "targets" in values:
        values["targets"] = tuple(
            "checkpoint" if name == "checkpoint" else registry.canonical("exporters", name)
            for name in values["targets"]
        )
    if "runtimes" in values:
        values["runtimes"] = tuple(registry.canonical("runtimes", name) for name in values["runtimes"])
    for name in ("targets", "runtimes"):
        refuse_copies(f"{where}: {name}", list(values.get(name, ())))
    for precision in values.get("precisions", ()):
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
    for device in values.get("devices", ()):
        load_profile(device)
