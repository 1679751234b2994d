"""A foreign ONNX file becomes an artifact with the reference's answers, or is refused with the reason and the fix."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import foreign
import numpy as np
import pytest
from adoption import OpenerHere, adopted, job
from conftest import needed
from factories import make_artifact

from edgebench import artifact as folder
from edgebench.adopting import adopt as adopting
from edgebench.adopting import inputs, linking, opener, sizes
from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError
from edgebench.machine import locks, registry
from edgebench.machine.children import Ending
from edgebench.measuring import agreement, worker
from edgebench.records.workspace import Workspace
from edgebench.results.rows import rows
from edgebench.specs import Artifact, SessionOptions, TensorSpec

needed("onnxruntime", "edgebench[onnx]")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    root = tmp_path_factory.mktemp("detector")
    return adopted(foreign.detector(root / "detector.onnx"), root / "made", shapes={"images": (1, 3, 12, 16)})


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    root = tmp_path_factory.mktemp("voice")
    return adopted(foreign.voice(root / "voice.onnx"), root / "made")


def test_the_signature_has_sizes_and_values(detector: Artifact, voice: Artifact) -> None:
    (images,) = detector.inputs
    assert images == TensorSpec("images", "float32", ("batch", 3, "height", "width"), sizes=(1, 3, 12, 16))
    assert [spec.name for spec in detector.outputs] == ["scores/mean out", "best", "sure"]
    found = {spec.name: (spec.sizes, voice.adopted.values[spec.name]) for spec in voice.inputs}
    assert found == {
        "input": ((1, 512), "0 to 1"), "state": ((2, 1, 4), "zeros, as at the beginning"), "sr": ((), "16000")
    }  # fmt: skip
    assert voice.adopted.batch == 1 and voice.adopted.inputs == "synthetic" and voice.adopted.seed == 0
    assert voice.training is None and voice.preprocessing is None and voice.model.macs is None


def test_it_reads_as_it_was_written_and_its_identity_depends_on_its_inputs(detector: Artifact, tmp_path: Path) -> None:
    examples = folder.read_examples(detector)
    assert len(examples.requests) == detector.adopted.requests == 8
    assert examples.answers[0]["best"].dtype == np.int64 and examples.answers[0]["sure"].dtype == bool
    file = detector.path / "detector.onnx"
    other = adopted(file, tmp_path / "other", shapes={"images": (1, 3, 12, 18)})
    seeded = adopted(file, tmp_path / "seeded", shapes={"images": (1, 3, 12, 16)}, seed=1)
    again = adopted(file, tmp_path / "again", shapes={"images": (1, 3, 12, 16)})
    assert len({detector.identity, other.identity, seeded.identity}) == 3 and again.identity == detector.identity


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("which", ["detector", "voice"])
def test_runtimes_answer_as_the_reference_does(which: str, runtime: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    result = worker.run_job(job(made, runtime), made)
    assert result.status == "ok", result.message
    parity = result.parity
    assert parity.passed and parity.against == made.adopted.reference and parity.images == 8
    assert [output.name for output in parity.outputs] == [spec.name for spec in made.outputs]
    assert (parity.accuracy, parity.top1_agreement) == (None, None)
    if which == "detector":
        near, *equal = parity.outputs
        assert near.relative_error < 1e-5 and near.cosine > 0.9999 and [each.equal for each in equal] == [1.0, 1.0]
    (row,) = rows([replace(result, job=replace(result.job, scenario="latency"))])
    assert (row.dataset, row.test_accuracy, row.gmacs) == (f"adopted:{made.model.name}", None, None)
    assert row.adopted == f"synthetic inputs, reference: {made.adopted.reference}"


def test_layers_are_told_with_the_inputs_that_it_takes(voice: Artifact) -> None:
    runtime = registry.load("runtimes", "onnxruntime")
    with runtime.open(voice, "cpu", SessionOptions()) as session:
        assert sum(some.count for some in session.layers()) > 0


def test_another_batch_than_it_was_adopted_for_is_refused(detector: Artifact, tmp_path: Path) -> None:
    result = worker.run_job(job(detector, "onnxruntime", batch=2), detector)
    assert result.status == "unsupported" and "--shape" in result.message
    pair = adopted(detector.path / "detector.onnx", tmp_path / "pair", shapes={"images": (2, 3, 12, 16)})
    assert pair.adopted.batch == 2


def test_wrong_answers_are_found_and_named(detector: Artifact, tmp_path: Path) -> None:
    examples = folder.read_examples(detector)
    spoiled = tuple(answer | {"best": answer["best"] + 1} for answer in examples.answers)
    out = tmp_path / "spoiled"
    out.mkdir()
    linking.place(detector.path / "detector.onnx", out / "detector.onnx")
    folder.write_examples(out, detector, folder.Examples(examples.requests, spoiled))
    made = folder.write_manifest(out, detector)
    result = worker.run_job(job(made, "onnxruntime"), made)
    assert result.status == "failed" and not result.parity.passed
    assert result.message.startswith(
        f"its answers are not those of {made.adopted.reference}: output 'best': 0.00% equal"
    )


def test_what_the_reference_does_not_repeat_is_told_and_not_compared(tmp_path: Path) -> None:
    made = adopted(foreign.random(tmp_path / "random.onnx"), tmp_path / "made")
    assert made.adopted.unrepeatable == ("noise",)
    result = worker.run_job(job(made, "onnxruntime"), made)
    assert result.status == "ok" and "not compared" in agreement.explain(result.parity)
    assert "reference_varies" in [notice.code for notice in result.launches[0].notices]


@pytest.mark.parametrize("wrong", ["shape", "missing", "nan", "finite", "far"])
def test_an_output_that_cannot_be_compared_does_not_pass(wrong: str) -> None:
    known = [np.array([1.0, np.inf, 2.0], np.float32)]
    found = {
        "shape": np.zeros(2), "missing": None, "nan": np.array([np.nan, np.inf, 2.0]),
        "finite": np.array([1.0, 5.0, 2.0]), "far": np.array([1.1, np.inf, 2.0]),
    }[wrong]  # fmt: skip
    assert agreement.compared("x", known, known, "fp32").passed
    told = agreement.compared("x", [found], known, "fp32")
    assert not told.passed and bool(told.problem) == (wrong != "far")


def test_indices_are_equal_in_fp32_and_mostly_equal_below() -> None:
    known = [np.arange(100)]
    found = [np.where(np.arange(100) == 7, 8, np.arange(100))]
    assert not agreement.compared("x", found, known, "fp32").passed
    assert agreement.compared("x", found, known, "fp16").equal == 0.99
    assert agreement.compared("x", found, known, "fp16").passed


@pytest.mark.parametrize(
    ("precision", "off", "noticed"), [("int8", 0.2, True), ("int8", 0.01, False), ("fp32", 0, False)]
)
def test_answers_within_wide_bounds_that_are_not_near_are_told(
    detector: Artifact, precision: str, off: float, noticed: bool
) -> None:
    made = replace(detector, precision=precision)
    known = iter(folder.read_examples(detector).answers)

    def run(request: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            name: a + a.dtype.type(off * np.abs(a).max()) if a.dtype.kind == "f" else a
            for name, a in next(known).items()
        }

    parity = agreement.check(SimpleNamespace(run=run), made, (1,))
    told = [notice for notice in agreement.notices(made, parity) if notice.code == "answers_differ"]
    assert parity.passed and len(told) == noticed
    if noticed:
        assert "wide bounds of int8" in told[0].message and "relative error 0.2 (bound 2)" in told[0].message


def test_the_reference_computes_int8_exactly_whatever_the_processor(tmp_path: Path) -> None:
    np.savez(tmp_path / "ones.npz", x=np.ones((1, 4), np.float32))
    made = adopted(foreign.overflowing(tmp_path / "m.onnx"), tmp_path / "made", inputs=(str(tmp_path / "ones.npz"),))
    (answer,) = folder.read_examples(made).answers
    assert made.adopted.quantized and (answer["answer"] == 4 * 255 * 127).all()


def test_indices_stay_within_the_table(tmp_path: Path) -> None:
    made = adopted(foreign.words(tmp_path / "words.onnx"), tmp_path / "made")
    (ids,) = made.inputs
    assert (ids.sizes, made.adopted.values["input_ids"]) == ((1, 128), "integers from 0 to 6")
    assert max(request["input_ids"].max() for request in folder.read_examples(made).requests) == 6


def spec(name: str, shape: tuple, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, dtype, shape)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        (("batch", 3, "height", "width"), "float32", (1, 3, 224, 224)),
        (("x:0", 3, "x:2", "x:3"), "float32", (1, 3, 224, 224)),
        (("n", "h", "w", 3), "uint8", (1, 224, 224, 3)),
        (("x:0", 3, 48, "x:3"), "float32", (1, 3, 48, 320)),
        (("batch_size", "sequence_length"), "int64", (1, 128)),
        (("x:0", "x:1"), "float32", (1, 512)),
        (("b", "audio_samples"), "float32", (1, 16_000)),
        ((), "int64", ()),
    ],
)
def test_open_dimensions_get_sensible_sizes(shape: tuple, dtype: str, expected: tuple) -> None:
    (found,) = sizes.resolved([spec("x", shape, dtype)], {})
    assert found.sizes == expected


def test_a_name_has_one_size_in_all_inputs() -> None:
    both = [spec("a", ("batch", "time")), spec("b", ("time", 4))]
    assert [s.sizes for s in sizes.resolved(both, {"b": (9, 4)})] == [(1, 9), (9, 4)]
    with pytest.raises(UsageError, match="'time' is 5 in one input and 9"):
        sizes.resolved(both, {"a": (1, 5), "b": (9, 4)})


def test_shapes_are_read_from_text() -> None:
    assert sizes.read(["a/b=c=1x3", "sr="]) == {"a/b=c": (1, 3), "sr": ()}
    for wrong in ("images", "=1x3", "x=1,3", "x=1x-3", "x=99999999999"):
        with pytest.raises(UsageError, match="for example --shape"):
            sizes.read([wrong])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"y": (1, 4)}, "no input 'y'"),
        ({"in": (1, 4, 1)}, "has 2 dimensions, 3 were given"),
        ({"in": (1, 5)}, "has 4 where 5 was given"),
        ({"in": (2**31, 4)}, "more than edgebench makes"),
        ({"in": (0, 4)}, "'in' is 0×4: with a size of 0 it holds nothing"),
    ],
)
def test_a_shape_that_the_model_does_not_take(given: dict, told: str) -> None:
    with pytest.raises(EdgebenchError, match=told):
        sizes.resolved([spec("in", ("batch", 4))], given)


def test_an_input_that_holds_nothing_is_refused_but_for_an_empty_cache() -> None:
    """Such a model was adopted and measured: nothing, in no time."""
    with pytest.raises(UsageError, match="holds nothing") as refused:
        sizes.resolved([spec("in", ("batch", 3, 0, 224))], {})
    assert "--shape in=" in refused.value.fix
    with pytest.raises(UsageError, match="holds nothing") as refused:
        sizes.resolved([spec("in", (1, 0))], {})
    assert "export the model again" in refused.value.fix
    (made,) = sizes.resolved([spec("past_key_values", (1, 8, "past", 64))], {"past_key_values": (1, 8, 0, 64)})
    assert made.sizes == (1, 8, 0, 64)


def test_the_users_inputs(tmp_path: Path) -> None:
    file = foreign.voice(tmp_path / "voice.onnx")
    arrays = {"input": np.ones((1, 640), np.float32), "state": np.ones((2, 1, 4), np.float32), "sr": np.int64(8000)}
    np.savez(tmp_path / "one.npz", **arrays)
    made = adopted(file, tmp_path / "made", inputs=(str(tmp_path / "one.npz"),))
    assert made.adopted.inputs == "given" and made.adopted.seed is None and made.adopted.requests == 1
    assert [s.sizes for s in made.inputs] == [(1, 640), (2, 1, 4), ()] and made.adopted.values == {}
    wrong = {
        "lacks 'sr'": {k: v for k, v in arrays.items() if k != "sr"}, "has 'more' too": arrays | {"more": np.ones(1)},
        "takes float32": arrays | {"input": np.ones((1, 640))},
        "no file of arrays": arrays | {"sr": np.array([{}], dtype=object)},
    }  # fmt: skip
    for told, content in wrong.items():
        np.savez(tmp_path / "bad.npz", **content)
        with pytest.raises(EdgebenchError, match=told):
            inputs.given([tmp_path / "bad.npz"], made.inputs)


def refused(make: Callable[[Path], Path], root: Path) -> EdgebenchError:
    with pytest.raises(EdgebenchError) as caught:
        adopted(make(root / "model.onnx"), root / "made")
    assert caught.value.fix
    return caught.value


def test_what_cannot_be_measured_is_refused_by_name(tmp_path: Path) -> None:
    sequence = foreign.helper.make_tensor_sequence_value_info("in", foreign.FLOAT, [1])
    node = foreign.helper.make_node("Identity", ["in"], ["out"])
    out = foreign.tensor("out", foreign.FLOAT, [1])
    cases: dict[str, Callable[[Path], Path]] = {
        "'in' is a sequence": lambda path: foreign.write(path, [node], [sequence], [out]),
        "'in' is string": lambda path: foreign.plain(path, kind=foreign.STRING),
        "'in' is bfloat16": lambda path: foreign.plain(path, kind=foreign.TensorProto.BFLOAT16),
        "inputs of the same name: 'in'": lambda path: foreign.write(
            path, [node], [foreign.tensor("in", foreign.FLOAT, [1])] * 2, [out]
        ),
        "an output without a name": lambda path: foreign.write(
            path, [node], [foreign.tensor("in", foreign.FLOAT, [1])], [foreign.tensor("", foreign.FLOAT, [1])]
        ),
        "more than edgebench makes": lambda path: foreign.plain(path, (1_000_000, 1_000_000)),
        "leaves open how many dimensions": lambda path: foreign.plain(path, None),
        "is not an ONNX file": lambda path: (path.write_bytes(b"hello, I am no model"), path)[1],
        "(?s)opset 99": lambda path: foreign.plain(path, opset=99),
        "(?s)IR 99": lambda path: foreign.plain(path, ir=99),
        "outside of its folder": lambda path: foreign.heavy(path, "../weights.bin"),
        "outside of its folde": lambda path: foreign.heavy(path, "/etc/passwd"),
        "in a folder below": lambda path: foreign.heavy(path, "data/weights.bin"),
        "is missing": lambda path: foreign.heavy(path, "other.bin"),
        "a file 'artifact.json' of its own": lambda path: foreign.heavy(path, "artifact.json"),
    }
    for i, (told, make) in enumerate(cases.items()):
        root = tmp_path / str(i)
        root.mkdir()
        error = refused(make, root)
        assert re.search(told, error.message), (told, error.message)


def test_weights_beside_the_model_come_along_but_not_through_a_link_that_leads_out(tmp_path: Path) -> None:
    file = foreign.heavy(tmp_path / "in" / "heavy.onnx")
    made = adopted(file, tmp_path / "made")
    assert set(made.files) == {"heavy.onnx", "weights.bin", folder.REFERENCE} and made.model.parameters == 8
    (tmp_path / "in" / "weights.bin").rename(tmp_path / "weights.bin")
    (tmp_path / "in" / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(BadFile, match="leads out of its folder"):
        adopted(file, tmp_path / "again")


def test_a_file_is_linked_and_stays_as_it_is(tmp_path: Path) -> None:
    file = foreign.plain(tmp_path / "plain.onnx")
    file.chmod(0o600)
    made = adopted(file, tmp_path / "made")
    there = made.path / "plain.onnx"
    assert there.read_bytes() == file.read_bytes() and file.stat().st_mode & 0o777 == 0o600
    if not there.samefile(file):  # a reflink, or a copy where there are no links
        assert there.stat().st_mode & 0o777 == 0o644


def test_a_large_file_is_not_read_into_memory(tmp_path: Path) -> None:
    signature = registry.load("runtimes", "onnxruntime").signature
    made = foreign.plain(tmp_path / "large.onnx", weights={"w": np.zeros(8 << 20, np.float32)})
    tracemalloc.start()
    assert signature(made).parameters == 8 << 20
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_the_file_itself_is_adopted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a process of its own; then found again, until its bytes or settings differ."""
    workspace, file = Workspace(tmp_path / "runs"), foreign.plain(tmp_path / "plain.onnx")
    made = adopting.read(file, workspace)
    assert made.path.parent == workspace.artifacts and made.path.name.startswith("plain-")
    assert workspace.newest_artifacts() == [made]
    monkeypatch.setattr(adopting, "Opener", lambda: pytest.fail("it was adopted once more"))
    assert adopting.read(file, workspace) == made == adopting.read(made.path, workspace)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="no input 'x'"):
        adopting.adopt(file, workspace, shapes={"x": (1,)})
    assert [path.name for path in workspace.artifacts.iterdir()] == [made.path.name]


def test_a_size_for_pictures_is_that_of_a_file_which_leaves_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `evaluate FILE --preprocess`; without a size it is the artifact that `run FILE` measures."""
    workspace, file = Workspace(tmp_path / "runs"), foreign.detector(tmp_path / "boxes.onnx")

    monkeypatch.setattr(adopting, "Opener", OpenerHere)
    with pytest.raises(UsageError, match="KEY=VALUE"):
        adopting.read(file, workspace, preprocess="yolo,sise")
    assert not workspace.artifacts.exists(), "a refused one leaves nothing"
    sized = adopting.read(file, workspace, preprocess="yolo,size=32")
    assert sized.inputs[0].sizes == (1, 3, 32, 32) and sized.preprocessing.height == 32
    assert [path.name for path in workspace.artifacts.iterdir()] == [sized.path.name]
    assert adopting.read(file, workspace, preprocess="yolo,size=32") == sized
    assert adopting.adopt(file, workspace, preprocess="yolo,size=32", again=False) == sized
    plain = adopting.read(file, workspace, preprocess="yolo")
    assert plain == adopting.read(file, workspace) != sized and plain.preprocessing is None


def test_a_process_that_is_asked_nothing_ends_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started before the request is read, so also for one that is refused."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    open_files = len(os.listdir("/proc/self/fd"))
    with opener.Opener() as started:
        assert started._child.ended() is None and list(tmp_path.iterdir())
    assert started._child.ended() and not list(tmp_path.iterdir())
    assert len(os.listdir("/proc/self/fd")) == open_files
    with pytest.raises(BadFile, match="does not exist"), opener.Opener() as started:
        adopting.adopt(tmp_path / "no.onnx", Workspace(tmp_path / "runs"), opener=started)
    assert not list(tmp_path.iterdir())


def test_a_library_that_crashes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = foreign.plain(tmp_path / "plain.onnx")
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"

    class Crashing(opener.Child):
        def __init__(self, command: list[str], **given: Any) -> None:
            super().__init__([sys.executable, "-c", crash], **given)

    monkeypatch.setattr(opener, "Child", Crashing)
    with pytest.raises(Unsupported, match="the process that opened it was killed by SIGSEGV"):
        adopting.adopt(file, Workspace(tmp_path / "runs"))
    assert not list((tmp_path / "runs" / "artifacts").iterdir())


def test_what_a_killed_process_left_is_deleted_and_what_another_makes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "runs")
    left, live = (workspace.artifacts / f"{adopting.UNFINISHED}{name}" for name in "ab")
    for path in (left, live):
        path.mkdir(parents=True)
        (path / "model.onnx").write_bytes(b"half")
    held = os.open(live, os.O_RDONLY)
    assert locks.taken(held)
    monkeypatch.setattr(adopting, "Opener", OpenerHere)
    made = adopting.adopt(foreign.plain(tmp_path / "plain.onnx"), workspace)
    assert {path.name for path in workspace.artifacts.iterdir()} == {live.name, made.path.name}
    os.close(held)


def test_a_model_that_does_not_answer_in_time_is_told_with_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Slow:
        """A process that reads the question, opens the model and answers nothing."""

        def __init__(self, command: list[str], **given: Any) -> None:
            pass

        def wait(self, *, phase_limit_s: float, on_phase: Any, on_wait: Any, **given: Any) -> Ending:
            assert phase_limit_s == 20
            on_phase("answering request 1 of 9")
            for seconds in (1.0, 5.2, 5.9, 10.3):
                on_wait(seconds)
            return Ending(cause="timeout")

        def stop(self) -> None:
            pass

    monkeypatch.setattr(opener, "Child", Slow)
    with pytest.raises(EdgebenchError, match="not adopted: answering request 1 of 9 took more than 20 s") as caught:
        adopting.adopt(
            foreign.plain(tmp_path / "plain.onnx"), Workspace(tmp_path / "runs"), time_limit_s=20, tell=told.append
        )
    assert "--time-limit 40" in caught.value.fix and not list((tmp_path / "runs" / "artifacts").iterdir())
    stage = "answering request 1 of 9"
    assert told == ["reading the file", stage, f"{stage}: 5 s, of at most 20", f"{stage}: 10 s, of at most 20"]


def test_what_is_no_model_file(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(os.urandom(8))
    wrong = {
        tmp_path: "is a folder",
        tmp_path / "no.onnx": "does not exist",
        tmp_path / "net.pth": "nothing says which network",
    }
    for path, told in wrong.items():
        with pytest.raises(EdgebenchError, match=told):
            adopting.adopter(path)


def test_what_needs_a_training_refuses_it(detector: Artifact) -> None:
    with pytest.raises(Unsupported, match=r"cannot be evaluated: it was adopted from detector\.onnx"):
        folder.trained(detector, "evaluated")


def test_what_was_made_last_is_exported_whether_trained_or_adopted(tmp_path: Path) -> None:
    """`export` without a name, right after `adopt`, said "make one: `edgebench train`"."""
    workspace = Workspace(tmp_path / "runs")
    with pytest.raises(EdgebenchError, match="no adopted model"):
        workspace.newest_source()
    made = adopting.adopt(foreign.plain(tmp_path / "plain.onnx"), workspace, opener=OpenerHere())
    assert workspace.newest_source() == made
    for created, newest in (("2020-01-01T00:00:00+00:00", made.identity), ("2999-01-01T00:00:00+00:00", None)):
        trained = make_artifact(workspace.checkpoints / created[:4], format="checkpoint", created=created)
        assert workspace.newest_source().identity == (newest or trained.identity)
