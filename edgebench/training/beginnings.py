"""What a network begins with: finds a file, the Hugging Face cache, the hub, or random weights, and loads it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from edgebench.errors import EdgebenchError, UsageError
from edgebench.records import digests
from edgebench.records.beginning import Beginning, is_permissive
from edgebench.records.recipe import TrainConfig
from edgebench.specs import ModelInfo
from edgebench.training import hub, models
from edgebench.training.at_hand import no_weights
from edgebench.training.folders import weights_folder

Progress = Callable[[str, int, int], None]  # what is fetched, bytes that are here, bytes in all


def find(
    config: TrainConfig, *, planned: str | None = None, on_bytes: Progress = lambda what, done, total: None,
    until: float = math.inf,
) -> Beginning:  # fmt: skip
    """The beginning that `init`, `licence` and `model` of a recipe ask for. May fetch a file from the hub.

    `planned`: the identity that was found when this training was planned; another one raises EdgebenchError. `until`:
    by the monotonic clock, when no more is fetched. Raises
    BadFile or UsageError for what is asked for by name and cannot be had; for `auto`, only for a file that is damaged.
    If the licence of weights is not allowed, the beginning is random and `refused`: see `check`.
    """
    if config.init == "auto" and planned == "random":
        return Beginning(why="none were found when this training was planned")
    found = _found(config, on_bytes, until)
    if planned and found.identity != planned:
        reason = f" ({found.why})" if found.why else ""
        raise EdgebenchError(
            f"{config.model} would begin with {found.title} now{reason}, not with the weights that it was planned with",
            "plan it again, or bring the same file here",
        )
    return found


def _found(config: TrainConfig, on_bytes: Progress, until: float) -> Beginning:
    name, init = config.model, config.init
    if init == "random":
        return Beginning()
    if init not in ("auto", "pretrained"):
        return _licensed(_of_file(Path(init)), config)
    if not models.is_timm(name):
        if init == "pretrained":
            raise UsageError(f"timm has no weights for {name}: it is not a timm model", "--init FILE.safetensors")
        return Beginning(why=f"{name} is not a network of timm's")
    timm_name = models.resolve(name)
    known = models.timm_weights(timm_name)
    folder, places = weights_folder(config.data_dir), ()
    if init == "auto":
        stem = "" if "/" in name or name.endswith(".toml") else name
        places = [folder / f"{n}.safetensors" for n in dict.fromkeys((known.name, timm_name, stem)) if n]
        if path := next((place for place in places if place.exists()), None):
            return _licensed(_of_file(path), config)
    why = "" if known.repository else f"timm has no pretrained weights for {name}"
    if known.repository:
        allowed = _licensed(Beginning(source="hub", weights=known.name, licence=known.licence), config)
        if allowed.refused:
            return allowed
        try:
            return _of_hub(known, on_bytes, until)
        except hub.HubError as error:
            why = error.message
    if init == "pretrained":
        raise no_weights(name, why, folder)
    return Beginning(why=f"{why}, and there is no {places[-1].name} in {folder}")


def _of_file(path: Path) -> Beginning:
    """Weights of a file. Its name says which of timm's they are, if it is NAME.TAG.safetensors."""
    models.check_weights_file(path)
    known = models.timm_weights(path.stem) if "." in path.stem else models.TimmWeights()
    return Beginning(
        source="file", weights=known.name, path=str(path), sha256=digests.of_file(path), licence=known.licence
    )


def _of_hub(known: models.TimmWeights, on_bytes: Progress, until: float) -> Beginning:
    source, path = "cache", hub.cached(known.repository)
    if path is None:
        tell = partial(on_bytes, known.name)
        source, path = "hub", hub.fetch(known.repository, tell, until=until)
    found: dict[str, Any] = {"path": str(path), "sha256": hub.sha256(path)}
    return Beginning(source=source, weights=known.name, licence=known.licence, **found)


def _licensed(found: Beginning, config: TrainConfig) -> Beginning:
    """The beginning, if its licence is allowed; else random weights."""
    if config.licence == "any" or is_permissive(found.licence):
        return found
    if found.licence:
        return Beginning(why=f"the licence of {found.title} is {found.licence}, which is not permissive", refused=True)
    known = "if it is timm's, call it NAME.TAG.safetensors" if found.source == "file" else "timm does not name it"
    return Beginning(why=f"the licence of {found.title} is unknown: {known}", refused=True)


def check(found: Beginning, config: TrainConfig) -> Beginning:
    """The beginning. Raises UsageError if a recipe asks for weights by name whose licence is not allowed."""
    if found.refused and config.init != "auto":
        raise UsageError(found.why, "other weights, --init random, or leave out --licence")
    return found


def begin(network: nn.Module, info: ModelInfo, found: Beginning, *, init: str) -> tuple[Beginning, str]:
    """Load a beginning into a network. Returns what it became, and that in words: one line, and what did not fit.

    Weights of timm's that do not fit, because a TOML changed the network, are an error only if `init` names them.
    """
    if not found.learned:
        return found, "begins with random weights" + (f": {found.why}" if found.why else "")
    try:
        report = models.load_weights(network, info, Path(found.path))
    except models.OtherNetwork as error:
        if init != "auto" or found.source == "file":
            raise
        changed = replace(found, source="random", why=error.message)
        return changed, f"begins with random weights: {changed.why}"
    where = {"file": found.path, "cache": "the Hugging Face cache", "hub": "the Hugging Face hub"}[found.source]
    named = f"{found.weights} of {where}" if found.weights else where
    odd = "" if is_permissive(found.licence) or not found.licence else ", which is not permissive"
    return found, f"begins with {named}, licence {found.licence or 'unknown'}{odd}: {report.text}"
