"""An adopted model is exported as one of ours is, and its answers have to be those of the file that was adopted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import foreign
import numpy as np
import onnx
import onnxruntime
import pytest
from adopted_here import adopted, exports_here
from conftest import needed
from edgebench.exporters import openvino as openvino_exporter
from edgebench.runtimes import openvino_refusals

from edgebench import artifact as folder
from edgebench.adopting import inputs
from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError, VerificationFailed
from edgebench.exporting import building, calibrating, pipeline, quantize
from edgebench.exporting.pipeline import UnfinishedExport
from edgebench.machine import registry
from edgebench.measuring import worker
from edgebench.records.jobs import Job
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace
from edgebench.report.page import reproduce
from edgebench.specs import Artifact

needed("onnxruntime", "edgebench[onnx]")
needed("openvino", "edgebench[openvino]")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    exports_here(monkeypatch)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Workspace]:
    root = tmp_path_factory.mktemp("voice")
    return adopted(foreign.voice(root / "voice.onnx"), root)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Workspace]:
    root = tmp_path_factory.mktemp("detector")
    return adopted(foreign.detector(root / "my detector.onnx"), root, shapes={"images": (2, 3, 12, 16)})


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("which", ["voice", "detector"])
def test_openvino_answers_as_the_file_does(which: str, request: pytest.FixtureRequest) -> None:
    source, workspace = request.getfixturevalue(which)
    done = pipeline.export(source, "openvino", workspace)
    made, parity = done.artifact, done.parity
    assert made.path.name == source.path.name.replace("-onnx", "-openvino")
    assert made.format == "openvino" and made.origin == made.source == source.identity
    assert (made.inputs, made.outputs, made.adopted) == (source.inputs, source.outputs, source.adopted)
    assert parity.passed and parity.against == source.adopted.reference and parity.batches == (source.adopted.batch,)
    assert [output.name for output in parity.outputs] == [spec.name for spec in source.outputs]
    mine, theirs = folder.read_examples(made), folder.read_examples(source)
    assert all(np.array_equal(mine.answers[0][name], array) for name, array in theirs.answers[0].items())
    assert {each.identity for each in workspace.family(made)} >= {source.identity, made.identity}
    assert {each.identity for each in workspace.family(source)} >= {source.identity, made.identity}


@pytest.mark.usefixtures("here")
def test_fp16_keeps_inputs_outputs_and_weights_beside_the_file(tmp_path: Path) -> None:
    source, workspace = adopted(foreign.heavy(tmp_path / "heavy.onnx"), tmp_path)  # its weights are a hard link now
    made = pipeline.export(source, "onnx", workspace, precision="fp16").artifact
    assert made.path.name.endswith("-onnx-fp16") and made.precision == "fp16" and set(made.files) == {
        "model.onnx", folder.REFERENCE,
    }  # fmt: skip
    graph = onnx.load(folder.model_file(made, ".onnx")).graph
    assert graph.initializer[0].data_type == onnx.TensorProto.FLOAT16
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    job = Job(
        artifact=made.identity, runtime="onnxruntime", device="cpu", compute="cpu", precision="fp16", scenario="verify"
    )
    assert worker.run_job(job, made).status == "ok"
    with pytest.raises(EdgebenchError, match="already onnx"):
        pipeline.export(source, "onnx", workspace)
    with pytest.raises(EdgebenchError, match="rounded away") as error:
        pipeline.export(made, "openvino", workspace, precision="fp32")
    assert "adopt" in error.value.fix


def test_what_cannot_be_made_is_told(voice: tuple[Artifact, Workspace]) -> None:
    source, workspace = voice
    with pytest.raises(Unsupported, match="--input uint8 would change them"):
        pipeline.export(source, "openvino", workspace, input="uint8")
    quantized = replace(source, precision="int8", adopted=replace(source.adopted, quantized="QDQ"))
    with pytest.raises(Unsupported, match=r"quantized already \(QDQ, int8\): it is not made fp16"):
        pipeline.export(quantized, "onnx", workspace, precision="fp16")
    stored = replace(source, adopted=replace(source.adopted, quantized="fp16 weights"))
    with pytest.raises(Unsupported, match="has its weights stored in fp16 already: it is not made fp16"):
        pipeline.export(stored, "onnx", workspace, precision="fp16")
    alone = replace(source, format="openvino")
    with pytest.raises(Unsupported, match="is openvino, from which edgebench makes no other format"):
        pipeline.export(alone, "onnx", Workspace(workspace.root / "elsewhere"))
    if registry.load_object("exporters", "tensorrt").verify_on == "cuda":
        with pytest.raises((UnfinishedExport, EdgebenchError), match=source.path.name):
            pipeline.export(source, "tensorrt", workspace)


@pytest.mark.usefixtures("here")
def test_other_answers_are_refused_and_nothing_is_left(
    voice: tuple[Artifact, Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = voice

    def spoiled(asked: building.Build, out: Path) -> building.BuildAnswer:
        answer = made(asked, out)
        text = (out / "model.xml").read_text()
        assert 'type="Add"' in text
        (out / "model.xml").write_text(text.replace('type="Add"', 'type="Subtract"'))
        return answer

    made = building.perform
    monkeypatch.setattr(building, "perform", spoiled)
    with pytest.raises(VerificationFailed, match=r"voice.onnx on onnxruntime .*output 'next': relative error"):
        pipeline.export(source, "openvino", Workspace(tmp_path))
    assert list((tmp_path / "artifacts").iterdir()) == []


@pytest.mark.parametrize(
    ("precision", "fix"),
    [("fp16", "--precision fp32; or keep fp16 for another --target"), ("fp32", "another --target")],
)
def test_the_fix_of_other_answers_is_what_a_user_can_do(
    precision: str, fix: str, voice: tuple[Artifact, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has only the file cannot change the model."""
    monkeypatch.setattr(pipeline.agreement, "explain", lambda parity: "far off")
    wrong = SimpleNamespace(status="failed", parity=object())
    monkeypatch.setattr(pipeline.process, "run_job", lambda job, artifact, **given: wrong)
    exporter = SimpleNamespace(verify_with="openvino", verify_on="cpu")
    with pytest.raises(VerificationFailed, match="far off") as refused:
        pipeline._verify(replace(voice[0], precision=precision), exporter, None, lambda stage: None)
    assert refused.value.fix.startswith(fix)


def test_what_openvino_refuses_is_measured_by_another(
    voice: tuple[Artifact, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise RuntimeError("If: not taken")

    monkeypatch.setattr("openvino.convert_model", refuse)
    steered = replace(voice[0], adopted=replace(voice[0].adopted, steered_by=("If",)))
    with pytest.raises(EdgebenchError, match="If: not taken") as refused:
        openvino_exporter._converted(steered)
    run = f"`edgebench run {steered.path} --runtime onnxruntime`"
    assert run in refused.value.fix and "operators" not in refused.value.fix
    told = openvino_refusals.unsupported("read", RuntimeError("page\nIf: not taken"), "onnx")
    assert told.fix == "--runtime onnxruntime, or a newer openvino"
    assert openvino_refusals.unsupported("read", RuntimeError("no"), "openvino").fix == "a newer openvino"


@pytest.mark.parametrize(
    ("format", "exported", "fix"),
    [
        ("openvino", True, "`edgebench export … --target openvino --precision fp32`"),
        ("onnx", False, "--runtime onnxruntime"), ("tflite", False, "--runtime litert"),
        ("openvino", False, "a file in fp32"),
    ],
)  # fmt: skip
def test_a_precision_that_the_cpu_does_not_run_says_what_to_type(
    voice: tuple[Artifact, Workspace], format: str, exported: bool, fix: str
) -> None:
    given = replace(voice[0], format=format, source="0123456789abcdef" if exported else None)
    assert openvino_refusals.precision("bf16", "f32", given, "CPU").fix == fix


def test_a_library_that_crashes_on_the_model_is_told(
    voice: tuple[Artifact, Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    started = building.Child
    monkeypatch.setattr(building, "Child", lambda command: started([command[0], *crashing]))
    with pytest.raises(Unsupported, match="not exported to openvino: the process that did it was killed by SIGSEGV"):
        pipeline.export(voice[0], "openvino", Workspace(tmp_path))


def test_an_exporter_works_in_a_process_of_its_own(voice: tuple[Artifact, Workspace], tmp_path: Path) -> None:
    gone = replace(voice[0], path=tmp_path / "gone")
    exporter = registry.load("exporters", "openvino")
    with pytest.raises(BadFile, match="gone does not exist"):
        building.build(exporter, "openvino", gone, tmp_path, pipeline.ExportOptions())


def test_calibration_inputs_are_divided_and_told_apart(detector: tuple[Artifact, Workspace]) -> None:
    source, _ = detector
    random = np.random.default_rng(0)
    many = [{"images": random.random((2, 3, 12, 16), np.float32)} for _ in range(20)]
    with pytest.raises(UsageError, match=r"int8 needs inputs of your own: those of .* were generated"):
        calibrating.inputs(source, source, [])
    with pytest.raises(UsageError, match="3 calibration inputs are too few"):
        calibrating.inputs(source, source, many[:3])
    with pytest.raises(UsageError, match=r"'images' of \(1, 3, 12, 16\), the model was adopted with \(2, 3, 12, 16\)"):
        calibrating.inputs(source, source, [{"images": one["images"][:1]} for one in many])
    divided = calibrating.inputs(source, source, many)
    assert (len(divided.requests), len(divided.held_out), divided.apart) == (16, 4, True)
    few = calibrating.inputs(source, source, many[:10])
    assert (len(few.requests), len(few.held_out), few.apart) == (10, 10, False)
    given = replace(source, adopted=replace(source.adopted, inputs="given"))
    others = calibrating.inputs(given, source, many)  # its own are real, and others
    assert (len(others.requests), others.held_out, others.apart) == (20, (), True)
    own = list(folder.read_examples(source).requests)
    assert len(calibrating.inputs(given, source, own + many).held_out) == 5  # some of its own are among them


@pytest.mark.usefixtures("here")
def test_int8_rests_on_the_users_inputs_and_answers_others(
    detector: tuple[Artifact, Workspace], tmp_path: Path
) -> None:
    needed("nncf", "edgebench[int8]")
    (source, workspace), random = detector, np.random.default_rng(0)
    for i in range(12):
        np.savez(tmp_path / f"{i}.npz", images=random.random((2, 3, 12, 16), np.float32))
    given = inputs.calibration([tmp_path], source, 300)
    done = pipeline.export(
        source, "openvino", workspace, precision="int8",
        calibration=lambda: pipeline.calibration(source, workspace, 300, lambda: given),
    )  # fmt: skip
    made = done.artifact
    assert made.path.name.endswith("-openvino-int8") and made.precision == "int8" and "nncf" in made.tools
    known = made.adopted
    assert (known.calibrated, known.held_out, known.requests, known.inputs, known.seed) == (10, True, 2, "given", None)
    assert done.parity.passed and done.parity.images == 2 and done.parity.against == source.adopted.reference
    kept, read = folder.read_examples(made), onnxruntime.InferenceSession(folder.model_file(source, ".onnx"))
    assert any(np.array_equal(kept.requests[0]["images"], one["images"]) for one in given)
    assert np.array_equal(read.run(["best"], kept.requests[0])[0], kept.answers[0]["best"])
    with pytest.raises(Unsupported, match="--accuracy-drop counts right answers"):
        pipeline.export(source, "openvino", workspace, precision="int8", accuracy_drop=0.1)


def test_int8_by_name_only_is_refused(voice: tuple[Artifact, Workspace]) -> None:
    steered = replace(voice[0], adopted=replace(voice[0].adopted, steered_by=("If",)))
    with pytest.raises(Unsupported, match="no layer of voice to quantize, being inside of If"):
        quantize.check_done(steered, ["If", "Add"])
    quantize.check_done(steered, ["If", "QuantizeLinear"])


def test_a_result_of_an_export_tells_how_to_make_it_again(voice: tuple[Artifact, Workspace]) -> None:
    source, _ = voice
    made = replace(source, format="openvino", origin=source.identity, precision="int8")
    made = replace(made, adopted=replace(made.adopted, calibrated=12))
    job = Job(artifact="", runtime="openvino", device="cpu", compute="cpu", precision="int8", scenario="latency")
    result = Result(
        job=job, artifact=made, status="ok", evidence="measured", created="2026-01-01T00:00:00.000000+00:00"
    )
    _, export, run = reproduce.commands(result).splitlines()
    assert export == (
        "edgebench export repeat/adopted --target openvino --precision int8 --calibration CALIBRATION --out "
        "repeat/openvino"
    )
    assert run.startswith("edgebench run repeat/openvino")
    assert list(reproduce.remarks(result)) == [
        "int8 was calibrated on 12 requests of the user's: give the same with --calibration."
    ]
