"""Builds the steps of a sweep from settings and facts. All that a step's identity depends on is put into it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgebench.machine import registry, scenario_registry
from edgebench.measuring.options import RunOptions
from edgebench.records import jobs
from edgebench.records.recipe import TrainConfig, absolute, folder_name
from edgebench.specs import Artifact, Precision
from edgebench.sweeping import facts
from edgebench.sweeping.facts import Facts
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import Adopt, Export, Measure, Step, Train


def train(config: TrainConfig, known: Facts, *, probe: bool = False) -> Train:
    """The training by a recipe, or its probe. `known` has to hold the facts about it."""
    config = absolute(config)
    which = facts.key(config)
    folder = f"{'probe-' * probe}{folder_name(config, known.datasets[which])}"
    return Train(
        config=config,
        folder=folder,
        contents=known.contents[which],
        tools=registry.versions(facts.TRAINING_TOOLS),
        probe=probe,
    )


def adopt(found: Artifact) -> Adopt:
    """The beginning with an adopted model."""
    return Adopt(artifact=found.identity, folder=found.path.name, model=found.model.name)


def export(
    trained: Train | Adopt, target: str, precision: Precision, known: Facts, *, device: str = "",
    accuracy_drop: float | None = None, calibration_images: int = 300, max_batch: int = 32,
    extra: dict[str, str] | None = None, head: Artifact | None = None, calibration: Mapping[str, str] | None = None,
) -> list[Export]:  # fmt: skip
    """The exports that lead from a training, or the adopted model `head`, to a target, in order: each starts from what
    the one before makes.

    Empty for the target "checkpoint", which the training makes. `device`: the profile on which the artifact will run,
    for targets that are made there; `calibration`: as in Export. Raises UsageError if the target cannot be made in that
    precision.
    """
    source: Step = trained
    made: list[Export] = []
    if target == "checkpoint" and head is None:
        return made
    links = facts.chain(known.exporting, target, precision, head)
    for number, (format, kind) in enumerate(links, 1):
        given = {"extra": extra or {}} if number == len(links) else {}
        if kind != "fp32":
            given |= {"accuracy_drop": accuracy_drop}
        if kind == "int8":
            given |= {"calibration_images": calibration_images, "calibration": dict(calibration or {})}
        how = known.exporting[format]
        on_device = device if how.on_device else ""
        step = Export(
            source=source.identity,
            target=format,
            precision=kind,
            max_batch=max_batch,
            tools=how.tools[kind],
            device=on_device,
            **given,
        )
        made.append(step)
        source = step
    return made


def measure(source: Step, runtime: str, site: Site, options: RunOptions) -> Measure:
    """The measurement, on one runtime of a device, of the artifact that a step makes."""
    told = site.probe(runtime)
    asked = registry.versions(scenario_registry.find(options.scenario).libraries)
    tools = told.libraries | asked | {runtime: told.version}
    return Measure(
        source=source.identity,
        device=site.device,
        machine=site.machine,
        options=replace(options, runtimes=(runtime,)),
        tools=tools,
        environment=jobs.steering() if scenario_registry.find(options.scenario).timed else {},
    )


def evaluate(source: Step, runtime: str, site: Site, options: RunOptions) -> Measure:
    """The evaluation on the whole test split. Only those of the options count that can change the answers."""
    only = RunOptions(
        compute=options.compute, scenario="evaluate", batch=16, threads=options.threads, time_limit_s=3600.0,
        unverified=options.unverified, runtime_options=options.runtime_options,
    )  # fmt: skip
    return measure(source, runtime, site, only)
