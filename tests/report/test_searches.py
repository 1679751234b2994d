"""A search before a training as the command, the table, the page and a study tell it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import make_artifact

from edgebench import artifact
from edgebench.records import jsonio
from edgebench.records.recipe import TrainConfig
from edgebench.records.search import Search, SearchTrial
from edgebench.report import searches, trainings
from edgebench.report.page import searches as page
from edgebench.specs import Artifact
from edgebench.training import search_space, study

GIVEN = TrainConfig(lr=0.005)


def settings(**changed: Any) -> dict[str, Any]:
    return {name: getattr(GIVEN, name) for name in search_space.names()} | changed


def search_of(best: int, lr: float) -> Search:
    return Search(
        trials=(
            SearchTrial(settings=settings(), accuracies=(0.6, 0.7) if best == 0 else (0.6,), seconds=3.0),
            SearchTrial(settings=settings(lr=lr, augment="trivialaugment", mixup=0.3), accuracies=(0.65, 0.69)),
            SearchTrial(settings=settings(lr=9.0), failed="the loss became nan in epoch 1, step 2"),
        ),
        rungs=(3, 2), lengths=(0.9, 2.6666), validation_images=125, seconds=12.345, chosen=best,
    )  # fmt: skip


def searched(path: Path, best: int = 1, lr: float = 0.0021, **changed: Any) -> Artifact:
    """A checkpoint whose recipe a search found."""
    plain, search = make_artifact(format="checkpoint"), search_of(best, lr)
    config = replace(plain.training.config, **search.best.settings, **changed)
    training = replace(plain.training, config=config, search=search)
    made = make_artifact(path, format="checkpoint", training=training)
    record = {"epoch": 1, "validation_accuracy": 0.8, "loss": 1.0, "seconds": 2.0, "images_per_s": 100.0}
    (path / "history.jsonl").write_text(json.dumps(record) + "\n")
    artifact.write_manifest(path, made)
    return artifact.read(path)


def test_the_command_tells_what_was_found_and_how_the_given_recipe_did(tmp_path: Path) -> None:
    assert searches.lines(searched(tmp_path / "a").training) == [
        "search: 3 settings in 12.3 s, on 125 validation images; 69.0% with lr 0.0021, weight decay 0.02, batch 64, "
        "shift 0.1, trivialaugment, mixup 0.3",
        "  the recipe as given: 60.0% in rung 1 of 2, where the best one had 65.0%",
    ]
    assert searches.lines(searched(tmp_path / "b", best=0).training)[1] == "  the recipe as given: it is the best"
    assert searches.lines(make_artifact(format="checkpoint").training) == []


def test_the_table_and_the_page_show_it(tmp_path: Path) -> None:
    checkpoint = searched(tmp_path / "a")
    (row,) = trainings.rows([checkpoint])
    assert row.searched == 3 and row.lr == 0.0021
    html = str(page.tables([checkpoint]))
    for shown in ("0.9 epochs", "2.67 epochs", "chosen", "in rung 1 of 2", "out: the loss became nan", "(as given)"):
        assert shown in html
    assert page.tables([make_artifact(format="checkpoint")]) is None


def test_seeds_whose_searches_found_different_settings_are_averaged_together(tmp_path: Path) -> None:
    found = [searched(tmp_path / str(seed), lr=0.002 + seed / 1000, seed=seed, subset="100") for seed in (0, 1)]
    assert len({c.training.config.lr for c in found}) == 2
    (row,) = study.samples(found)
    assert row.seeds == 2
    plain = make_artifact(format="checkpoint")
    names = study.names([plain, found[0]], but=("subset", "lr"))
    assert "no search" in names[0] and "search 3" in names[1]


def test_a_record_is_read_again_and_old_ones_have_none(tmp_path: Path) -> None:
    checkpoint = searched(tmp_path / "a")
    assert checkpoint.training.search == search_of(1, 0.0021)
    assert "search" not in jsonio.encode(make_artifact(format="checkpoint").training)


@pytest.mark.parametrize("minutes", [None, 5.0])
def test_epochs_that_a_plan_chose_do_not_tell_trainings_apart(tmp_path: Path, minutes: float | None) -> None:
    found = [
        searched(tmp_path / str(epochs), epochs=epochs, seed=epochs, subset="100", minutes=minutes)
        for epochs in (7, 8)
    ]  # fmt: skip
    assert [row.seeds for row in study.samples(found)] == ([2] if minutes else [1, 1])
