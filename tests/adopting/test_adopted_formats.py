"""A .tflite file and an OpenVINO IR of somebody else's become artifacts, or are refused with the reason and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import lite
import numpy as np
import pytest
from adoption import adopted, job
from conftest import needed

from edgebench import artifact as folder
from edgebench.adopting import sizes
from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError
from edgebench.machine import registry
from edgebench.measuring import worker
from edgebench.specs import Artifact, SessionOptions, TensorSpec

openvino = needed("openvino", "edgebench[openvino]")
needed("ai_edge_litert", "edgebench[litert]")


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    root = tmp_path_factory.mktemp("scores")
    return adopted(lite.scores(root / "scores.tflite"), root / "made")


def ir(path: Path, bounds: tuple[int, int] = (2, 8), *, quantized: bool = False) -> Path:
    """An input with two names and one without, of which a dimension has bounds, to outputs with odd names."""
    from openvino import opset13 as operators

    rows = operators.parameter(openvino.PartialShape([openvino.Dimension(*bounds), 4]), np.float32)
    scale = operators.parameter([], np.float32)
    weights = operators.constant(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    taken = rows
    if quantized:
        ends = [operators.constant(np.float32(v)) for v in (-1, 1, -1, 1)]
        taken = operators.fake_quantize(rows, *ends, 255)
    product = operators.multiply(operators.matmul(taken, weights, False, False), scale)
    best = operators.convert(operators.topk(product, np.int64(1), 1, "max", "value").output(1), "i64")
    model = openvino.Model([product, best], [rows, scale], "odd")
    model.inputs[0].get_tensor().set_names({"rows/in put", "zz"})
    model.outputs[0].get_tensor().set_names({"product:0"})
    path.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, str(path), compress_to_fp16=False)  # gives the input a name
    path.write_text(re.sub(r' names="Parameter_\d+"', "", path.read_text()))
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    root = tmp_path_factory.mktemp("rows")
    return adopted(ir(root / "rows.xml"), root / "made")


def test_a_tflite_file_has_sizes_and_a_reference(scores: Artifact) -> None:
    assert scores.inputs == (TensorSpec("rows", "float32", ("rows:0", 4), sizes=(1, 4)),)
    assert [(spec.name, spec.dtype) for spec in scores.outputs] == [("scores", "float32"), ("best", "int64")]
    assert (scores.format, scores.precision, scores.model.parameters) == ("tflite", "fp32", 12)
    assert scores.adopted.reference.startswith("litert ") and scores.adopted.batch == 1
    assert scores.tools == {"schema": "3", "converter": "by hand"}
    weights = folder.read_examples(scores)
    table = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    for request, answer in zip(weights.requests, weights.answers, strict=True):
        assert np.allclose(answer["scores"], request["rows"] @ table.T, atol=1e-6)


@pytest.mark.parametrize(("which", "runtime"), [("scores", "litert"), ("scores", "openvino"), ("rows", "openvino")])
def test_runtimes_answer_as_the_reference_does(which: str, runtime: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    result = worker.run_job(job(made, runtime), made)
    assert result.status == "ok" and result.parity.passed, result.message
    assert [output.name for output in result.parity.outputs] == [spec.name for spec in made.outputs]


def test_the_sizes_of_a_tflite_file_are_what_was_asked_for(scores: Artifact, tmp_path: Path) -> None:
    file = scores.path / "scores.tflite"
    five = adopted(file, tmp_path / "five", shapes={"rows": (5, 4)})
    assert folder.read_examples(five).answers[0]["best"].shape == (5,) and five.adopted.batch == 5
    for runtime in ("litert", "openvino"):
        assert worker.run_job(job(five, runtime), five).status == "ok"
    with pytest.raises(UsageError, match="has 4 where 5 was given"):
        adopted(file, tmp_path / "wrong", shapes={"rows": (1, 5)})


def test_litert_uses_the_threads_that_it_is_asked_for_and_tells_who_computes(scores: Artifact) -> None:
    runtime = registry.load("runtimes", "litert")
    for threads, streams in ((1, 1), (3, 1), (4, 2)):
        with runtime.open(scores, "cpu", SessionOptions(threads=threads, streams=streams)) as session:
            assert session.effective.threads == threads
            assert (session.effective.provider, session.effective.precision) == ("XNNPACK", None)
            found = {layers.provider: layers.count for layers in session.layers()}
            assert found == {"XNNPACK": 1, "LiteRT": 1}  # it has no ARG_MAX
    with pytest.raises(Unsupported, match="not as fp16"):
        runtime.open(scores, "cpu", SessionOptions(precision="fp16"))


def test_names_that_are_missing_or_taken_are_numbers(tmp_path: Path) -> None:
    made = adopted(lite.odd(tmp_path / "odd.tflite"), tmp_path / "made")
    assert [spec.name for spec in made.inputs] == ["a/b c", "input_1", "input_2"]
    assert [spec.name for spec in made.outputs] == ["s\ufffdm", "output_1"]
    examples = folder.read_examples(made)
    for request, answer in zip(examples.requests, examples.answers, strict=True):
        assert np.array_equal(answer["s\ufffdm"], request["a/b c"] - request["input_1"])
        assert np.array_equal(answer["output_1"], answer["s\ufffdm"] - request["input_2"])
    merged = worker.run_job(job(made, "openvino"), made)  # takes tensors of one name for one tensor
    assert merged.status == "failed" and merged.message.startswith("OpenVINO finds 2 inputs ('a/b c', '') and")


def test_bytes_stay_bytes(tmp_path: Path) -> None:
    made = adopted(lite.integer(tmp_path / "integer.tflite"), tmp_path / "made")
    assert (made.precision, made.adopted.quantized, made.model.parameters) == ("int8", "integer", 12)
    assert [spec.dtype for spec in (*made.inputs, *made.outputs)] == ["int8", "int8"]
    assert made.adopted.values == {"bytes": "integers from -128 to 127"}
    assert worker.run_job(job(made, "litert"), made).status == "ok"


def test_what_keeps_a_state_is_not_compared(tmp_path: Path) -> None:
    made = adopted(lite.counting(tmp_path / "counting.tflite"), tmp_path / "made")
    assert made.adopted.unrepeatable == ("state",)
    assert worker.run_job(job(made, "litert"), made).status == "ok"


def test_indices_stay_within_the_table(tmp_path: Path) -> None:
    made = adopted(lite.words(tmp_path / "words.tflite"), tmp_path / "made")
    assert made.adopted.values == {"ids": "integers from 0 to 6"}


def refused(file: Path, out: Path) -> EdgebenchError:
    with pytest.raises(EdgebenchError) as caught:
        adopted(file, out)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: b"I am no model at all", "is not a .tflite file"),
        (lambda data: b"", "is not a .tflite file"),
        (lambda data: data[:24], "is damaged"),
        (lambda data: b"\xff" * 4 + data[4:], "is damaged"),
    ],
)
def test_what_is_no_tflite_file_is_told_before_a_library_opens_it(
    spoil: Callable[[bytes], bytes], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebench.runtimes.litert.LiteRt.open", lambda *given: pytest.fail("it was opened"))
    file = lite.scores(tmp_path / "scores.tflite")
    file.write_bytes(spoil(file.read_bytes()))
    assert told in refused(file, tmp_path / "made").message


def test_an_operator_that_litert_has_not_is_named(tmp_path: Path) -> None:
    error = refused(lite.custom(tmp_path / "custom.tflite"), tmp_path / "made")
    assert "FlexFancy" in error.message and "operators of its own" in error.fix


def test_an_ir_has_names_and_bounds(rows: Artifact) -> None:
    assert rows.inputs == (
        TensorSpec("rows/in put", "float32", ("rows/in put:0[2..8]", 4), sizes=(2, 4)),
        TensorSpec("input_1", "float32", (), sizes=()),
    )
    assert rows.outputs[0].name == "product:0" and rows.outputs[1].dtype == "int64"
    assert (rows.format, rows.precision, rows.model.parameters) == ("openvino", "fp32", 12)
    assert set(rows.files) == {"rows.xml", "rows.bin", folder.REFERENCE} and rows.tools["IR"] == "11"
    assert rows.adopted.reference.startswith("openvino ")


def test_the_bounds_of_a_size_are_kept() -> None:
    spec = TensorSpec("x", "float32", ("x:0[2..8]", 3, "x:2[0..64]", "x:3[300..]"))
    assert sizes.resolved([spec], {})[0].sizes == (2, 3, 64, 300)
    with pytest.raises(UsageError, match=r"'x' cannot have 9 in 'x:0\[2\.\.8\]'"):
        sizes.resolved([spec], {"x": (9, 3, 64, 300)})


def test_a_quantized_ir_is_named_so(tmp_path: Path) -> None:
    made = adopted(ir(tmp_path / "int8.xml", quantized=True), tmp_path / "made")
    assert (made.precision, made.adopted.quantized) == ("int8", "FakeQuantize")
    assert worker.run_job(job(made, "openvino"), made).status == "ok"


def test_what_is_no_ir_is_told(tmp_path: Path) -> None:
    def written(name: str, change: Callable[[str], str], *, weights: bool = True) -> Path:
        file = ir(tmp_path / name / "model.xml")
        file.write_text(change(file.read_text()))
        if not weights:
            file.with_suffix(".bin").unlink()
        return file

    cases = {
        "does not begin as one": written("text", lambda text: "hello"),
        "not an OpenVINO IR": written("other", lambda text: "<?xml version='1.0'?><svg/>"),
        "an IR of version 99; OpenVINO reads 10 and 11": written(
            "new", lambda text: text.replace('version="11"', 'version="99"', 1)
        ),
        "does not read": written("short", lambda text: text[: len(text) // 2]),
        "model.bin, where model.xml keeps weights, is missing": written("alone", lambda text: text, weights=False),
    }
    for told, file in cases.items():
        assert told in refused(file, file.parent / "made").message


def test_an_ir_that_was_exported_here_can_be_adopted(openvino_artifact: Artifact, tmp_path: Path) -> None:
    made = adopted(openvino_artifact.path / "model.xml", tmp_path / "made")
    assert made.inputs[0].dtype == openvino_artifact.inputs[0].dtype
    with pytest.raises(BadFile, match="damaged after it was written"):
        (made.path / "model.bin").unlink()
        (made.path / "model.bin").write_bytes(b"other weights")
        folder.read(made.path)
