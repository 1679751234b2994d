"""Facts that steps depend on, looked up before any work: what names mean, contents, versions, how targets are made."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError
from edgebench.machine import registry
from edgebench.records import digests
from edgebench.records.beginning import Beginning
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact, Precision

TRAINING_TOOLS = ("torch", "timm")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Exporting:
    """How a target is made. `accepts`: by precision, the format and precision that it is made from.

    `also`: by a format in `accepts`, that of an adopted model which it is made from as well. `tools`: by precision, the
    versions of the libraries that decide on what is made. `on_device`: it has to be made on the device that will run
    it. `error`: why none of this is known.
    """

    accepts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tools: dict[str, dict[str, str]] = field(default_factory=dict)
    on_device: bool = False
    error: str = ""
    also: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts about the recipes and targets of a sweep.

    `contents`: by recipe (see `key`), the sha256 of its dataset and files; `datasets`: by recipe, its dataset's name;
    `networks`: by model, the network that the name means; `exporting`: by target, how it is made; `beginnings`: by
    recipe, the weights that it begins with.
    """

    contents: dict[str, dict[str, str]]
    datasets: dict[str, str]
    networks: dict[str, str]
    exporting: dict[str, Exporting]
    beginnings: dict[str, Beginning] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What `find` is asked. It is asked in a process of its own, because it loads torch.

    `refusals`: weights whose licence is not allowed are an answer, not an error. `offered`: nobody named the networks,
    so one that this timm does not have is passed over. `fetch_s`: seconds in which weights may be fetched.
    """

    configs: tuple[TrainConfig, ...]
    targets: tuple[str, ...]
    refusals: bool = False
    offered: bool = False
    fetch_s: float | None = None


def find(asked: Question, on_weights: Progress = lambda name, done, total: None) -> Facts:
    """Look up everything that recipes and targets name. May fetch weights from the Hugging Face hub.

    `on_weights` (name, bytes done, bytes in all) is called while it does. Raises UsageError or BadFile for the first
    that is wrong.
    """
    if not asked.configs:  # only adopted models: no need of torch
        return Facts(contents={}, datasets={}, networks={}, exporting=exporting(asked.targets))
    from edgebench.training import beginnings, data, models, teacher
    from edgebench.training.data import frames

    contents, datasets, networks, begun = {}, {}, {}, {}
    digests: dict[tuple[str | None, ...], str] = {}
    beginning: dict[tuple[str, str | None, str, str], Beginning] = {}
    checked: set[tuple[str | None, ...]] = set()
    until = math.inf if asked.fetch_s is None else time.monotonic() + asked.fetch_s
    for config in asked.configs:
        config.check()
        try:
            network = models.resolve(config.model)
        except EdgebenchError:
            if asked.offered:
                continue
            raise
        networks[config.model] = config.model if config.model.endswith(".toml") else network
        place = (config.dataset, config.data_dir, config.layout, config.labels, config.group_by)
        found = data.of(config)
        if (*place, config.subset) not in checked:
            data.check(found, config.subset)
            checked.add((*place, config.subset))
        if place not in digests:
            digests[place] = data.digest(found)
        begins = (config.model, config.data_dir, config.init, config.licence)
        if begins not in beginning:
            found_weights = beginnings.find(config, until=until, on_bytes=on_weights)
            beginning[begins] = found_weights if asked.refusals else beginnings.check(found_weights, config)
        known = {"dataset": digests[place], "init": beginning[begins].identity}
        path = Path(config.model.partition(".py:")[0] + ".py" * (".py:" in config.model))
        if path.suffix in (".py", ".toml"):
            known["model"] = _sha256(path)
        if config.distill:
            known["distill"] = teacher.content(config.distill, config)
        if config.unlabelled:
            known["unlabelled"] = frames.listing_sha256(Path(config.unlabelled))
        contents[key(config)] = known
        datasets[key(config)] = found.name
        begun[key(config)] = beginning[begins]
    return Facts(
        contents=contents, datasets=datasets, networks=networks, exporting=exporting(asked.targets), beginnings=begun
    )  # fmt: skip


def exporting(targets: Sequence[str]) -> dict[str, Exporting]:
    """How these targets, and those that they are made from, are made. A missing library is no error until the step."""
    found: dict[str, Exporting] = {}
    waiting = list(targets)
    while waiting:
        target = waiting.pop(0)
        if target in found or target == "checkpoint":
            continue
        try:
            registry.load_object("exporters", target)
        except Unsupported as error:
            found[target] = Exporting(error=str(error))
            continue
        stated = registry.facts("exporters", target)
        tools = {p: registry.versions((*stated.libraries, *stated.libraries_for.get(p, ()))) for p in stated.accepts}
        found[target] = Exporting(
            accepts=dict(stated.accepts), tools=tools, on_device=stated.on_device, also=dict(stated.also)
        )
        waiting += [format for format, _ in stated.accepts.values()]
    return found


def key(config: TrainConfig) -> str:
    """The part of a recipe that decides which files it reads."""
    named = (config.data_dir, config.layout, config.labels, config.distill, config.unlabelled)
    return "|".join((config.model, config.dataset, config.init, config.licence, *(name or "" for name in named)))


def chain(
    exporting: Mapping[str, Exporting], target: str, precision: Precision, head: Artifact | None = None
) -> tuple[tuple[str, Precision], ...]:
    """The exports that lead from a checkpoint, or the adopted model `head`, to a target, in order, each as (target,
    precision).

    Raises UsageError if the target cannot be made in that precision.
    """
    if head and (head.format, head.precision) == (target, precision):
        return ()
    if target not in exporting:  # "checkpoint"
        raise UsageError(f"{head.model.name} was adopted as {head.format} in {head.precision}")
    known = exporting[target]
    if known.error:
        raise UsageError(known.error)
    if precision not in known.accepts:
        raise UsageError(f"{target} artifacts cannot be made in {precision}", f"choose of {', '.join(known.accepts)}")
    format, start = known.accepts[precision]
    if head and head.format in (format, known.also.get(format)) and head.precision in (start, precision):
        return ((target, precision),)
    if format == "checkpoint" and head:
        raise UsageError(f"it is not made from {head.format} in {head.precision}, as {head.model.name} was adopted")
    before = () if format == "checkpoint" else chain(exporting, format, start, head)  # type: ignore[arg-type]
    return (*before, (target, precision))


def _sha256(path: Path) -> str:
    try:
        return digests.of_file(path)
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from None
