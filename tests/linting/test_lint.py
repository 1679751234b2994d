"""What `lint` says of planted refusals and traps; and a parser, however it ends, ends no more than its own answer."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import onnx
import pytest
from conftest import REPOSITORY, Command, needed
from edgebench.runtimes import onnxruntime_lint, tensorrt_traps

import edgebench
from edgebench.errors import BadFile, UsageError
from edgebench.linting import asking, lint
from edgebench.linting.asking import ToLint, ask
from edgebench.machine import registry
from edgebench.records.linted import Linted, LintFinding

QUIET: Any = lambda told: None  # noqa: E731


def written(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def by_nvidia(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What lint and the parser of TensorRT-RTX say of each graph, from one process."""
    needed("tensorrt_rtx_libs", "TensorRT-RTX is not installed: pip install 'edgebench[tensorrt-rtx]'")
    root = tmp_path_factory.mktemp("graphs")
    for name, model in {**graphs.taken(), **graphs.refused(), **graphs.trapped()}.items():
        written(root / f"{name}.onnx", model)
    command = [sys.executable, str(REPOSITORY / "tests/linting/ask_rtx.py"), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_lint_and_nvidias_parser_agree_on_every_graph(by_nvidia: dict[str, dict[str, Any]]) -> None:
    assert len(by_nvidia) == 56
    assert {name: said["status"] == "taken" for name, said in by_nvidia.items()} == {
        name: said["taken"] for name, said in by_nvidia.items()
    }
    assert {name for name, said in by_nvidia.items() if not said["taken"]} == graphs.refused().keys()


@pytest.mark.parametrize("name", graphs.refused())
def test_a_planted_refusal_is_found_with_its_node_and_a_fix(name: str, by_nvidia: dict[str, dict[str, Any]]) -> None:
    said = by_nvidia[name]
    assert said["kinds"][0] == "refused" and said["nodes"][0] == graphs.PLANTED
    assert said["fixes"][0] and said["reasons"][0]


@pytest.mark.parametrize("name", graphs.trapped())
def test_a_trap_is_found_though_the_parser_takes_it(name: str, tmp_path: Path) -> None:
    (found,) = tensorrt_traps.traps(written(tmp_path / "m.onnx", graphs.trapped()[name]))
    assert (found.node, bool(found.fix), bool(found.source)) == (graphs.PLANTED, True, True)
    assert found.kind == ("changed" if name == "double" else "wrong")


@pytest.mark.parametrize("name", [name for name in graphs.trapped() if "bytes" in name])
def test_what_the_exporter_hands_over_has_no_bytes_that_would_be_cut_off(name: str, tmp_path: Path) -> None:
    from edgebench.exporters import tensorrt_symmetric

    handed = tensorrt_symmetric.read(written(tmp_path / "m.onnx", graphs.trapped()[name]))
    assert not tensorrt_traps.traps(written(tmp_path / "handed.onnx", handed))


def test_graphs_without_a_trap_have_none(tmp_path: Path) -> None:
    for name, model in graphs.taken().items():
        assert not tensorrt_traps.traps(written(tmp_path / "m.onnx", model)), name


def test_more_open_sizes_than_the_batch_are_told(tmp_path: Path) -> None:
    given = {"x": (onnx.TensorProto.FLOAT, ("batch", 3, "height", 16))}
    model = graphs.graph([graphs.node("Relu")], given=given)
    (found,) = tensorrt_traps.traps(written(tmp_path / "m.onnx", model))
    assert found.kind == "changed" and found.node == "x" and "batch, 3, height, 16" in found.reason


@pytest.mark.parametrize(("most", "found"), [(127, 1), (64, 0)])
def test_weights_of_eight_bits_beside_bytes_are_told_for_cpus(most: int, found: int, tmp_path: Path) -> None:
    model = graphs.quantized(np.uint8(3), name="q")
    weights = np.full((4, 16), most, np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.int8(0), "o"))
    model.graph.node.append(graphs.node("DequantizeLinear", "w scale o", "wf"))
    assert [f.node for f in onnxruntime_lint.OnnxRuntimeLinter.traps(written(tmp_path / "m.onnx", model))] == [
        graphs.PLANTED
    ] * found


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_the_runtimes_of_the_cpu_name_the_node_that_they_refuse(target: str, tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", graphs.refused()["unknown operator"])
    said = ask(ToLint(source=str(path), target=target, format="onnx"), QUIET, QUIET)
    assert (said.status, said.findings[0].kind, said.findings[0].node) == ("refused", "refused", graphs.PLANTED)
    path = written(tmp_path / "m.onnx", graphs.taken()["Conv-17-fp32"])
    assert ask(ToLint(source=str(path), target=target, format="onnx"), QUIET, QUIET).ok


class Elsewhere:
    """A parser that stands in, and lacks an operator that the target has."""

    def parser(self) -> str:
        return "another parser"

    def lint(self, path: Path) -> list[LintFinding]:
        return [LintFinding(kind="refused", reason="no such plug-in", node="n", operator="NonZero")]


def test_what_only_the_stand_in_lacks_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_parser", lambda target: (Elsewhere(), "stands in"))
    path = written(tmp_path / "m.onnx", graphs.taken()["Erf-17-fp32"])
    said = ask(ToLint(source=str(path), target="tensorrt", format="onnx"), QUIET, QUIET)
    assert (said.status, said.findings[0].kind, said.ok) == ("not asked", "unproven", False)


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the process that asks a parser: one that a file of some names ends, or keeps for ever."""
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, signal, sys, time\n"
        "asked = json.load(open(sys.argv[3]))\n"
        "if 'kills' in asked['source']: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "if 'keeps' in asked['source']: time.sleep(600)\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(lint, "sys", type("Here", (), {"executable": str(program)}))


@pytest.mark.usefixtures("dying")
def test_a_file_that_ends_the_parser_is_an_answer_and_the_next_is_linted(in_process: Command, tmp_path: Path) -> None:
    model = graphs.taken()["Erf-17-fp32"]
    paths = [written(tmp_path / f"{name}.onnx", model) for name in ("kills", "fine")]
    done = in_process("lint", *paths, "--target", "ort", "--json")
    ended, taken = json.loads(done.stdout)
    assert (ended["status"], ended["ok"], taken["status"], taken["ok"]) == ("ended", False, "taken", True)
    assert "was killed by SIGSEGV" in ended["reason"] and ended["fix"] and done.returncode == 1


def test_a_fix_names_no_target_that_refuses_the_model_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OpenVINO's fix was "--target onnxruntime", whose parser had refused the same file."""
    file = written(tmp_path / "net.onnx", next(iter(graphs.refused().values())))
    takes: set[str] = set()

    def asked(pair: ToLint, *given: object) -> Linted:
        if pair.target in takes:
            return Linted(model=pair.source, target=pair.target, status="taken")
        finding = LintFinding(kind="refused", reason="no such operator", fix="a newer one")
        return Linted(model=pair.source, target=pair.target, status="refused", findings=(finding,))

    monkeypatch.setattr(lint, "_asked", asked)
    both = ("openvino", "onnxruntime")
    assert [one.findings[0].fix for one in lint.lint(file, both)] == ["a newer one"] * 2
    takes.add("onnxruntime")
    assert lint.lint(file, both)[0].findings[0].fix == "a newer one, or --target onnxruntime, which takes it"


@pytest.mark.usefixtures("dying")
def test_a_parser_that_does_not_end_is_ended(tmp_path: Path) -> None:
    path = written(tmp_path / "keeps.onnx", graphs.taken()["Erf-17-fp32"])
    (said,) = edgebench.lint(path, "ort", time_limit_s=0.3)
    assert said.status == "ended" and "did not end in time (limit 0.3 s)" in said.reason


def test_what_is_known_is_kept_if_the_parser_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", graphs.trapped()["bytes after a ReLU"])
    monkeypatch.setattr(asking, "_parser", lambda target: (Elsewhere(), ""))
    known: list[Linted] = []
    ask(ToLint(source=str(path), target="tensorrt", format="onnx"), QUIET, known.append)
    assert [(one.status, one.findings[0].kind) for one in known] == [("ended", "wrong")]


def test_bad_input_is_told(in_process: Command, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("no model")
    with pytest.raises(BadFile, match="no model file"):
        edgebench.lint(tmp_path / "model.txt")
    with pytest.raises(BadFile, match="does not exist"):
        edgebench.lint(tmp_path / "absent.onnx")
    path = written(tmp_path / "m.onnx", graphs.taken()["Erf-17-fp32"])
    with pytest.raises(UsageError, match="unknown target 'tensorrtt'"):
        edgebench.lint(path, "tensorrtt")
    (said,) = edgebench.lint(path, "litert")
    assert said.status == "not asked" and "reads no onnx files" in said.reason
    path.write_bytes(b"no model")
    said = ask(ToLint(source=str(path), target="onnxruntime", format="onnx"), QUIET, QUIET)
    assert said.status == "refused" and said.findings[0].fix
    assert in_process("lint").returncode == 2
    done = in_process("lint", path)
    assert (done.returncode, done.stdout.count("refused: ")) == (1, 1), "it is said once, not for each target"
    assert "m.onnx: all targets: refused by edgebench" in done.stdout
    os.mkfifo(tmp_path / "pipe.onnx")
    done = in_process("lint", tmp_path / "pipe.onnx")
    assert done.returncode == 1 and "neither a file nor a folder" in done.stderr


def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    model = graphs.taken()["Conv-17-fp32"]
    path = tmp_path / "in" / "m.onnx"
    path.parent.mkdir()
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    os.rename(path.parent / "w.bin", tmp_path / "w.bin")
    loaded = onnx.load(path, load_external_data=False)
    loaded.graph.initializer[0].external_data[0].value = "../w.bin"
    written(path, loaded)
    said = ask(ToLint(source=str(path), target="onnxruntime", format="onnx"), QUIET, QUIET)
    assert said.status == "refused" and "outside of its folder" in said.findings[0].reason


def test_every_linter_states_what_it_reads() -> None:
    for name, stated in registry.all_facts("linters").items():
        assert stated.suffixes, name
        assert not stated.stand_in or (stated.stand_in in registry.names("linters") and stated.stand_in_means)
        assert {alias: registry.canonical("linters", alias) for alias in stated.aliases} == dict.fromkeys(
            stated.aliases, name
        )
