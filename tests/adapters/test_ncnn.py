"""ncnn: what its converter and its library do in silence is refused, set or told here."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from adoption import adopted
from edgebench.exporters import ncnn as exporter
from edgebench.exporters.ncnn import NcnnExporter
from edgebench.runtimes.ncnn import INFER, Ncnn
from exports import exported
from foreign import FLOAT, colours, tensor, write
from onnx import helper

from edgebench import artifact
from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError, VerificationFailed
from edgebench.exporting import pipeline
from edgebench.machine.profiles import load_profile
from edgebench.measuring import agreement, running
from edgebench.measuring.options import RunOptions
from edgebench.records.batches import batch_refused
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact, ExportOptions, SessionOptions, TensorSpec
from edgebench.testing import check_runtime


@pytest.fixture(scope="module")
def made(onnx_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    root = tmp_path_factory.mktemp("ncnn")
    return {one: exported("ncnn", onnx_artifact, root / one, one) for one in ("fp32", "fp16")}


def test_in_half_precision_it_keeps_the_contract_too(made: dict[str, Artifact]) -> None:
    check_runtime("ncnn", made["fp16"])


def test_fp32_is_fp32_though_its_own_default_is_half_of_it(made: dict[str, Artifact]) -> None:
    def error(stored: Artifact, stated: Artifact) -> float:
        with Ncnn().open(stated, "cpu", SessionOptions(precision=stated.precision)) as session:
            return agreement.check(session, stored, (1,)).relative_error

    assert error(made["fp32"], made["fp32"]) < 1e-5
    halved = replace(made["fp32"], precision="fp16")  # the same file with the library's own options
    assert error(made["fp32"], halved) > 1e-5
    sizes = {precision: one.size_bytes for precision, one in made.items()}
    assert sizes["fp16"] < 0.6 * sizes["fp32"]


def test_only_whole_pictures_one_at_a_time(made: dict[str, Artifact]) -> None:
    name, images = made["fp32"].inputs[0].name, artifact.read_reference(made["fp32"]).images
    picture = artifact.prepared(images[:1], made["fp32"])
    with Ncnn().open(made["fp32"], "cpu", SessionOptions()) as session:
        known = session.run({name: picture})["logits"]
        for wrong in (np.repeat(picture, 2, axis=0), picture[:, :, 2:], picture[0], picture.astype(np.float64)):
            with pytest.raises(EdgebenchError, match="takes float32") as told:
                session.run({name: wrong})
            assert told.value.fix
        strided = np.asfortranarray(picture)  # the same values, otherwise in memory: Mat would not look
        assert np.array_equal(session.run({name: strided})["logits"], known)
        assert session.effective.precision is None


def test_threads_are_counted_not_believed(made: dict[str, Artifact]) -> None:
    told = []
    for threads in (1, 3, 3):
        with Ncnn().open(made["fp32"], "cpu", SessionOptions(threads=threads)) as session:
            told.append(session.effective.threads)
    assert told[0] == 1 and told[1] in (3, None) and told[2] is None  # its pool stays from session to session


def test_a_batch_is_refused_and_left_out_it_is_1(made: dict[str, Artifact]) -> None:
    why, fix = batch_refused(made["fp32"], 4)
    assert "ncnn files have one batch size" in why and fix == "--batch 1"
    assert batch_refused(made["fp32"], 1) is None
    placed = SimpleNamespace(compute="cpu", evidence="emulated", cores=1, memory_limit_mib=None, stands_in=None)
    (planned,) = running.plan(
        [made["fp32"]], load_profile("cpu"), placed, RunOptions(scenario="evaluate", runtimes=("ncnn",))
    )  # 16 of others
    assert planned.job.batch == 1


@pytest.mark.parametrize(
    ("compute", "options", "told"),
    [
        ("cuda", SessionOptions(), "does not run on 'cuda'"),
        ("cpu", SessionOptions(precision="int8"), "as fp32, not as int8"),
        ("cpu", SessionOptions(extra={"x": "1"}), "no option 'x'"),
    ],
)
def test_what_it_cannot_do_is_refused(
    made: dict[str, Artifact], compute: str, options: SessionOptions, told: str
) -> None:
    with pytest.raises(EdgebenchError, match=told) as error:
        Ncnn().open(made["fp32"], compute, options)
    assert error.value.fix


def test_a_file_of_something_else_is_told(made: dict[str, Artifact], tmp_path: Path) -> None:
    folder = shutil.copytree(made["fp32"].path, tmp_path / "copy")
    (folder / "model.param").write_text("a letter\n")
    with pytest.raises(BadFile, match=r"ncnn .* cannot open .*model\.param"):
        Ncnn().open(replace(made["fp32"], path=folder), "cpu", SessionOptions())


def test_inputs_that_it_has_no_place_for_are_refused_before_anything_is_converted(onnx_artifact: Artifact) -> None:
    for spec in (
        TensorSpec("x", "int64", (1, 4)),
        TensorSpec("x", "float32", (2, 4), (2, 4)),
        TensorSpec("x", "float32", (4,)),
    ):
        with pytest.raises(Unsupported) as told:
            changed = replace(onnx_artifact, inputs=(spec,))
            NcnnExporter().export(changed, Path("nowhere"), ExportOptions(precision="fp32"))
        assert told.value.fix
    with pytest.raises(UsageError, match="ncnn artifacts do not take uint8"):
        pipeline.export(onnx_artifact, "ncnn", Workspace(Path("nowhere")), input="uint8")
    assert not Path("nowhere").exists()


def test_an_operator_that_was_not_converted_is_named(tmp_path: Path) -> None:
    param = tmp_path / "model.param"
    param.write_text("7767517\n3 3\nInput in0 0 1 in0\nTensor.index i 1 1 in0 1\nSoftmax s 1 1 1 out0\n")
    assert exporter._not_converted(param) == ["Tensor.index"]
    param.write_text("1\n")
    with pytest.raises(BadFile, match="another format"):
        exporter._not_converted(param)


def test_an_adopted_model_keeps_its_shapes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sigmoid", ["x"], ["y"]), helper.make_node("Softmax", ["x"], ["z"], axis=1)]
    ends = [tensor("y", FLOAT, (1, 6)), tensor("z", FLOAT, (1, 6))]
    source = adopted(write(tmp_path / "two.onnx", nodes, [tensor("x", FLOAT, (1, 6))], ends), tmp_path / "adopted")
    check_runtime("ncnn", exported("ncnn", source, tmp_path / "made"))


def test_what_its_converter_gets_wrong_in_silence_is_not_kept(tmp_path: Path) -> None:
    """Without a convolution it keeps the batch axis, and ends with code 0: findings/pnnx_batch_axis.sh."""
    source = adopted(colours(tmp_path / "colours.onnx"), tmp_path / "adopted")
    with pytest.raises(VerificationFailed, match=r"does not answer as colours\.onnx"):
        pipeline.export(source, "ncnn", Workspace(tmp_path))
    assert not [*tmp_path.glob("artifacts/*")]


def test_the_lines_for_infer_py_give_the_same_logits(made: dict[str, Artifact]) -> None:
    picture = artifact.prepared(artifact.read_reference(made["fp16"]).images[:1], made["fp16"])
    for precision, one in made.items():
        settings = json.loads(json.dumps({"model": "model.param", "threads": 1, "precision": precision}))
        names = {"HERE": one.path, "SETTINGS": settings, "np": np}
        exec(compile(INFER, "infer.py", "exec"), names)
        with Ncnn().open(one, "cpu", SessionOptions(threads=1, precision=precision)) as session:
            assert np.array_equal(names["run"](picture), session.run({one.inputs[0].name: picture})["logits"])
