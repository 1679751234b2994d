"""Whether a network is known and its weights may be had, found out before timm is imported, which takes seconds."""

from __future__ import annotations

import re
from pathlib import Path

from edgebench.errors import EdgebenchError, unknown_name
from edgebench.machine import registry
from edgebench.records import user_functions
from edgebench.records.recipe import TrainConfig
from edgebench.training.folders import weights_folder
from edgebench.training.short_names import SHORT_NAMES


def check(config: TrainConfig) -> None:
    """Raise EdgebenchError if the recipe asks for an unknown network, or for pretrained weights that cannot be had."""
    name = config.model
    check_model(name)
    if not _own(name) and config.init == "pretrained" and (why := lacking(name)):
        raise no_weights(name, why, weights_folder(config.data_dir))


def check_model(name: str) -> None:
    """Raise UsageError for what `--model` cannot mean: no network of ours, of timm's or of the user's."""
    if not _own(name) and name not in SHORT_NAMES:
        check_name(name)


def _own(name: str) -> bool:
    return user_functions.is_function(name) or name.endswith(".toml") or name in registry.names("models")


def check_name(name: str) -> None:
    """Raise UsageError for a network that timm does not have, as far as its files tell without importing it."""
    from importlib.util import find_spec

    spec, plain = find_spec("timm"), name.partition(".")[0]
    if spec is None or not spec.submodule_search_locations:
        return
    files = sorted(Path(spec.submodule_search_locations[0], "models").glob("*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    known = re.findall(r"^@register_model\ndef (\w+)", text, re.MULTILINE)
    former = f"'{plain}'" in text or f'"{plain}"' in text
    if known and plain not in known and not former:
        raise unknown_name("model", name, [*known, *SHORT_NAMES], "`edgebench models --all`")


def no_weights(name: str, why: str, folder: Path) -> EdgebenchError:
    """What is said to `--init pretrained`."""
    return EdgebenchError(
        f"the weights of {name} cannot be had: {why}",
        f"name a file, --init FILE.safetensors, or put one into {folder} and leave out --init",
    )


def lacking(name: str, *folders: Path) -> str:
    """Why there are no weights of a network of timm's; "" if the hub has them, or one of the folders or the Hugging
    Face cache may: those of its family, and what others than timm have put there, may be its."""
    family = _family(name)
    if any(_family(path.stem) == family or path.stem.startswith(name) for f in folders for path in f.glob("*")):
        return ""
    try:
        from edgebench.training import hub

        kept = hub.all_cached()
        if any(owner != "timm" or _family(repository) == family for owner, repository in kept):
            return ""
        why = hub.unreachable()
    except ModuleNotFoundError:  # whoever imports timm tells what to install
        return ""
    elsewhere = "".join(f", and there is no {name}.safetensors in {folder}" for folder in folders)
    return why and f"{why}{elsewhere}"


def _family(name: str) -> str:
    """What the name of a network of timm's begins with: "vit" of vit_base_patch16_224.augreg_in21k."""
    return re.split(r"[_.]", SHORT_NAMES.get(name, name))[0]
