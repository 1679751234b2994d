"""How the folder of an export is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factories import make_artifact
from PIL import Image

from edgebench.exporting import pipeline
from edgebench.records.recipe import TrainConfig
from edgebench.training import data


def test_no_name_holds_the_path_of_a_folder_or_of_a_file(tmp_path: Path) -> None:
    for name in ("red", "blue"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (32, 32), name).save(tmp_path / "photos" / name / f"{i}.png")
    config = TrainConfig(model=f"{tmp_path / 'own.py'}:net", dataset=str(tmp_path / "photos"))
    base = make_artifact(origin="a" * 64)
    told = replace(base.training.data, dataset=data.of(config).name)
    made = replace(base, training=replace(base.training, config=config, data=told))
    assert pipeline.folder_name(made, "onnx", "fp16", "float32") == "own.py_net-photos-aaaaaaaa-onnx-fp16"
