"""ONNX files are looked into without the onnx library, and no bytes make that fail otherwise than by BadFile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgebench.errors import BadFile
from edgebench.records import onnx_file, onnx_walk
from edgebench.records.onnx_file import external_files
from edgebench.records.onnx_walk import PATHS


def outside(name: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": f"{name}.bin", "offset": "0", "length": "16"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def model() -> onnx.ModelProto:
    """Weights outside wherever a tensor may be: an initializer, an attribute, a branch, a sparse one, a function."""
    branch = helper.make_graph([], "branch", [], [], [outside("in_branch")])
    nodes = [
        helper.make_node("Constant", [], ["a"], value=outside("in_attribute")),
        helper.make_node("If", ["c"], ["b"], then_branch=branch, else_branch=branch),
    ]
    graph = helper.make_graph(nodes, "g", [], [], [outside("initializer"), numpy_helper.from_array(np.ones(3), "in")])
    sparse = graph.sparse_initializer.add()
    sparse.values.CopyFrom(outside("sparse"))
    made = helper.make_model(graph)
    constant = helper.make_node("Constant", [], ["y"], value=outside("in_function"))
    opset = [helper.make_opsetid("", 17)]
    made.functions.append(helper.make_function("own", "f", [], ["y"], [constant], opset))
    return made


def written(folder: Path, data: bytes) -> Path:
    (folder / "model.onnx").write_bytes(data)
    return folder / "model.onnx"


def test_every_file_outside_is_found(tmp_path: Path) -> None:
    names = ("in_attribute", "in_branch", "initializer", "sparse", "in_function")
    found = external_files(written(tmp_path, model().SerializeToString()))
    assert found == {f"{name}.bin" for name in names}


def test_a_model_that_holds_its_weights_has_none(tmp_path: Path, onnx_artifact) -> None:
    assert external_files(onnx_artifact.path / "model.onnx") == set()


@pytest.mark.parametrize(
    "data", [b"no ONNX at all", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x3a\x05ab"]
)
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BadFile, match="not an ONNX file, or damaged"):
        external_files(written(tmp_path, data))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10_000), at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_damage_is_told_or_harmless(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    data = bytearray(model().SerializeToString())
    data[at % len(data)] = byte
    with contextlib.suppress(BadFile):
        external_files(written(tmp_path, bytes(data[: len(data) - cut % len(data)])))


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    size, length = len(content), b""
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    graph = b""
    for _ in range(200):  # a graph in an attribute of a node of a graph …
        graph = field(1, field(5, field(6, graph)))
    with pytest.raises(BadFile, match="nested"):
        external_files(written(tmp_path, field(7, graph)))


def test_every_message_that_can_hold_a_tensor_is_looked_into() -> None:
    """By onnx's own descriptors, so that a new field of the format is not forgotten."""

    def holds(message: Any, above: tuple[str, ...] = ()) -> bool:
        inside = [field.message_type for field in message.fields if field.message_type]
        return message.name == "TensorProto" or any(
            holds(each, (*above, message.name)) for each in inside if each.name not in (*above, message.name)
        )

    found: dict[str, set[int]] = {}
    left = [onnx.ModelProto.DESCRIPTOR]
    while left:
        message = left.pop()
        leads = {field.number: field.message_type for field in message.fields if field.message_type}
        leads = {number: inner for number, inner in leads.items() if holds(inner)}
        if message.name not in found:
            found[message.name] = set(leads)
            left += leads.values()
    ours = {"sparse": "SparseTensorProto", "training": "TrainingInfoProto"}
    known = {ours.get(name, f"{name.capitalize()}Proto"): set(paths) for name, paths in PATHS.items()}
    assert known.pop("TensorProto") == {13} and not found.pop("TensorProto")
    assert known == found


def test_a_file_of_weights_in_a_function_is_found(tmp_path: Path) -> None:
    made = model()
    function = helper.make_function("own", "f", ["x"], ["y"], [], [helper.make_opsetid("", 18)])
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="in-a-function.bin")
    function.attribute_proto.append(helper.make_attribute("value", tensor))
    made.functions.append(function)
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    assert "in-a-function.bin" in external_files(tmp_path / "model.onnx")


@pytest.mark.parametrize("number", [0, 1 << 29, 1 << 40, 1 << 60])
def test_a_field_whose_number_is_none_is_refused(number: int, tmp_path: Path) -> None:
    tag, digits = number << 3 | 2, bytearray()
    while tag >= 128:
        digits.append(tag & 127 | 128)
        tag >>= 7
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08" + bytes([*digits, tag]) + b"\x00")
    with pytest.raises(BadFile):
        external_files(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGBUS)", f"ended with signal {signal.SIGBUS:d}"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)", "took more than 60 s"),
        ("import time\ntime.sleep(600)", "took more than 0.5 s"),
        ("raise MemoryError", "ended with exit code 1"),
    ],
)
def test_a_file_that_ends_or_holds_up_the_process_that_reads_it_is_refused(
    program: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "walk.py").write_text(program)
    monkeypatch.setattr(onnx_walk, "__file__", str(tmp_path / "walk.py"))
    monkeypatch.setattr(onnx_file, "WAITED_S", 0.5 if "time" in program else 600)
    path = written(tmp_path, model().SerializeToString())
    with pytest.raises(BadFile, match=told):
        external_files(path)
    monkeypatch.setattr(onnx_file, "_ours", True)  # a worker: its parent says what became of it
    assert len(external_files(path)) == 5


def test_the_walk_ends_by_itself(tmp_path: Path) -> None:
    """Its parent may have been killed."""
    code = (
        "import sys; from edgebench.records import onnx_walk as walk\n"
        "def endless(path):\n    while True: pass\n"
        "walk.LIMIT_S = 1; walk.external_files = endless; sys.argv.append('x'); walk.main()"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == -signal.SIGXCPU


def test_a_file_that_is_cut_short_while_it_is_read_ends_no_command(tmp_path: Path) -> None:
    path = written(tmp_path, b"\x0a\x00" * (1 << 22))
    code = (
        "import os, sys; from edgebench.records import onnx_walk as walk\n"
        "found = walk.varint\n"
        "def cut(*given):\n    os.truncate(sys.argv[1], 0)\n    return found(*given)\n"
        "walk.varint = cut; walk.main()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGBUS


def test_too_many_and_too_long_names_are_refused(tmp_path: Path) -> None:
    for names in ([b"x" * 5000], [b"%d" % i for i in range(10_001)]):
        entries = (field(13, field(1, b"location") + field(2, name)) for name in names)
        with pytest.raises(BadFile, match=r"than there can be|a value of 5,000 bytes"):
            external_files(written(tmp_path, field(7, field(5, b"".join(entries)))))


def test_a_pipe_in_the_place_of_a_model_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(BadFile, match="no regular file"):
        external_files(tmp_path / "model.onnx")
