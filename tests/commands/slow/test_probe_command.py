"""`edgebench probe`: from frozen features to a checkpoint that exports and evaluates as any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import Command
from factories import make_result

from edgebench import artifact
from edgebench.choosing import probes
from edgebench.measuring import correctness
from edgebench.records.heads import FrozenFeatures
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training import data, models

pytestmark = pytest.mark.xdist_group("probe")  # features are computed once
MODEL, SIZE = "resnet_mini", 16  # those of the checkpoint that all tests share


@pytest.fixture(scope="module")
def workspace_of_probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probes")


@pytest.fixture
def probe(in_process: Command, checkpoint: Artifact, workspace_of_probes: Path) -> Command:
    """Probes the backbone of the trained checkpoint, with its own weights, on the images that it was trained on."""
    weights = checkpoint.path / "weights.safetensors"
    return lambda *more, models=MODEL, init=weights: in_process(
        "probe", "--models", models, *(["--init", init] if init else []), "--subset", "400", "--image-size",
        str(SIZE), "--workspace", workspace_of_probes, *more,
    )  # fmt: skip


def test_a_probe_makes_a_checkpoint_like_any_other(
    probe: Command, in_process: Command, checkpoint: Artifact, workspace_of_probes: Path
) -> None:
    done = probe("--no-latency", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["latency_ns"] is None and row["runtime"] is None
    made = artifact.read(Path(row["checkpoint"]))
    training = made.training
    assert training.data == checkpoint.training.data, "a training with the same subset and seed has the same splits"
    assert training.frozen.computed == training.data.train + training.data.validation
    assert training.floor.indices_sha256 == training.data.indices_sha256 and training.floor.beside.images == 360
    assert training.validation_accuracy == training.frozen.head("linear").validation_accuracy > 0.3
    assert training.test_accuracy > 0.3, "its weights were trained with other means than timm states, yet know digits"

    test = data.load("digits", "400", SIZE, 0).test
    answers = models.restore(made)(torch.from_numpy(artifact.preprocess(test.images, made.preprocessing)))
    right = correctness.accuracy(answers.detach().numpy(), test.labels)
    assert right == pytest.approx(training.test_accuracy, abs=1.5 / len(test))

    done = in_process("report", "--trainings", "--format", "csv", "--workspace", workspace_of_probes)
    assert done.returncode == 0 and "weights.safetensors, head alone" in done.stdout, done.stderr


def test_the_latency_is_that_of_the_fastest_runtime(checkpoint: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast, failed = (make_result(runtime=runtime) for runtime in ("slow", "fast", "failed"))
    slow, fast = (
        replace(result, summary=replace(result.summary, median_ns=ns)) for result, ns in ((slow, 900), (fast, 700))
    )
    failed = replace(failed, status="crashed", summary=None)
    measured = [(result, Path()) for result in (slow, failed, fast)]
    monkeypatch.setattr(probes.pipeline, "export", lambda *given: SimpleNamespace(artifact=checkpoint))
    monkeypatch.setattr(probes.running, "plan", lambda *given: [])
    monkeypatch.setattr(probes.together, "run", lambda *given: measured)
    frozen = FrozenFeatures(width=8, mirrored=False, runtime="r", version="1", heads=(), computed=0, seconds=0.0)
    kept = replace(checkpoint, training=replace(checkpoint.training, frozen=frozen))
    row = probes._measured(probes._row(kept), kept, Workspace(Path()))
    assert (row.latency_ns, row.runtime) == (700, "fast")
    measured.remove((fast, Path())), measured.remove((slow, Path()))
    assert probes._measured(probes._row(kept), kept, Workspace(Path())).latency_ns is None


def test_the_same_again_computes_no_features(probe: Command, workspace_of_probes: Path) -> None:
    for _ in range(2):
        done = probe("--no-latency", "--json")
        assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["frozen"]["computed"] == 0, "the first time has computed all of them"


def test_what_cannot_be_probed_is_said(probe: Command, checkpoint: Artifact) -> None:
    refused = {
        "holds the weights of another model": probe(models="resnet18"),
        "begin with random weights": probe(init=None),
        "'resnet_mimi'": probe(models="resnet_mimi"),
        "of which model?": probe(models=f"{MODEL},resnet18"),
        "not among --models": probe("--init", f"resnet18={checkpoint.path}"),
        "--subset": probe("--subset", "7"),
        "is no list of sizes": probe("--image-size", "large"),
    }
    for message, done in refused.items():
        assert done.returncode, message
        assert message in done.stderr and "Traceback" not in done.stderr


def test_of_several_the_one_that_fails_is_left_out(probe: Command, checkpoint: Artifact) -> None:
    weights = checkpoint.path / "weights.safetensors"
    done = probe("--init", f"resnet18={weights}", "--no-latency", models=f"{MODEL},resnet18", init=f"{MODEL}={weights}")
    assert done.returncode == 0, done.stderr
    assert f"resnet18 at {SIZE} pixels is left out" in done.stderr
    assert MODEL in done.stdout and "next: edgebench export" in done.stdout
