"""The test split of a checkpoint as one file in the workspace, made once, so that its artifacts can be judged by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training.requirements import require_training_libraries


def test_set(
    found: Artifact, workspace: Workspace, on_image: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """The file with the test split of an artifact's checkpoint. The first time it is read from the dataset and answered
    by the checkpoint, which takes torch; `on_image(done, total)` counts along."""
    path = workspace.test_set(found)
    if not path.is_file():
        origin = workspace.checkpoint_of(found)
        require_training_libraries()
        from edgebench.training import checkpoint

        checkpoint.write_split(origin, path, on_image)
    return path
