"""`edgebench study` with real trainings: what is there is not trained again, and a study that was cut short goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import NET

import edgebench
from edgebench.cli import cli
from edgebench.records.recipe import TrainConfig
from edgebench.training import listening

QUICK = ("--epochs", "2", "--subset", "100")


@pytest.fixture
def study(tmp_path: Path):
    """Runs `edgebench study` in this process, which has loaded torch, on a network of a thousand weights."""
    (tmp_path / "net.py").write_text(NET)

    def run(kind: str, *arguments: str) -> Result:
        fixed = ["--models", f"{tmp_path / 'net.py'}:build", "--workspace", str(tmp_path / "runs")]
        return CliRunner().invoke(cli, ["study", kind, *fixed, *arguments], catch_exceptions=False)

    return run


def test_samples_over_seeds_are_trained_once(study, tmp_path: Path) -> None:
    arguments = ("--subsets", "100,200", "--seeds", "0,1", "--epochs", "2", "--plot", str(tmp_path / "s.png"), "--json")
    done = study("samples", *arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    rows = told["rows"]
    sizes = [("100", 80, 2), ("200", 170, 2)]
    assert [(row["subset"], row["train_images"], row["seeds"]) for row in rows] == sizes * 2
    assert [row["run"] for row in rows[2:]] == ["floor (no network)"] * 2 and rows[3]["accuracy"] > 0.8
    assert {row["why"] for row in told["needed"]} == {"cannot be told: it takes at least three subsets"}
    assert all(row["low"] is row["high"] is None and 0 <= row["accuracy"] <= 1 for row in rows), "two seeds are too few"
    assert (tmp_path / "s.png").stat().st_size > 10_000
    assert done.stderr.count("epoch 2/2") == 4

    again = study("samples", *arguments)
    assert json.loads(again.stdout) == told and "epoch" not in again.stderr
    shown = CliRunner().invoke(cli, ["report", "--trainings", "--json", "--workspace", str(tmp_path / "runs")])
    assert [row["accuracy"] for row in json.loads(shown.stdout)["samples"]] == [row["accuracy"] for row in rows]


def test_a_study_that_is_interrupted_stops_and_goes_on(study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second epoch of the second training."""
    real, seen = listening.Listener, []

    def listener(*, on_step, **others):
        def step(told: listening.TrainingStep) -> None:
            on_step(told)
            seen.append((told.epoch, told.step))
            if len(seen) == 4:
                raise KeyboardInterrupt

        return real(on_step=step, **others)

    monkeypatch.setattr(listening, "Listener", listener)
    cut = study("batch-size", "--sizes", "32,64", *QUICK)
    assert cut.exit_code == 1 and "the study was interrupted" in cut.stderr and "goes on with it" in cut.stderr
    monkeypatch.setattr(listening, "Listener", real)
    done = study("batch-size", "--sizes", "32,64", *QUICK, "--json")
    assert [row["batch_size"] for row in json.loads(done.stdout)] == [32, 64]
    assert "epoch 1/2" not in done.stderr.split("training 2 of 2")[0], "the first one was whole"


def test_convergence_tells_epochs_and_seconds(study) -> None:
    done = study("convergence", "--reach", "0.01,1", *QUICK)
    assert "epoch" in done.stdout and "–" in done.stdout, "an accuracy of 1 is not reached"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("samples", "--plot", "s.jpg"), "is not a PNG file"),
        (("samples", "--seeds", "one"), "--seeds 'one' is not a list"),
        (("samples", "--seeds", "-1"), "--seed is -1"),
        (("samples", "--subsets", ","), "is not a list"),
        (("samples", "--subsets", "100,9999999"), "9999999"),
        (("convergence", "--reach", "95"), "--reach holds 95"),
        (("batch-size", "--sizes", "64,1"), "--batch-size is 1"),
        (("batch-size", "--models", "no_such_net"), "no_such_net"),
    ],
)
def test_bad_input_is_told_before_anything_is_trained(study, tmp_path: Path, arguments: tuple, says: str) -> None:
    done = study(*arguments)
    assert done.exit_code in (1, 2) and says in done.stderr and "epoch" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_study_takes_the_options_of_train() -> None:
    shown = CliRunner().invoke(cli, ["study", "samples", "--help"]).stdout
    for name in TrainConfig.__dataclass_fields__:
        if name not in ("model", "subset", "seed", "flip", "adapt", "channels_last"):
            assert f"--{name.replace('_', '-')} " in shown


def test_the_same_from_python_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(NET)
    titles: list[str] = []
    done = edgebench.study(
        "batch-size", models=[f"{tmp_path / 'net.py'}:build"], sizes=[32, 64], epochs=1, subset="100",
        workspace=tmp_path / "runs", plot=tmp_path / "b.png", tell=titles.append,
    )  # fmt: skip
    assert [row.batch_size for row in done.rows] == [32, 64] and len(done.checkpoints) == len(titles) == 2
    assert (tmp_path / "b.png").stat().st_size > 10_000
    assert capfd.readouterr().out == ""
