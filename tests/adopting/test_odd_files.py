"""Odd and hostile ONNX files: each becomes an artifact, or is refused in words that help; nothing else happens."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import foreign
import numpy as np
import onnx
import pytest
from conftest import needed
from foreign import FLOAT, INT64, helper, tensor, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_adopting import adopted, job

from edgebench.adopting import linking
from edgebench.errors import BadFile, EdgebenchError
from edgebench.machine import registry
from edgebench.measuring import worker

needed("onnxruntime", "edgebench[onnx]")
ROW = [1, 4]
Write = Callable[[Path], Path]


def one(name: str, inner: str = "", domain: str = "", opset: int = 17, kind: int = FLOAT) -> Write:
    """A file with one operator."""
    node = helper.make_node(name, ["in"], ["out"], domain=domain)

    def made(path: Path) -> Path:
        write(path, [node], [tensor("in", kind, ROW)], [tensor("out", kind, ROW)], opset=opset)
        if domain and not inner:
            model = onnx.load(path)
            model.opset_import.append(helper.make_opsetid(domain, 1))
            path.write_bytes(model.SerializeToString())
        return path

    return made


def content(data: bytes) -> Write:
    return lambda path: (path.write_bytes(data), path)[1]


def short(path: Path) -> Path:
    file = foreign.heavy(path)
    (path.parent / "weights.bin").write_bytes(bytes(8))
    return file


def cyclic(path: Path) -> Path:
    nodes = [helper.make_node("Add", ["in", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    return write(path, nodes, [tensor("in", FLOAT, ROW)], [tensor("a", FLOAT, ROW)])


def optional(path: Path) -> Path:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, ROW))
    out = onnx.ValueInfoProto(name="out", type=kind)
    return write(path, [helper.make_node("Optional", ["in"], ["out"])], [tensor("in", FLOAT, ROW)], [out])


@pytest.mark.parametrize(
    ("make", "told", "fix"),
    [
        (content(b""), "is empty", "fetch"),
        (content(b"version https://git-lfs.github.com/spec/v1\noid sha256:aa"), "Git LFS", "git lfs pull"),
        (content(b"<!DOCTYPE html><html>404</html>"), "a web page", "fetch"),
        (content(bytes(100)), "is not an ONNX file", "get the file again"),
        (one("Relu", opset=99), "is of opset 99 of ai.onnx, and this version reads up to", "export it for opset"),
        (lambda path: foreign.plain(path, ir=99), "is of IR version 99, and this version", "m.ir_version ="),
        (one("Tokenizer", domain="ai.onnx.contrib"), "onnxruntime-extensions", "pre- and post-processing"),
        (one("Mine", domain="my.company"), "'Mine' is of the domain 'my.company'", "ONNX's own"),
        (one("Mine", "unnamed", "my.company"), "domain 'my.company', and names no opset", "ONNX's own"),
        (one("Fancy"), "no operator 'Fancy' in opset 17", "upgrade onnxruntime"),
        (one("Relu", opset=1), "'Relu' of opset 1", "another opset"),
        (short, "too short: 8 bytes do not hold 'w'", "both files"),
        (cyclic, "not acyclic", "export it again"),
        (optional, "an optional value", "plain tensors"),
        (one("Relu", kind=onnx.TensorProto.INT4), "'in' is int4", "numbers"),
        (one("Relu", kind=onnx.TensorProto.FLOAT8E5M2), "'in' is float8e5m2", "numbers"),
    ],
)
def test_what_is_refused_is_told_with_what_helps(make: Write, told: str, fix: str, tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError) as caught:
        adopted(make(tmp_path / "model.onnx"), tmp_path / "made")
    error = caught.value
    assert told in error.message and fix in error.fix
    assert "onnxruntime_src" not in error.message and str(tmp_path / "made") not in error.message


def test_weights_are_not_linked_since_the_onnx_library_then_reads_neither_file(tmp_path: Path) -> None:
    file = foreign.heavy(tmp_path / "in" / "heavy.onnx")
    made = adopted(file, tmp_path / "made")
    for path in (file, made.path / "heavy.onnx"):
        assert onnx.load(path).graph.initializer[0].raw_data
    assert linking.place(file, tmp_path / "linked", link=False) != "link"


def test_a_file_whose_name_ends_in_capitals(tmp_path: Path) -> None:
    made = adopted(foreign.plain(tmp_path / "MODEL.ONNX"), tmp_path / "made")
    assert worker.run_job(job(made, "onnxruntime"), made).status == "ok"


def branches(path: Path, size: int) -> Path:
    """A choice of two graphs, one of which has its weights in a file."""
    weights = onnx.numpy_helper.from_array(np.arange(size, dtype=np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")
    path.with_name("weights.bin").write_bytes(np.arange(size, dtype=np.float32).tobytes())
    add, relu = helper.make_node("Add", ["in", "w"], ["sum"]), helper.make_node("Relu", ["in"], ["same"])
    yes = helper.make_graph([add], "yes", [], [tensor("sum", FLOAT, ROW)], [weights])
    no = helper.make_graph([relu], "no", [], [tensor("same", FLOAT, ROW)])
    choice = helper.make_node("If", ["which"], ["out"], then_branch=yes, else_branch=no)
    which = tensor("which", onnx.TensorProto.BOOL, [])
    return write(path, [choice], [which, tensor("in", FLOAT, ROW)], [tensor("out", FLOAT, ROW)])


def local_function(path: Path) -> Path:
    twice = helper.make_node("Add", ["x", "x"], ["y"])
    function = helper.make_function("mine", "Twice", ["x"], ["y"], [twice], [helper.make_opsetid("", 17)])
    node = helper.make_node("Twice", ["in"], ["out"], domain="mine")
    graph = helper.make_graph([node], "graph", [tensor("in", FLOAT, ROW)], [tensor("out", FLOAT, ROW)])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=imports, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def ends(path: Path) -> Path:
    """Of its outputs one is the input and one a weight; of its inputs one goes nowhere."""
    outputs = [tensor("out", FLOAT, ROW), tensor("in", FLOAT, ROW), tensor("w", FLOAT, [4])]
    inputs = [tensor("in", FLOAT, ROW), tensor("left", INT64, [3])]
    return write(path, [helper.make_node("Relu", ["in"], ["out"])], inputs, outputs, {"w": np.ones(4, np.float32)})


def without_inputs(path: Path) -> Path:
    node = helper.make_node("Relu", ["w"], ["out"])
    return write(path, [node], [], [tensor("out", FLOAT, [4])], {"w": np.ones(4, np.float32)})


ODD: dict[str, Write] = {
    "branches": lambda path: branches(path, 4), "function": local_function, "ends": ends, "no inputs": without_inputs,
    "a scalar": lambda path: foreign.plain(path, ()),
    "a scalar index": lambda path: foreign.plain(path, (), INT64),
}  # fmt: skip


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("which", ODD)
def test_what_is_odd_is_measured(which: str, runtime: str, tmp_path: Path) -> None:
    made = adopted(ODD[which](tmp_path / "odd.onnx"), tmp_path / "made")
    result = worker.run_job(job(made, runtime), made)
    expected = "unsupported" if (which, runtime) == ("function", "openvino") else "ok"
    assert result.status == expected, result.message


def test_weights_that_are_bytes_are_recognised(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["w"], ["floats"], to=FLOAT),
        helper.make_node("MatMul", ["in", "floats"], ["out"]),
    ]
    weights = {"w": np.ones((4, 2), np.int8)}
    file = write(tmp_path / "w.onnx", nodes, [tensor("in", FLOAT, ROW)], [tensor("out", FLOAT, [1, 2])], weights)
    found = registry.load("runtimes", "onnxruntime").signature(file)
    assert (found.quantized, found.precision) == ("weights", "fp32")


def test_names_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    from edgebench.adopting.told import inputs_told

    name = "in\x1b[31m\nfix: nothing"
    node = helper.make_node("Relu", [name], ["out"])
    file = write(tmp_path / "names.onnx", [node], [tensor(name, FLOAT, ROW)], [tensor("out", FLOAT, ROW)])
    assert inputs_told(adopted(file, tmp_path / "made")).isprintable()


KINDS = st.sampled_from([FLOAT, FLOAT, FLOAT, INT64, onnx.TensorProto.FLOAT16, onnx.TensorProto.STRING, 22])
SIZES = st.one_of(st.just(ROW), st.none(), st.lists(st.sampled_from([-1, 0, 1, 2, "n", "n", "", None]), max_size=3))
OPERATORS = {"Relu": 1, "Identity": 1, "Shape": 1, "Abs": 1, "Add": 2, "NoSuch": 1}  # and how many inputs they take
numbered = itertools.count()


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list, list, list]:
    """Nodes, inputs and outputs that refer to each other, but not always with types and sizes that fit."""
    inputs = draw(
        st.lists(
            st.tuples(st.sampled_from(["a", "b/ é:0", "c"]), KINDS, SIZES), max_size=2, unique_by=lambda each: each[0]
        )
    )
    known, nodes = [name for name, *_ in inputs] or ["missing"], []
    for i in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(sorted(OPERATORS)))
        taken = [draw(st.sampled_from(known)) for _ in range(OPERATORS[kind])]
        nodes.append(helper.make_node(kind, taken, [f"node {i}"]))
        known.append(f"node {i}")
    outputs = draw(st.lists(st.tuples(st.sampled_from(known), KINDS, st.none()), max_size=2))
    return nodes, [tensor(*each) for each in inputs], [tensor(*each) for each in outputs]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True)
@given(graph=graphs())
def test_any_graph_ends_in_an_artifact_or_in_an_error_with_a_fix(
    graph: tuple[list, list, list], tmp_path: Path
) -> None:
    root = tmp_path / str(next(numbered))
    file = write(root / "any.onnx", *graph)
    try:
        made = adopted(file, root / "made")
    except EdgebenchError as error:
        assert error.message and error.fix
    else:
        assert made.outputs and made.adopted.requests


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_is_read_or_refused(place: int, byte: int, cut: bool, tmp_path: Path) -> None:
    good = foreign.detector(tmp_path / "good.onnx").read_bytes()
    place %= len(good)
    (tmp_path / "bad.onnx").write_bytes(good[:place] + (b"" if cut else bytes([byte]) + good[place + 1 :]))
    try:
        registry.load("runtimes", "onnxruntime").signature(tmp_path / "bad.onnx")
    except BadFile as error:
        assert error.fix
