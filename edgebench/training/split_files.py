"""Makes the workspace's file with a checkpoint's test split, on which the accuracy of its artifacts is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebench.measuring import testset
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training.requirements import require_training_libraries


def test_set(
    found: Artifact, workspace: Workspace, on_image: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """The file with the test split of an artifact's checkpoint and torch's answers to it.

    Made from the dataset, which needs torch, unless the workspace keeps it; `on_image(done, total)` counts images.
    """
    path = workspace.test_set(found)
    if not testset.kept(path, found):
        origin = workspace.checkpoint_of(found)
        require_training_libraries()
        from edgebench.training import checkpoint

        checkpoint.write_split(origin, path, on_image)
    return path
