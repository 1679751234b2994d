"""The probes of a `study samples`: on the images of each training, what frozen features of the same network reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench import artifact
from edgebench.errors import BadFile, UsageError
from edgebench.records.recipe import TrainConfig, folder_name
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training.data.catalogue import Dataset

if TYPE_CHECKING:
    from edgebench.training.loop import Listener

Watch = Callable[[str], "AbstractContextManager[Listener]"]
# What a probe shares with a training. All else is about learning.
SHARED = (
    "model", "dataset", "data_dir", "layout", "labels", "subset", "image_size", "adapt", "skip_broken", "stream",
    "init", "licence", "flip", "floor", "seed",
)  # fmt: skip


def probe_all(
    configs: Sequence[TrainConfig], trained: Sequence[Artifact], dataset: Dataset, workspace: Workspace, watch: Watch
) -> list[Artifact]:
    """A probe for each training that began with learned weights; of other networks there is none.

    The features are kept in WORKSPACE/features, so an image that is in several subsets is computed once.
    """
    learned = [config for config, made in zip(configs, trained, strict=True) if made.training.beginning.learned]
    made: list[Artifact] = []
    refused: set[str] = set()
    for number, config in enumerate(learned, 1):
        title = f"probe {number} of {len(learned)}: model {config.model}, subset {config.subset}, seed {config.seed}"
        with watch(title) as listener:
            try:
                if config.model not in refused:
                    made.append(_probed(config, dataset, workspace, listener))
            except UsageError as error:  # such as a network whose last layer is no linear classifier
                refused.add(config.model)
                listener.say(f"no probe of {config.model}: {error.message}")
    return made


def _probed(config: TrainConfig, dataset: Dataset, workspace: Workspace, listener: Listener) -> Artifact:
    """The checkpoint of a probe: the one that is there, if it is whole and began alike; else a new one."""
    from edgebench.training import beginnings, probing

    asked, config = (
        config.flip,
        probing.recipe(TrainConfig(**{name: getattr(config, name) for name in SHARED}), dataset),
    )
    out = workspace.checkpoints / f"probe-{folder_name(config, dataset.name)}"
    planned = beginnings.check(beginnings.find(config), config).identity
    if (found := _whole(out)) and found.training.beginning.identity == planned:
        return found
    told = probing.Told(listener.say, lambda what, done, total: listener.on_image(done, total))
    return probing.probe(
        replace(config, flip=asked), out, workspace.features, told, planned=planned, floors=workspace.floors
    )


def _whole(folder: Path) -> Artifact | None:
    """The checkpoint in a folder; None if there is none, or if it is damaged."""
    try:
        return artifact.read(folder)
    except BadFile:
        return None
