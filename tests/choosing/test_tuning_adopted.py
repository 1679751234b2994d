"""An adopted model is tuned at its own batch, over what can be exported of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import foreign
import pytest
from adopted_here import adopted
from conftest import needed

from edgebench.choosing import relatives, tuning
from edgebench.errors import EdgebenchError
from edgebench.exporting import deployable
from edgebench.records.jobs import Job
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact

needed("onnxruntime", "edgebench[onnx]")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Workspace]:
    root = tmp_path_factory.mktemp("tuned")
    return adopted(foreign.plain(root / "plain.onnx"), root)


def test_missing_exports_are_made_of_the_adopted_model(
    made: tuple[Artifact, Workspace], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, workspace = made
    asked: list[tuple] = []
    devices: set[object] = set()

    def export(start: Artifact, target: str, where: Workspace, **given: object) -> None:
        asked.append((start.identity, target, given["precision"]))
        devices.add(given["device"])
        if given["precision"] == "int8":
            given["calibration"]()
        raise EdgebenchError("no")

    monkeypatch.setattr(relatives.pipeline, "export", export)
    told: list[str] = []
    assert (
        relatives.export_missing([source], ("fp32", "int8"), workspace, device="jetson_orin", on_left_out=told.append)
        == []
    )
    assert devices == {"jetson_orin"}, "a plan is built for the board's card"
    assert (source.identity, "openvino", "fp32") in asked and (source.identity, "onnx", "int8") in asked
    assert (source.identity, "onnx", "fp32") not in asked  # it is that itself
    assert any("int8 needs inputs of your own" in one for one in told)
    quantized = replace(source, precision="int8", adopted=replace(source.adopted, quantized="QDQ"))
    asked.clear()
    relatives.export_missing([quantized], ("fp32", "int8"), workspace)
    assert {(target, precision) for _, target, precision in asked} <= {("openvino", "int8"), ("tensorrt", "int8")}
    assert deployable.judging_images(None, source, workspace) is None


def test_an_adopted_model_keeps_its_batch_and_its_precision_is_compared_with(
    made: tuple[Artifact, Workspace],
) -> None:
    source, _ = made
    half = replace(source, precision="fp16")
    assert tuning._base([half, replace(source, origin=half.identity)]) == "fp16" and tuning._base([]) == "fp32"
    job = Job(
        artifact=source.identity, runtime="onnxruntime", device="cpu", compute="cpu", precision="fp32",
        scenario="throughput", threads=1,
    )  # fmt: skip
    assert {each.batch for each in tuning._settings(job, "throughput", (1,))} == {1}
    assert {each.batch for each in tuning._settings(job, "throughput")} == set(tuning.BATCHES)
