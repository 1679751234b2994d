"""`study`: does several trainings that differ in one thing, one after another. study.py makes rows of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebench import artifact
from edgebench.errors import EdgebenchError, UsageError, unknown_name
from edgebench.records.recipe import TrainConfig, absolute, folder_name
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training import at_hand, data, study_probes
from edgebench.training.learning_curve import ImagesNeeded
from edgebench.training.requirements import require_training_libraries
from edgebench.training.study import (
    BatchSize,
    Convergence,
    SubsetAccuracy,
    batch_sizes,
    convergence,
    images_needed,
    samples,
)

if TYPE_CHECKING:
    from edgebench.training.listening import Listener

StudyKind = Literal["convergence", "samples", "batch-size"]
# What the trainings of each study differ in.
VARIED: dict[str, tuple[str, ...]] = {
    "convergence": ("model",), "samples": ("model", "subset", "seed"), "batch-size": ("model", "batch_size"),
}  # fmt: skip
REACH = (0.5, 0.8, 0.9, 0.95)  # validation accuracies to reach
SUBSETS = ("0.1", "0.3", "full")
SEEDS = (0, 1, 2)
TARGETS = (0.8, 0.9, 0.95, 0.99)  # test accuracies: how many images do they take?
SIZES = (16, 32, 64, 128, 256)  # of a batch


@dataclass(frozen=True, kw_only=True)
class Study:
    """What several trainings show together. `checkpoints`: one a training, in the order in which they were made, then
    one a probe.

    `needed`, of samples: how many training images the targets probably take that are not reached yet.
    """

    kind: StudyKind
    rows: tuple[Convergence, ...] | tuple[SubsetAccuracy, ...] | tuple[BatchSize, ...]
    checkpoints: tuple[Artifact, ...]
    needed: tuple[ImagesNeeded, ...] = ()


def study(
    kind: StudyKind, *, models: Sequence[str] = (TrainConfig.model,), reach: Sequence[float] = REACH,
    subsets: Sequence[str] = SUBSETS, seeds: Sequence[int] = SEEDS, sizes: Sequence[int] = SIZES,
    targets: Sequence[float] = TARGETS, probe: bool = True,
    settings: Mapping[str, Any], workspace: Workspace, watch: Callable[[str], AbstractContextManager[Listener]],
) -> Study:  # fmt: skip
    """Train each model several times, and show the effect of the epochs, the number of images or the batch size.

    `settings`: of `TrainConfig`, the same for every training, without those in VARIED[kind]. `probe`: of samples,
    whether networks with learned weights are probed on the same images too. `watch` gets the title of a training, and
    returns its listener. A training whose checkpoint is in the workspace is not done again, and one that was killed
    goes on. Raises UsageError for settings that cannot be used, EdgebenchError after Ctrl-C.
    """
    if kind not in VARIED:
        raise unknown_name("study", kind, VARIED)
    if kind == "batch-size" and settings.get("search"):
        raise UsageError("a study of batch-size gives the batch size, and --search would choose it", "one of the two")
    if wrong := [share for share in reach if not 0 < share <= 1]:
        raise UsageError(f"--reach holds {wrong[0]:g}", "accuracies are shares such as 0.9")
    values = {"convergence": [models], "samples": [models, subsets, seeds], "batch-size": [models, sizes]}[kind]
    if wrong := [share for share in targets if not 0 < share < 1]:
        raise UsageError(f"--targets holds {wrong[0]:g}", "accuracies are shares such as 0.9, below 1")
    varied = [dict(zip(VARIED[kind], chosen, strict=True)) for chosen in itertools.product(*values)]
    if not varied:
        raise UsageError("there is nothing to train", f"name at least one of each: {', '.join(VARIED[kind])}")
    checkpoints = _train_all(varied, settings, workspace, watch, probe=probe and kind == "samples")
    rows = {
        "convergence": partial(convergence, reach=sorted(reach)), "samples": samples, "batch-size": batch_sizes
    }[kind](checkpoints)  # fmt: skip
    more = images_needed(checkpoints, targets) if kind == "samples" else ()
    return Study(kind=kind, rows=tuple(rows), needed=tuple(more), checkpoints=tuple(checkpoints))


def _train_all(
    varied: Sequence[dict[str, Any]], given: Mapping[str, Any], workspace: Workspace,
    watch: Callable[[str], AbstractContextManager[Listener]], *, probe: bool,
) -> list[Artifact]:  # fmt: skip
    """A checkpoint for each set of settings in `varied`, over those `given` to all; with `probe`, then their probes.

    All of them are checked before the first one is trained.
    """
    configs = [absolute(TrainConfig(**{**given, **settings})) for settings in varied]
    for config in configs:
        config.check()
        at_hand.check_model(config.model)
    require_training_libraries()
    from edgebench.training import beginnings, loop, models, tracking

    dataset = data.of(configs[0])
    for config in configs:
        models.resolve(config.model)
        data.check(dataset, config.subset)
    checkpoints = []
    for number, (config, settings) in enumerate(zip(configs, varied, strict=True), 1):
        out = workspace.checkpoints / folder_name(config, dataset.name)
        title = f"training {number} of {len(configs)}: {', '.join(f'{k} {v}' for k, v in settings.items())}"
        with watch(title) as listener:
            track = partial(tracking.open, folder=workspace.root / "logs" / out.name)
            found = beginnings.find(config, on_bytes=listener.on_weights)
            begins = beginnings.check(found, config).identity
            train = partial(
                loop.train, answers=workspace.answers, floors=workspace.floors, track=track, listener=listener
            )
            checkpoints.append(_trained(config, out, begins, train))
        done = checkpoints[-1].training
        if done.interrupted or (done.floor and done.floor.interrupted):
            raise EdgebenchError("the study was interrupted", "the same command goes on with it")
    if probe:
        checkpoints += study_probes.probe_all(configs, checkpoints, dataset, workspace, watch)
    return checkpoints


def _trained(config: TrainConfig, out: Path, begins: str, train: Callable[..., Artifact]) -> Artifact:
    """The checkpoint in `out`, if it is complete and began as it would now; else what `train(config, out, resume=…)`
    makes. `begins`: the identity of what it would begin with now."""
    from edgebench.training.resuming import SavedRun

    if (out / "checkpoint.json").is_file():
        found = artifact.read(out)
        began = found.training.beginning
        if not found.training.interrupted and began and began.identity == begins:
            return found
    saved = SavedRun(out)
    return train(config, out, resume=saved.exists() and saved.began_with(begins))
