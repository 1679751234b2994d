"""What a sweep looks up before any work: a step is another one if its teacher or its frames are others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from datasets import write_images
from factories import make_artifact

from edgebench.errors import EdgebenchError
from edgebench.records.recipe import TrainConfig
from edgebench.sweeping import facts


def contents(teacher: Path, folder: Path) -> dict[str, str]:
    config = TrainConfig(distill=str(teacher), unlabelled=str(folder))
    return facts.find(facts.Question(configs=(config,), targets=())).contents[facts.key(config)]


def test_the_teacher_and_the_frames_decide_on_a_step_and_not_where_they_are(tmp_path: Path) -> None:
    teacher = make_artifact(tmp_path / "teacher", format="checkpoint").path
    other = make_artifact(tmp_path / "other", format="checkpoint", content=b"other").path
    folder = write_images(tmp_path / "frames", 2)
    found = contents(teacher, folder)
    assert set(found) == {"dataset", "init", "distill", "unlabelled"}
    assert contents(shutil.copytree(teacher, tmp_path / "t"), shutil.copytree(folder, tmp_path / "f")) == found
    assert contents(other, folder)["distill"] != found["distill"]
    (folder / "cat" / "000.png").unlink()
    assert contents(teacher, folder)["unlabelled"] != found["unlabelled"]


def test_a_teacher_or_a_folder_that_is_missing_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match="is no checkpoint's folder"):
        contents(tmp_path / "nowhere", tmp_path)
    teacher = make_artifact(tmp_path / "teacher", format="checkpoint").path
    with pytest.raises(EdgebenchError, match="holds no images"):
        (tmp_path / "empty").mkdir()
        contents(teacher, tmp_path / "empty")
