"""`edgebench pick`: from a folder of images to a folder that runs by itself and answers as torch does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from conftest import clean_environment
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from edgebench import artifact
from edgebench.choosing import budget, candidates, pick_steps, picking, ready_pick
from edgebench.choosing.limits import Limits
from edgebench.choosing.picked import Asked, Picked
from edgebench.choosing.ready_pick import ReadyPick
from edgebench.cli import cli
from edgebench.commands import pick as pick_command
from edgebench.errors import EdgebenchError, UsageError
from edgebench.measuring import process
from edgebench.records import weight_files
from edgebench.records.probe import Probe
from edgebench.records.recipe import TrainConfig, absolute
from edgebench.records.workspace import Workspace
from edgebench.report import deploy
from edgebench.results import store
from edgebench.specs import Artifact
from edgebench.sweeping import facts, site, step_process
from edgebench.sweeping.perform import perform, perform_race
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Step, StepOutcome
from edgebench.training import checkpoint, data, models
from edgebench.training.data.decoding import decode
from edgebench.training.sieve import sift

pytestmark = pytest.mark.xdist_group("pick")  # picked once
FUNCTIONS = ("linear", "convolution")
OWN = """from torch import nn

def linear(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size * image_size, num_classes))

def convolution(num_classes):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(32, num_classes))
"""
SIZE = 32


class Here:
    """An engine that performs in this process, which has loaded torch."""

    def __init__(self, kept: Records, log: list[str]) -> None:
        self.kept, self.log = kept, log
        self.done: list[StepOutcome] = []

    def has_room(self, step: Step) -> bool:
        return True

    def start(self, steps: Sequence[Step]) -> list[StepOutcome]:
        self.log += [step.title for step in steps]
        os.environ.pop(weight_files.TRUST, None)  # a step's own process begins without
        begun = [self.kept.begin(step) for step in steps]
        made = perform_race(begun, self.kept) if len(begun) > 1 else [perform(begun[0], self.kept)]
        self.done += [self.kept.end(outcome) for outcome in made]
        return begun

    def ended(self, timeout_s: float) -> list[StepOutcome]:
        done, self.done = self.done, []
        return done

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three classes that a network tells apart: a bright corner each; not square, one transparent."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label, name in enumerate(("left “top”", "right", "below")):
        (root / name).mkdir()
        for i in range(20):
            pixels = random.integers(0, 90, (40, 48, 3), dtype=np.uint8)
            top, left = (0, 0, 20)[label], (0, 24, 0)[label]
            pixels[top : top + 20, left : left + 24] += 150
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    (root / "own.py").write_text(OWN)
    alpha = Image.new("RGBA", (30, 40), (200, 30, 30, 120))
    alpha.save(root / "right" / "transparent.png")
    return root


def pick(
    photos: Path, root: Path, *, budget_s: float = 36_000.0, limits: Limits | None = None, log: list[str] | None = None,
    told: list[str] | None = None, weights: dict[str, str] | None = None,
) -> Picked:  # fmt: skip
    """Of both functions, or with `weights` of those that have some."""
    configs = tuple(
        TrainConfig(
            model=f"{photos / 'own.py'}:{name}", dataset=str(photos), image_size=SIZE, batch_size=16, threads=1,
            init=(weights or {}).get(name, "auto"),
        )
        for name in weights or FUNCTIONS
    )  # fmt: skip
    here = site.here("cpu", probes=probes())
    asked = Asked(
        configs=configs, device="cpu", runtimes=("onnxruntime",), precisions=("fp32",), limits=limits or Limits(),
        prefer="accuracy", budget_s=budget_s,
    )  # fmt: skip
    known = facts.find(facts.Question(configs=tuple(map(absolute, configs)), targets=("onnx",)))
    account = data.account(data.of(configs[0]), seed=0)
    ready = ReadyPick(asked=asked, known=known, site=here, images=61, began=time.monotonic(), account=account)
    steps: list[str] = [] if log is None else log
    tell = (told if told is not None else []).append
    return picking.pick(
        ready, Workspace(root), tell=tell, engine=lambda kept, _: Here(kept, steps), sift=lambda asked, _: sift(asked)
    )


@cache
def probes() -> tuple[Probe, ...]:
    return tuple(process.probe_all(["onnxruntime"]))


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """Tiny trainings and measurements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picking, "MOST_EPOCHS", 4)
        patch.setattr(picking, "FINALISTS", 1)
        patch.setattr(pick_steps, "FINAL_S", 0.3)
        patch.setenv(weight_files.TRUST, "")  # put back at the end, whatever the steps make of it
        yield


@pytest.fixture(scope="module")
def answer(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Picked, list[str]]:
    """One pick, delivered: the workspace, the folder, the answer, and the steps that were done."""
    root, log = tmp_path_factory.mktemp("runs"), []
    picked = pick(photos, root, log=log, limits=Limits(max_memory_mb=10_000))
    deliver(picked, root / "picked")
    return root, root / "picked", picked, log


def deliver(picked: Picked, out: Path) -> None:
    deploy.write(out, picked.decision, picked.artifact, list(picked.files))


def test_the_floor_stands_beside_the_answer(answer, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, picked, _ = answer
    pick_command._show(picked, out, as_json=False)
    told = capsys.readouterr().out
    assert "floor: " in told and "its floor: " in told and picked.artifact.training.floor.beside


def test_the_folder_answers_as_torch_does(answer, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out, picked, _ = answer
    chosen = picked.decision.chosen
    assert chosen.row.deployed_accuracy is not None
    images = sorted(photos.rglob("*.png"))
    code = "import infer, sys, numpy, json; print(json.dumps([infer.logits(p).tolist() for p in sys.argv[1:]]));"
    code += "assert not {'edgebench', 'torch'} & set(sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code, *map(str, images)], cwd=out, capture_output=True, text=True, timeout=120,
        env=clean_environment(),
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    found = np.array(json.loads(told.stdout))
    (source,) = [c for c in Workspace(root).all_checkpoints() if c.identity == checkpoint_of(out)]
    monkeypatch.setenv(weight_files.TRUST, source.training.config.model)
    expected = torch_answers(artifact.read(source.path), np.stack([decode(path, SIZE) for path in images]))
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-3
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


def checkpoint_of(out: Path) -> str:
    return json.loads((out / "artifact.json").read_text())["origin"]


def torch_answers(found: Artifact, images: np.ndarray) -> np.ndarray:
    model = models.restore(found)
    return checkpoint._logits(model, images, found.preprocessing)


def test_infer_is_a_short_program_that_prints_classes(answer, photos: Path) -> None:
    _, out, _, _ = answer
    lines = [line for line in (out / "infer.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 185
    told = subprocess.run(
        [sys.executable, "infer.py", str(photos / "below" / "1.png")], cwd=out, capture_output=True, text=True,
        timeout=120, env=clean_environment(),
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    classes = json.loads((out / "preprocessing.json").read_text())["classes"]
    assert classes == ["below", "left “top”", "right"]
    assert any(f"1.png: {name} (" in told.stdout for name in classes)


def test_the_folder_has_a_model_card_and_a_ros_node(answer) -> None:
    _, out, picked, _ = answer
    card = (out / "README.md").read_text()
    _, head, text = card.split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["pipeline_tag"] == "image-classification" and told["library_name"] == "onnx"
    (figures,) = told["model-index"][0]["results"]
    assert figures["metrics"][0]["value"] == round(picked.decision.chosen.row.deployed_accuracy, 4)
    for part in ("## Use", "## Figures", "## Data", "## Licence", "training,"):
        assert part in text
    compile((out / "ros2_node.py").read_text(), "ros2_node.py", "exec")


def test_the_evidence_is_there(answer) -> None:
    _, out, picked, _ = answer
    assert "# What to deploy on cpu" in (out / "decision.md").read_text()
    assert json.loads((out / "decision.json").read_text())["chosen"]["model"] == picked.decision.chosen.row.model
    kept = [store.read(path) for path in (out / "evidence").iterdir()]
    assert {r.job.scenario for r in kept} == {"latency", "evaluate"} and all(r.status == "ok" for r in kept)


def test_the_same_command_does_nothing_twice(answer, photos: Path) -> None:
    root, _, picked, log = answer
    assert log  # the first time it did something
    again: list[str] = []
    once_more = pick(photos, root, log=again, limits=Limits(max_memory_mb=10_000))
    assert again == [] and once_more.decision == picked.decision


def test_a_candidate_with_weights_is_probed_before_it_is_trained(photos: Path, tmp_path: Path) -> None:
    network, _ = models.build(f"{photos / 'own.py'}:convolution", 3, SIZE, 0)
    save_file(network.state_dict(), tmp_path / "learned.safetensors")
    log, told = [], []
    weights = {"convolution": str(tmp_path / "learned.safetensors")}
    picked = pick(photos, tmp_path / "runs", log=log, told=told, weights=weights)
    assert log[0].startswith("probe ") and log[1].startswith("export "), log
    trained = any(title.startswith("train ") for title in log)
    assert trained != ("accuracy 100.0%" in told[1]), (
        "it is trained in the time that is left, if there is more to learn"
    )
    assert "a first look at 1 candidate took" in told[0] and "after its probe" in told[1], told
    assert picked.decision.chosen is not None


def test_our_own_candidates_are_those_whose_weights_can_be_had(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(candidates, "LEARNED", ("test_resnet", "test_byobnet", "not_in_this_timm"))
    monkeypatch.setattr(step_process, "ask", facts.find)
    monkeypatch.setattr(process, "probe_all", lambda names: probes())
    prepare = partial(ready_pick.prepare, str(photos), runtimes=["onnxruntime"], device="cpu")
    assert [config.model for config in prepare().asked.configs] == list(candidates.RANDOM)

    network, _ = models.build("test_resnet", 10, SIZE, 0)
    save_file(network.state_dict(), tmp_path / "test_resnet.safetensors")
    ready = prepare()
    assert [config.model for config in ready.asked.configs] == ["test_resnet"]
    assert ready.unavailable.keys() == {"test_byobnet", *candidates.RANDOM}
    pick_command._say_what_is_ahead(ready)
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "test_byobnet" in line]
    assert "their weights cannot be had" in told and "HF_HUB_OFFLINE is set" in told


def test_what_is_too_large_is_out_after_its_look(photos: Path, answer) -> None:
    root, told, log = answer[0], [], []
    picked = pick(photos, root, log=log, told=told, limits=Limits(max_memory_mb=1))
    assert log == []  # the looks were done; no training follows
    assert picked.decision.chosen is None and picked.decision.nearest is not None
    assert len(picked.left_out) == 2 and all("dropped: memory" in line for line in told)
    deliver(picked, root / "nothing")
    assert sorted(path.name for path in (root / "nothing").iterdir()) == ["decision.json", "decision.md", "evidence"]


def test_a_budget_that_is_too_small_says_what_became_of_each(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "LATE", (0.25, 0.0))
    with pytest.raises(EdgebenchError, match="no time was left for its trial run") as error:
        pick(photos, tmp_path, budget_s=0.001)
    assert all(name in error.value.message for name in FUNCTIONS) and "--budget" in error.value.fix


@pytest.mark.parametrize("fault", ["cut off", "no picture"])
def test_images_that_cannot_be_read_are_an_error_before_anything_else(
    photos: Path, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    file = tmp_path / "photos" / "below" / "3.png"
    file.write_bytes(file.read_bytes()[:900] if fault == "cut off" else b"<html>")
    nothing = mock.Mock(side_effect=AssertionError("nothing else is done"))
    for module, name in ((step_process, "ask"), (process, "probe_all"), (site, "here")):
        monkeypatch.setattr(module, name, nothing)
    asked = ("pick", "--data", str(tmp_path / "photos"), "--workspace", str(tmp_path / "runs"))
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 1 and "below/3.png" in done.stderr and "--skip-broken" in done.stderr
    with pytest.raises(AssertionError, match="nothing else is done"):
        ready_pick.prepare(str(tmp_path / "photos"), runtimes=["onnxruntime"], skip_broken=True)


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="was not made by edgebench pick"):
        deploy.check(tmp_path)
    deploy.check(tmp_path / "new")


def test_wrong_usage(photos: Path, tmp_path: Path) -> None:
    for arguments, text in (
        (("--budget", "30"), "give it with its unit"), (("--max-p99-ms", "20ms"), "without the unit"),
        (("--runtime", "torch"), "--runtime onnxruntime or openvino"), (("--data", "no/such"), "no folder"),
        (("--init", "x=random"), "which is not a candidate"), (("--out", str(photos)), "was not made by edgebench"),
    ):  # fmt: skip
        arguments = ("--data", str(photos), "--workspace", str(tmp_path), *arguments)
        done = CliRunner().invoke(cli, ["pick", *arguments])
        assert done.exit_code == 2 and text in done.stderr, done.stderr
