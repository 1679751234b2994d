"""Dataclasses to JSON and back: what is written reads back equal, what does not fit is one BadFile, no file is half."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import threading
import typing
from pathlib import Path
from typing import Any

import pytest
from generated import JSON, ODD, places, replaced, values
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgebench import specs
from edgebench.choosing.budget import PickProgress
from edgebench.choosing.tuning import Tuned
from edgebench.errors import BadFile, NewerFile
from edgebench.machine.clocks import Before
from edgebench.records import decoding, jsonio
from edgebench.records.jobs import Job
from edgebench.records.recipe import TrainConfig
from edgebench.records.result import Result, Samples, Summary
from edgebench.records.values import DEEPEST
from edgebench.specs import Artifact, DataSplit, ModelInfo, Preprocessing, TensorSpec
from edgebench.sweeping.steps import StepOutcome

HOLD_IMAGES = {specs.Calibration, specs.ExportOptions}  # in memory alone
KINDS = sorted(
    (kind for kind in vars(specs).values() if dataclasses.is_dataclass(kind) and kind not in HOLD_IMAGES),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_dataclass_reads_back_equal_and_with_equal_text(kind: type, tmp_path: Path) -> None:
    file = tmp_path / "value.json"

    @settings(max_examples=15)
    @given(values(kind))
    def check(value: Any) -> None:
        jsonio.write(file, value)
        assert jsonio.read(kind, file) == value
        text = jsonio.dumps(value)
        assert jsonio.dumps(jsonio.decode(kind, json.loads(text), "here")) == text
        assert text.isascii()

    check()


def test_the_order_of_keys_does_not_show() -> None:
    forward, backward = {"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": 2, "x": 1}, "a": 1}
    assert jsonio.dumps(forward) == jsonio.dumps(backward) == '{"a":1,"b":{"x":1,"y":2}}'
    one = ModelInfo(name="m", timm_name="m", arguments=forward, parameters=1, macs=2)
    assert jsonio.dumps(one) == jsonio.dumps(dataclasses.replace(one, arguments=backward))


def test_a_path_does_not_travel() -> None:
    assert "path" not in jsonio.encode(ARTIFACT)


@settings(max_examples=60)
@given(st.sampled_from(KINDS), JSON)
@example(Summary, {"n": 1})
@example(Samples, [])
@example(Job, {})
def test_arbitrary_json_raises_nothing_but_badfile(kind: type, data: Any) -> None:
    try:
        value = jsonio.decode(kind, data, "here")
    except BadFile as error:
        assert error.message.startswith("here")
    else:
        assert isinstance(value, kind)


@settings(max_examples=100)
@given(data=st.data())
def test_one_wrong_value_raises_nothing_but_badfile(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    good = json.loads(jsonio.dumps(data.draw(values(kind))))
    bad = replaced(good, data.draw(st.sampled_from(places(good))), data.draw(JSON | ODD))
    try:
        value = jsonio.decode(kind, bad, "here")
    except BadFile as error:
        assert error.message.startswith("here")
    else:
        assert jsonio.decode(kind, json.loads(jsonio.dumps(value)), "here") == value


def test_arbitrary_bytes_raise_nothing_but_badfile(tmp_path: Path) -> None:
    file = tmp_path / "value.json"

    @settings(max_examples=60)
    @given(st.binary(max_size=40))
    @example(b"")
    @example(b"\xff\xfe{}")
    @example(b"[" * 100_000)
    @example(b'{"a":' * 100_000)
    @example(b'{"n": ' + b"9" * 5000 + b"}")
    def check(content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(BadFile):
            jsonio.read(Summary, file)

    check()


def test_nesting_of_any_depth_raises_nothing_but_badfile(tmp_path: Path) -> None:
    file = tmp_path / "value.json"
    limit = sys.getrecursionlimit()
    for depth in [*range(10, limit, 50), *range(limit - 100, limit + 20, 5)]:
        file.write_text('{"n": ' + "[" * depth + "]" * depth + "}")
        with pytest.raises(BadFile):
            jsonio.read(Summary, file)


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        jsonio.read(Job, tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(BadFile, match=r"folder\.json"):
        jsonio.read(Job, tmp_path / "folder.json")


JOB = Job(artifact="0" * 64, runtime="onnxruntime", device="cpu", compute="cpu", threads=2)
ARTIFACT = Artifact(
    format="onnx",
    precision="fp32",
    inputs=(TensorSpec("input", "float32", ("batch", 3, 8, 8)),),
    outputs=(),
    preprocessing=Preprocessing(height=8, width=8, mean=(0.5,), std=(0.5,)),
    model=ModelInfo(name="m", timm_name="m", arguments={}, parameters=1, macs=2),
    training=specs.Training(
        config=TrainConfig(model="m", image_size=8, epochs=1, batch_size=8, lr=0.1, flip=False, threads=1),
        data=DataSplit(dataset="digits", classes=("0", "1"), train=1, validation=1, test=1, indices_sha256=""),
        best_epoch=1,
        validation_accuracy=0.5,
        test_accuracy=0.5,
        seconds=1.0,
    ),
    files={},
    tools={},
    created="2026-01-01T00:00:00.000000+00:00",
    path=Path("/somewhere"),
)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"speed": 1}, "unknown key 'speed'"),
        ({"batch": "1"}, "batch: expected int"),
        ({"batch": 1.0}, "batch: expected int"),
        ({"batch": True}, "batch: expected int"),
        ({"batch": None}, "batch: expected int"),
        ({"threads": False}, "threads: expected int"),
        ({"threads": 2.5}, "threads: expected int"),
        ({"warmup_s": "0.5"}, "warmup_s: expected float"),
        ({"warmup_s": True}, "warmup_s: expected float"),
        ({"warmup_s": None}, "warmup_s: expected float"),
        ({"runtime": 1}, "runtime: expected str"),
        ({"runtime": None}, "runtime: expected str"),
        ({"precision": "fp64"}, "precision: expected one of fp32"),
        ({"precision": ["fp32"]}, "precision: expected one of fp32"),
        ({"options": []}, "options: expected"),
        ({"options": {"a": 1}}, "options.a: expected str"),
    ],
)
def test_nothing_is_guessed_or_coerced(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadFile) as caught:
        jsonio.decode(Job, jsonio.encode(JOB) | change, "job.json")
    assert "job.json" in caught.value.message and says in caught.value.message


@pytest.mark.parametrize("item", [True, 2.0, "2", None])
def test_a_sample_is_an_integer(item: Any) -> None:
    with pytest.raises(BadFile, match=r"latency_ns\[1\]: expected int"):
        jsonio.decode(Samples, {"latency_ns": [1, item, 3], "warmup_ns": [], "wall_ns": 6}, "samples")


def test_the_place_of_a_wrong_value_is_named() -> None:
    data = jsonio.encode(ARTIFACT)
    data["inputs"][0]["shape"][1] = 0.5
    with pytest.raises(BadFile, match=r"artifact\.json\.inputs\[0\]\.shape\[1\]: expected .*0\.5"):
        jsonio.decode(Artifact, data, "artifact.json")


@pytest.mark.parametrize("name", ["artifact", "runtime", "device", "compute"])
def test_a_missing_key_is_named(name: str) -> None:
    data = jsonio.encode(JOB)
    del data[name]
    with pytest.raises(BadFile, match=f"key '{name}' is missing"):
        jsonio.decode(Job, data, "job.json")


def test_a_key_with_a_default_may_be_missing() -> None:
    assert jsonio.decode(Job, {"artifact": "a" * 64, "runtime": "r", "device": "d", "compute": "c"}, "j").batch == 1


def test_a_whole_number_is_a_float_but_not_the_reverse() -> None:
    job = jsonio.decode(Job, jsonio.encode(JOB) | {"duration_s": 3}, "job.json")
    assert job.duration_s == 3.0 and type(job.duration_s) is float


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_is_written_as_null(number: float) -> None:
    text = jsonio.dumps({"a": number, "b": [number]})
    assert json.loads(text) == {"a": None, "b": [None]}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400])
def test_a_figure_that_is_no_finite_number_is_not_read(number: str, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(jsonio.dumps(JOB).replace('"warmup_s":0.5', f'"warmup_s":{number}'))
    with pytest.raises(BadFile):
        jsonio.read(Job, file)


def test_writing_makes_the_folders_and_leaves_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "job.json"
    jsonio.write(file, JOB)
    jsonio.write(file, JOB)
    assert [path.name for path in file.parent.iterdir()] == ["job.json"]
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.read_text().endswith("}\n")


@pytest.mark.parametrize("broken", ["x" * 3_000_000 + "\ud800", "\ud800"])
def test_a_write_that_fails_midway_leaves_the_old_file(broken: str, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    jsonio.write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        jsonio.write_text(file, broken)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_what_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    jsonio.write(file, JOB)
    with pytest.raises(TypeError):
        jsonio.write(file, {"a": object()})
    assert jsonio.read(Job, file) == JOB
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_folder_in_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "job.json").mkdir()
    with pytest.raises(OSError):
        jsonio.write(tmp_path / "job.json", JOB)
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    jsonio.write_text(file, "old")
    code = (
        "import resource, signal, sys, pathlib\n"
        "from edgebench.records import jsonio\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"  # so that writing fails as it does on a full disk
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    jsonio.write_text(pathlib.Path(sys.argv[1]), 'new' * 100_000)\n"
        "except OSError:\n"
        "    print('failed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "failed\n", done.stderr
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "text"
    texts = {"a" * 200_000, "b" * 200_000}
    jsonio.write_text(file, min(texts))

    def rewrite() -> None:
        for _ in range(10):
            for text in texts:
                jsonio.write_text(file, text)

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = {file.read_text()}
    while writer.is_alive():
        seen.add(file.read_text())
    writer.join()
    assert seen <= texts


def test_the_identity_of_a_job_is_its_content() -> None:
    again = jsonio.decode(Job, json.loads(jsonio.dumps(JOB)), "here")
    assert again.identity == JOB.identity
    assert dataclasses.replace(JOB, batch=2).identity != JOB.identity


def test_a_result_carries_each_of_its_parts() -> None:
    hints = typing.get_type_hints(Result)
    assert {hints["job"], hints["artifact"]} == {Job, Artifact}


@pytest.mark.parametrize("kind", [Artifact, Result, StepOutcome, PickProgress, Tuned, Before])
def test_a_newer_file_is_told_as_newer_whatever_else_is_in_it(kind: type, tmp_path: Path) -> None:
    """The number is looked at first: what a newer edgebench keeps beside it may be unknown, or of another type."""
    file = tmp_path / "file.json"
    changed = {field.name: {"of": "another type"} for field in dataclasses.fields(kind)}
    file.write_text(json.dumps(changed | {"schema": 99, "key of the future": 1}))
    for read in (jsonio.read, jsonio.read_if_good):
        with pytest.raises(NewerFile) as caught:
            read(kind, file)
        assert caught.value.message == f"{file} has schema 99, newer than {kind.__dataclass_fields__['schema'].default}"
        assert caught.value.fix == "upgrade edgebench"


def test_what_is_read_if_good(tmp_path: Path) -> None:
    assert jsonio.read_if_good(PickProgress, tmp_path / "none.json") is None
    (tmp_path / "bad.json").write_text('{"seconds": "long"}')
    assert jsonio.read_if_good(PickProgress, tmp_path / "bad.json") is None
    jsonio.write(tmp_path / "good.json", PickProgress(seconds=2.0))
    assert jsonio.read_if_good(PickProgress, tmp_path / "good.json") == PickProgress(seconds=2.0)


def test_any_json_is_at_most_so_deep_and_its_place_is_told(tmp_path: Path) -> None:
    def nested(depth: int, inside: object) -> object:
        return inside if depth == 0 else {"a": nested(depth - 1, inside)}

    kind = dict[str, Any]
    assert decoding.decode(kind, nested(DEEPEST, 1), "x") == nested(DEEPEST, 1)
    for bad in (
        nested(DEEPEST + 2, 1),
        {"a": {"b": [1, "\ud800"]}},
        {"a": [float("nan")]},
        {"a": {"\ud800": 1}},
    ):
        with pytest.raises(BadFile, match=r"^x\.a: "):
            decoding.decode(kind, bad, "x")
