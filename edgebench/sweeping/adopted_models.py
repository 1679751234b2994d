"""The adopted models of a plan, `models = ["adopted:NAME"]`: an artifact of the workspace, or a file to adopt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench import artifact
from edgebench.adopting import adopt, named
from edgebench.errors import UsageError, unknown_name
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact

MARK = "adopted:"


def is_adopted(model: str) -> bool:
    return model.startswith(MARK)


def find(models: Sequence[str], workspace: Workspace) -> dict[str, Artifact]:
    """By its name in the plan, each adopted model; a file is adopted now. Raises UsageError for what is none."""
    return {model: _find(model.removeprefix(MARK), workspace) for model in models if is_adopted(model)}


def _find(name: str, workspace: Workspace) -> Artifact:
    known = [one for one in workspace.all_artifacts() if one.adopted and not one.origin]
    found = [one for one in known if one.path.name == name] or [one for one in known if one.model.name == name]
    if len(found) > 1:
        raise UsageError(
            f"there are {len(found)} adopted models called {name!r}",
            f"name the folder of one: {', '.join(MARK + one.path.name for one in found)}",
        )
    if found:
        return artifact.read(found[0].path)
    if name and (Path(name).is_file() or named.is_named(Path(name))):
        return adopt.read(Path(name), workspace)
    error = unknown_name("adopted model", name, [one.model.name for one in known])
    raise UsageError(error.message, f"{error.fix + '; or ' if error.fix else ''}give the path of a model file")
