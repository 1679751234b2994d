"""`probe`: how accurate many frozen backbones are on a dataset, with the latency of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgebench.choosing.pick_steps import QUICK
from edgebench.errors import EdgebenchError, UsageError
from edgebench.exporting import pipeline
from edgebench.machine import registry
from edgebench.machine.device import detect, place
from edgebench.measuring import running
from edgebench.racing import together
from edgebench.records import account_text
from edgebench.records.heads import FrozenFeatures
from edgebench.records.recipe import TrainConfig, absolute, folder_name
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training import at_hand
from edgebench.training.requirements import require_training_libraries

if TYPE_CHECKING:
    from edgebench.training.probing import Told

FORMAT = "onnx"  # in which the latency is measured


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A backbone at one image size. Accuracies are shares in [0, 1]; `test_accuracy` is the linear head's.

    `checkpoint`: the backbone with the linear head as its classifier. `latency_ns` is the median of one image on
    `runtime`, the fastest of those tried; both are None if it was not measured.
    """

    model: str
    image_size: int
    macs: int
    frozen: FrozenFeatures
    validation_images: int
    test_accuracy: float
    checkpoint: str
    latency_ns: int | None = None
    runtime: str | None = None


@dataclass(frozen=True, kw_only=True)
class Probes:
    """All that was probed, the best on validation first; `left_out`: by model and size, why a backbone was not."""

    rows: tuple[Probed, ...]
    left_out: dict[str, str]


def probe(
    config: TrainConfig, models: Sequence[str], image_sizes: Sequence[int], inits: Mapping[str, str],
    workspace: Workspace, *, measure: bool, told: Told, tell: Callable[[str], None],
) -> Probes:  # fmt: skip
    """Probe each model at each size (by default the one that its weights were made for), one after another.

    `config` has all else. `inits`: by model, what it begins with, if not as `config` says. The features are kept in
    WORKSPACE/features. Raises UsageError for a name that does not exist or settings that make no sense, EdgebenchError
    if no backbone could be probed.
    """
    if not models:
        raise UsageError("there is nothing to probe", "name at least one of --models")
    configs = [
        absolute(replace(config, model=model, image_size=size, init=inits.get(model, config.init)))
        for model in models
        for size in image_sizes or (None,)
    ]
    if unknown := [name for name in inits if name not in models]:
        raise UsageError(f"--init names {unknown[0]!r}, which is not among --models", "name it there too")
    for each in configs:
        replace(each, freeze=False).check()
        at_hand.check_model(each.model)
    require_training_libraries()
    from edgebench.training import data, probing
    from edgebench.training import models as networks
    from edgebench.training.data import mirroring

    dataset = data.of(config)
    data.check(dataset, config.subset)
    for model in models:
        networks.resolve(model)
    rows, left_out, found = [], {}, {}
    for number, each in enumerate(configs, 1):
        recipe = probing.recipe(each, dataset)
        name = f"{recipe.model} at {recipe.image_size} pixels"
        tell(f"{number} of {len(configs)}: {name}")
        try:
            if recipe.image_size not in found:  # those of one size alone are kept: they can be large
                first, found = not found, {recipe.image_size: probing.splits(recipe, dataset, told)}
                if first and (account := found[recipe.image_size].info.account):
                    for line in account_text.short(account):
                        tell(line)
            recipe = mirroring.settled(recipe, each.flip, found[recipe.image_size], tell)
            with probing.Probing(recipe, found[recipe.image_size], workspace.features, told) as made:
                out = workspace.checkpoints / f"probe-{folder_name(recipe, dataset.name)}"
                kept = made.keep(out, workspace.floors)
        except EdgebenchError as error:
            if len(configs) == 1:
                raise
            left_out[name] = error.message
            tell(f"{name} is left out: {error}")
            continue
        rows.append(_row(kept))
        if measure:
            tell(f"measuring {name}")
            try:
                rows[-1] = _measured(rows[-1], kept, workspace)
            except EdgebenchError as error:
                tell(f"{name} is not measured: {error}")
    if not rows:
        raise EdgebenchError(f"no backbone could be probed: {'; '.join(left_out.values())}", "see the messages above")
    best_first = sorted(rows, key=lambda row: -row.frozen.head("linear").validation_accuracy)
    return Probes(rows=tuple(best_first), left_out=left_out)


def _row(kept: Artifact) -> Probed:
    training = kept.training
    return Probed(
        model=training.config.model, image_size=kept.preprocessing.height, macs=kept.model.macs,
        frozen=training.frozen, validation_images=training.data.validation, test_accuracy=training.test_accuracy,
        checkpoint=str(kept.path),
    )  # fmt: skip


def _measured(row: Probed, kept: Artifact, workspace: Workspace) -> Probed:
    """The row with the shortest median latency among the runtimes that `pick` deploys; as it is if none was measured.

    Raises EdgebenchError if the network cannot be exported, or nothing here runs it.
    """
    exported = pipeline.export(kept, FORMAT, workspace).artifact
    stated = registry.all_facts("runtimes")
    able = tuple(name for name, facts in stated.items() if facts.infer_py and FORMAT in facts.accepts)
    profile = detect()
    placement = place(profile, require_device=False, environ=os.environ)
    options = replace(QUICK, runtimes=able)
    planned = running.plan([exported], profile, placement, options)
    results = [result for result, _ in together.run(planned, workspace.results, options)]
    medians = [(r.summary.median_ns, r.job.runtime) for r in results if r.status == "ok" and r.summary]
    if not medians:
        return row
    latency_ns, runtime = min(medians)
    return replace(row, latency_ns=latency_ns, runtime=runtime)
