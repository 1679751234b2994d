"""What adapters state about themselves can be read without their libraries, fits pyproject.toml, and stays theirs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from edgebench.machine import registry

LIBRARIES = (
    "onnx", "onnxruntime", "onnxsim", "openvino", "ai_edge_litert", "ncnn", "pnnx", "tensorrt", "torch", "timm", "cuda",
    "nncf", "pynvml",
)  # fmt: skip
# Where the core may say the name of an adapter as a string, and why.
ALLOWED = {
    "comparing/rivals/": "a rival is a vendor's own tool: each file says which runtime it runs",
    "training/": "training is done by torch the library, and its strings name that",
    "sweeping/facts.py": "TRAINING_TOOLS: torch, which trains",
    "estimating/": "reads the layers of ONNX files",
    "artifact.py": "the weights beside an ONNX file",
    "records/onnx_graph.py": "the domain of ONNX's own operators",
    "machine/gpu_memory.py": "NVML tells a card's memory, beside its power",
    "machine/power/": "meters: a file each, which says its own name",
    "api.py": "a default of the user's: to which format is exported",
    "sweeping/plan.py": "the same default",
    "choosing/picked.py": "the same default",
    "choosing/probes.py": "the format that the latency is measured in: the same default",
    "commands/export.py": "the placeholder that --help shows",
    "commands/lint.py": "the placeholders that --help shows",
}
# Words of the language that happen to name a meter.
WORDS = {"model", "battery"}


def test_facts_are_read_without_any_library() -> None:
    code = f"""
import sys
for name in {LIBRARIES!r}: sys.modules[name] = None
from edgebench.machine import registry
runtimes, exporters, meters = (registry.all_facts(kind) for kind in ("runtimes", "exporters", "meters"))
assert runtimes["tensorrt"].requirements == ("cuda-python=={{cuda}}.*",), runtimes["tensorrt"]
assert [name for name, stated in runtimes.items() if not stated.accepts] == []
assert [name for name, stated in exporters.items() if not stated.accepts or not stated.libraries] == []
assert [name for name, stated in meters.items() if not stated.sees or not stated.machines] == []
assert registry.native("checkpoint") == "torch" and registry.canonical("exporters", "trt") == "tensorrt"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("kind", "name", "missing", "fix"),
    [
        ("runtimes", "onnxruntime", "onnxruntime", "pip install 'edgebench[onnx]'"),
        ("runtimes", "torch", "torch", "pip install 'edgebench[train]'"),
        ("runtimes", "litert", "ai_edge_litert", "pip install 'edgebench[litert]'"),
        ("runtimes", "ncnn", "ncnn", "pip install 'edgebench[ncnn]'"),
        ("exporters", "ncnn", "pnnx", "pip install 'edgebench[ncnn]'"),
        ("exporters", "onnx", "onnxsim", "pip install 'edgebench[onnx]'"),
        ("exporters", "tensorrt", "tensorrt", "pip install 'edgebench[tensorrt]' (a Jetson has TensorRT from JetPack"),
    ],
)
def test_a_missing_library_is_told_with_the_extra_that_brings_it(kind: str, name: str, missing: str, fix: str) -> None:
    code = f"""
import sys
sys.modules.pop({missing!r}, None)
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == {missing!r}: raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from edgebench.errors import Unsupported
from edgebench.machine import registry
try: registry.load({kind!r}, {name!r})
except Unsupported as error: print(error.message, error.fix, sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    message, told, *_ = done.stdout.splitlines()
    assert message == f"{name} needs the Python module {missing!r}, which is not installed" and told.startswith(fix)


def test_what_a_board_is_given_is_what_the_extras_ask_for() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    for name, stated in registry.all_facts("runtimes").items():
        for requirement in stated.requirements or ():
            assert "{" in requirement or f'"{requirement}"' in text, f"{name}: {requirement} is in no extra"
        for extra in stated.installs.values():
            assert re.search(rf"^{extra.removeprefix('edgebench[').removesuffix(']')} = \[", text, re.M), extra


def names() -> set[str]:
    found: set[str] = set()
    for kind in ("runtimes", "exporters", "meters"):
        for name, stated in registry.all_facts(kind).items():
            found |= {name, *getattr(stated, "aliases", ())}
    return found - WORDS


def test_the_core_names_no_adapter() -> None:
    """No string of the core is the name of one, or is made of it: "tensorrt", ".onnx", "onnxruntime-loop".

    Sentences and docstrings are for people, and are left alone.
    """
    told, used, known = [], set(), names()
    for path in sorted((REPOSITORY / "edgebench").rglob("*.py")):
        where = path.relative_to(REPOSITORY / "edgebench").as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)) or " " in node.value.strip():
                continue
            if {word.lower() for word in re.findall(r"\w+", node.value)} & known:
                allowed = [place for place in ALLOWED if where.startswith(place)]
                used |= set(allowed)
                told += [] if allowed else [f"edgebench/{where}:{node.lineno}: {node.value!r}"]
    assert not told, "an adapter states this about itself:\n" + "\n".join(told)
    assert used == set(ALLOWED), f"no longer needed: {sorted(set(ALLOWED) - used)}"
