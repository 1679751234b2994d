"""A small sweep of real processes that needs no torch: a checkpoint that is there, measured on the fake runtime.

python tests/sweeping.py WORKSPACE       does it, with the local engine
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from factories import make_artifact

from edgebench import artifact
from edgebench.machine import registry
from edgebench.measuring import process, testset
from edgebench.measuring.options import RunOptions
from edgebench.records.jobs import Policy
from edgebench.records.workspace import Workspace
from edgebench.sweeping import build, facts
from edgebench.sweeping.records import Records
from edgebench.sweeping.site import Site, here
from edgebench.sweeping.steps import Step, StepOutcome, Train
from edgebench.sweeping.this_machine import Local
from edgebench.sweeping.work import work

OPTIONS = RunOptions(warmup_s=0.1, duration_s=1.0, policy=Policy(1, 0.0))


def prepare(root: Path, checkpoint: artifact.Artifact | None = None) -> Workspace:
    """A workspace with a checkpoint, by default a made-up one, and its test split, as `edgebench train` and `evaluate`
    leave them."""
    if checkpoint:
        shutil.copytree(checkpoint.path, root / "checkpoints" / checkpoint.path.name)
    else:
        versions = registry.versions(facts.TRAINING_TOOLS)
        checkpoint = make_artifact(root / "checkpoints" / "net", format="checkpoint", tools=versions)
    workspace, reference = Workspace(root), artifact.read_reference(checkpoint)
    images = np.ascontiguousarray(reference.images)
    testset.write(workspace.test_set(checkpoint), images, reference.labels, reference.logits, checkpoint.identity)
    return workspace


def steps(workspace: Workspace, site: Site | None = None) -> list[Step]:
    """A training that was done by `edgebench train`, one evaluation and two measurements."""
    (folder,) = workspace.checkpoints.iterdir()
    config = artifact.read(folder).training.config
    trained = Train(
        config=config,
        folder=folder.name,
        contents={"dataset": "0" * 64, "init": "random"},
        tools=registry.versions(facts.TRAINING_TOOLS),
    )
    site = site or here("cpu", process.probe_all(["fake"]))  # asking the others as well takes seconds, each time
    measured = [build.measure(trained, "fake", site, RunOptions(**{**vars(OPTIONS), "batch": n})) for n in (1, 2)]
    return [trained, build.evaluate(trained, "fake", site, OPTIONS), *measured]


def sweep(workspace: Workspace) -> dict[str, StepOutcome]:
    with Records(workspace) as kept:
        return work(steps(workspace), kept, Local(kept))


if __name__ == "__main__":
    raise SystemExit(any(outcome.status != "ok" for outcome in sweep(Workspace(Path(sys.argv[1]))).values()))
