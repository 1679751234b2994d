"""What trainings that differ in one thing tell: tables, plots and the commands that show them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from factories import make_artifact

from edgebench import artifact
from edgebench.cli import cli
from edgebench.errors import BadFile
from edgebench.records.beginning import Beginning
from edgebench.records.floor import Floor
from edgebench.records.heads import FrozenFeatures
from edgebench.specs import Artifact
from edgebench.training import study
from edgebench.training.floor import compare

RANDOM = Beginning()
LEARNED = Beginning(source="cache", weights="mobilenetv3_large_100.ra_in1k", path="a", sha256="a" * 64)


def trained(
    path: Path, accuracies: tuple[float, ...] = (0.4, 0.6, 0.9), test: float = 0.8, part_size: int | None = None,
    images: int = 1000, interrupted: bool = False, created: str = "2026-01-01T00:00:00.000000+00:00",
    beginning: Beginning = RANDOM, **settings,
) -> Artifact:  # fmt: skip
    """A checkpoint with a history: two seconds and 100 · epoch images a second in each epoch."""
    plain = make_artifact(format="checkpoint")
    training = replace(
        plain.training, config=replace(plain.training.config, epochs=len(accuracies), **settings),
        data=replace(plain.training.data, train=images), test_accuracy=test, validation_accuracy=max(accuracies),
        part_size=part_size, interrupted=interrupted, beginning=beginning,
    )  # fmt: skip
    made = make_artifact(path, format="checkpoint", training=training, created=created)
    records = [
        {"epoch": n, "validation_accuracy": accuracy, "loss": 1 / n, "seconds": 2.0 * n, "images_per_s": 100.0 * n}
        for n, accuracy in enumerate(accuracies, 1)
    ]
    (path / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    artifact.write_manifest(path, made)
    return artifact.read(path)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A workspace with two subsets of two seeds, and two batch sizes."""
    root = tmp_path / "runs"
    for subset, images in (("100", 87), ("1000", 870)):
        for seed, test in ((0, 0.7), (1, 0.8)):
            trained(root / "checkpoints" / f"{subset}-{seed}", test=test, images=images, subset=subset, seed=seed)
    for size in (32, 64):
        trained(root / "checkpoints" / f"batch-{size}", batch_size=size, part_size=32)
    return root


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, arguments)], catch_exceptions=False)


def test_the_first_epoch_that_reaches_an_accuracy_counts(tmp_path: Path) -> None:
    rows = study.convergence([trained(tmp_path / "a", (0.4, 0.6, 0.5, 0.9))], [0.3, 0.6, 0.95])
    assert [(row.reach, row.epoch, row.seconds) for row in rows] == [(0.3, 1, 2.0), (0.6, 2, 4.0), (0.95, None, None)]


def test_accuracy_over_seeds_has_students_interval(tmp_path: Path) -> None:
    found = [trained(tmp_path / str(seed), test=test, seed=seed) for seed, test in enumerate((0.6, 0.7, 0.8))]
    found.append(trained(tmp_path / "few", test=0.5, subset="100", images=87))
    few, many = study.samples(found)
    assert (few.train_images, few.accuracy, few.low, few.high, few.seeds) == (87, 0.5, None, None, 1)
    # s = 0.1, t(0.975; 2) = 4.303, 0.1 · 4.303 / √3 = 0.2484
    assert (many.accuracy, many.low, many.high) == pytest.approx((0.7, 0.4516, 0.9484), abs=1e-4)
    assert many.seeds == 3
    (two,) = study.samples(found[:2])
    assert (two.seeds, two.low, two.high) == (2, None, None), "0.65 ± 0.635 would say nothing"


def test_the_floor_is_a_curve_of_its_own(tmp_path: Path) -> None:
    def floored(name: str, floor: float, **settings: object) -> Artifact:
        made = trained(tmp_path / name, **settings)
        right = np.arange(1000) < 1000 * floor
        beside = compare(np.arange(1000) < 800, right)
        plain = Floor(
            indices_sha256=made.training.data.indices_sha256, pixels_sha256="", validation_images=1, test_images=1000,
            methods=(), best=None, seconds=1.0, libraries={}, beside=beside,
        )  # fmt: skip
        data = replace(made.training.data, indices_sha256=f"{settings['subset']}-{settings['seed']}")
        return replace(made, training=replace(made.training, floor=plain, data=data))

    found = [
        floored(f"{model}-{subset}-{seed}", floor, subset=subset, images=int(subset), seed=seed, model=model)
        for model in ("a", "b") for subset, seed, floor in (("100", 0, 0.5), ("100", 1, 0.6), ("200", 0, 0.7))
    ]  # fmt: skip
    rows = [row for row in study.samples(found) if row.run == study.FLOOR]
    assert [(row.train_images, row.accuracy, row.seeds) for row in rows] == [
        (100, pytest.approx(0.55), 2),
        (200, 0.7, 1),
    ]
    assert {row.run for row in study.samples(found)} == {"a", "b", study.FLOOR}


def test_only_targets_that_are_not_reached_are_told(tmp_path: Path) -> None:
    found = [
        trained(tmp_path / f"{subset}-{seed}", test=test + seed / 1000, subset=subset, images=int(subset), seed=seed)
        for subset, test in (("100", 0.6), ("200", 0.7), ("400", 0.775)) for seed in (0, 1)
    ]  # fmt: skip
    (row,) = study.images_needed(found, (0.7, 0.85))
    assert row.target == 0.85 and row.images_low < row.images and 400 < row.images < 4000
    assert row.more == row.images - 400


def test_a_probe_is_a_curve_of_its_own_and_needs_its_own_images(tmp_path: Path) -> None:
    frozen = FrozenFeatures(width=8, mirrored=True, runtime="torch", version="", heads=(), computed=0, seconds=1.0)
    found = []
    for subset, test in (("100", 0.6), ("200", 0.7), ("400", 0.775)):
        for seed in (0, 1):
            settings = {"subset": subset, "images": int(subset), "seed": seed, "beginning": LEARNED}
            found.append(trained(tmp_path / f"{subset}-{seed}", test=test + seed / 1000, lr=0.1, **settings))
            probe = trained(tmp_path / f"p{subset}-{seed}", test=test + 0.1, freeze=True, image_size=224, **settings)
            found.append(replace(probe, training=replace(probe.training, frozen=frozen)))
    size, net = found[0].preprocessing.height, found[0].training.config.model
    assert {row.run for row in study.samples(found)} == {net, f"{net}, probe at {size} pixels"}
    alone, probed = study.images_needed(found, (0.9,))
    assert probed.run.startswith(f"{net}, probe") and probed.images < alone.images
    assert probed.images_low < probed.images


def test_trainings_that_began_with_other_weights_are_never_averaged(tmp_path: Path) -> None:
    """`--init auto` of one recipe may become one thing today and another tomorrow."""
    found = [
        trained(tmp_path / f"{began.source}{seed}", test=test, seed=seed, beginning=began)
        for began, tests in ((RANDOM, (0.5, 0.6)), (LEARNED, (0.8, 0.9))) for seed, test in enumerate(tests)
    ]  # fmt: skip
    rows = study.samples(study.comparable(found))
    assert [(row.run, round(row.accuracy, 3), row.seeds) for row in rows] == [
        ("mobilenetv3, from mobilenetv3_large_100.ra_in1k", 0.85, 2), ("mobilenetv3, from random", 0.55, 2),
    ]  # fmt: skip
    assert study.with_several(found[:1] + found[3:], "seed") == []
    elsewhere = trained(tmp_path / "copy", beginning=replace(LEARNED, source="file", path="b"), init="b.safetensors")
    assert study.with_several([found[2], elsewhere], "model") == [found[2], elsewhere], "the same file, elsewhere"
    other = trained(tmp_path / "other", beginning=replace(LEARNED, sha256="b" * 64))
    assert [name.rpartition(" ")[2] for name in study.names([found[2], other])] == ["a" * 8, "b" * 8]


def test_a_batch_fits_unless_it_was_taken_in_parts(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", batch_size=32, part_size=32)
    parts = trained(tmp_path / "parts", batch_size=64, part_size=32)
    whole_set = trained(tmp_path / "set", batch_size=512, part_size=300, images=300)
    rows = study.batch_sizes([whole_set, parts, whole])
    assert [(row.batch_size, row.fits) for row in rows] == [(32, True), (64, False), (512, True)]
    assert {row.images_per_s for row in rows} == {250.0}, "the median without the first epoch"


def test_trainings_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    found = [trained(tmp_path / "a", lr=0.01, threads=1), trained(tmp_path / "b", lr=0.1, threads=2)]
    assert study.names(found) == ["mobilenetv3, lr 0.01", "mobilenetv3, lr 0.1"]
    assert study.names(found, but=("lr",)) == ["mobilenetv3"] * 2
    assert study.with_several(found, "seed") == []
    assert study.with_several(found, "lr") == found


def test_no_training_counts_twice(tmp_path: Path) -> None:
    first = trained(tmp_path / "a")
    again = trained(tmp_path / "b", created="2026-02-01T00:00:00.000000+00:00")
    cut = trained(tmp_path / "c", seed=1, interrupted=True)
    assert study.comparable([again, first, cut]) == [again]


@pytest.mark.parametrize("text", ["", '{"epoch":1}\n', '{"epoch":1,"validation_accuracy":null}\n'])
def test_a_history_without_figures_is_refused(tmp_path: Path, text: str) -> None:
    made = trained(tmp_path / "a")
    (tmp_path / "a" / "history.jsonl").write_text(text)
    with pytest.raises(BadFile, match=r"history\.jsonl lacks the validation_accuracy"):
        study.records(made)


def test_the_report_shows_trainings_and_their_studies(runs: Path) -> None:
    told = json.loads(report("--trainings", "--json", "--workspace", runs).stdout)
    assert set(told) == {"trainings", "convergence", "samples", "batch size"}
    assert len(told["trainings"]) == 6 and len(told["convergence"]) == 6 * 4
    assert [(row["subset"], row["accuracy"], row["seeds"]) for row in told["samples"]] == [
        ("100", pytest.approx(0.75), 2), ("1000", pytest.approx(0.75), 2), ("full", 0.8, 1),
    ]  # fmt: skip
    assert [(row["batch_size"], row["fits"]) for row in told["batch size"]] == [(32, True), (64, False)]

    table = report("--trainings", "--workspace", runs).stdout
    assert "–" in table, "an accuracy that was not reached"
    markdown = report("--trainings", "--format", "markdown", "--workspace", runs).stdout
    assert "## Trainings" in markdown and "## Batch size" in markdown and "| 75.0% |" in markdown
    rows = list(csv.DictReader(report("--trainings", "--format", "csv", "--workspace", runs).stdout.splitlines()))
    assert {row["checkpoint"] for row in rows} == {path.name for path in (runs / "checkpoints").iterdir()}


def test_the_report_draws_what_there_is(runs: Path, tmp_path: Path) -> None:
    done = report("--plots", tmp_path / "all", "--workspace", runs)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "batch-size.png", "convergence.png", "samples.png",
    ]  # fmt: skip
    trained(tmp_path / "alone" / "checkpoints" / "one")
    done = report("--plots", tmp_path / "some", "--json", "--workspace", tmp_path / "alone")
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["convergence.png"]
    assert "convergence.png" in done.stderr and json.loads(done.stdout), "JSON alone on stdout"


def test_a_name_from_outside_breaks_no_table(tmp_path: Path) -> None:
    trained(tmp_path / "checkpoints" / "x", model="[red]<b>|evil\x1b[2J")
    for form in ("table", "markdown"):
        shown = report("--trainings", "--format", form, "--workspace", tmp_path).stdout
        assert "\x1b" not in shown and "evil" in shown
    assert "<b>" not in shown and "\\|evil" in shown


def test_what_a_report_of_trainings_cannot_do_is_said(tmp_path: Path) -> None:
    from edgebench.errors import EdgebenchError

    with pytest.raises(EdgebenchError, match="no such checkpoint"):
        cli(["report", "--trainings", "--workspace", str(tmp_path)], standalone_mode=False)
    with pytest.raises(EdgebenchError, match="trainings have no --device"):
        cli(["report", "--trainings", "--device", "desk", "--workspace", str(tmp_path)], standalone_mode=False)
