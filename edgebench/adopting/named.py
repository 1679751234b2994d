"""`timm:NAME` in place of a file: a pretrained classifier, and what is said if its weights cannot be had."""

from __future__ import annotations

from pathlib import Path

from edgebench.errors import EdgebenchError

TIMM = "timm:"  # before the name of a network of timm's, with its own pretrained weights


def is_named(source: object) -> bool:
    """Whether this is `timm:NAME`, and no file."""
    return str(source).startswith(TIMM)


def check(source: Path) -> None:
    """Raise EdgebenchError now, and not after timm was imported, if there is no such network, or no weights of it."""
    from edgebench.training import at_hand, folders
    from edgebench.training.short_names import SHORT_NAMES

    name = str(source).removeprefix(TIMM)
    if name not in SHORT_NAMES:
        at_hand.check_name(name)
    if why := at_hand.lacking(name, folders.weights_folder()):
        raise no_weights(name, why)


def no_weights(name: str, why: str) -> EdgebenchError:
    return EdgebenchError(
        f"the weights of {name} cannot be had: {why}",
        f"fetch them elsewhere, then `edgebench adopt WEIGHTS.safetensors --model {name}`",
    )
