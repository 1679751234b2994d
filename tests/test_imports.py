"""Who may import whom, and what `edgebench --help` may load."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command

# From the top down: a file imports only what stands in a lower layer, or in its own.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("commands.*",),
    ("api",),
    ("doctor", "testing", "tune"),
    ("picking",),
    ("sweep.*", "deploy"),
    (
        "training",
        "exporting",
        "running",
        "fleet",
        "crosscheck",
        "complexity",
        "report.*",
        "figures",
        "decision",
        "selecting",
    ),
    ("study",),
    ("checkpoint", "optimization", "feed"),
    ("distributed", "gradients", "heap", "unfinished", "tracking"),
    ("ab", "comparing"),
    ("metered",),
    ("repeat", "search", "starter"),
    ("worker", "engines.*"),
    ("scenarios", "foreign"),
    ("evaluating", "results", "testset", "workspace"),
    ("board", "roofline"),
    ("jetson_tools", "host_peaks", "shared_memory"),
    ("power.*",),
    ("measure", "loadgen", "memory", "gpu_memory", "device", "profiles", "fingerprint", "quantize"),
    ("cuda", "tensorrt_log"),
    ("rivals.*", "data.*", "augment.*", "models.*", "libraries"),
    ("pairing", "ratio"),
    ("artifact", "halving", "history", "stats", "registry", "loadgen_log", "packing", "jetson", "onnx_layers"),
    ("limits",),
    (
        "specs",
        "jobs",
        "energy",
        "answers",
        "recipe",
        "protocols",
        "errors",
        "jsonio",
        "onnx_file",
        "yardstick",
        "__init__",
    ),
)
# Names that users know, which hand on to what stands above them when they are called.
DOORS = {"__init__": ("api", "results"), "results": ("report.*",)}
# An adapter sees the contract and its own library; those that read a checkpoint also rebuild the network.
ADAPTERS = {"specs", "protocols", "errors", "artifact", "models", "cuda", "tensorrt_log", "quantize"}
HEAVY = (
    "torch", "timm", "sklearn", "PIL", "safetensors", "onnx", "onnxruntime", "openvino", "tensorrt",
    "nncf", "wandb", "tensorboard", "matplotlib",
)  # fmt: skip
# The files that need what only training installs; nothing else in the core may import them, not even inside a function.
TRAINING = {
    "augment.*", "models.*", "data.catalogue", "data.loading", "data.pixels", "data.decoding", "training", "checkpoint",
    "optimization", "feed", "distributed", "gradients", "unfinished", "tracking", "evaluating", "complexity",
    "libraries", "report.plots", "quantize", "onnx_layers",
}  # fmt: skip
# Those of them that import one at their top, since nothing reaches them without it.
TORCH_AT_TOP = {
    "augment.*", "models.*", "training", "checkpoint", "optimization", "feed", "distributed", "gradients", "unfinished",
}  # fmt: skip
# What `edgebench.NAME(...)` does for users: a module of that name would take the function's place once it is imported.
API = {"train", "export", "evaluate", "run", "compare", "select"}
# What needs the libraries of a board with a GPU: cuda-python and TensorRT.
BOARD = {"cuda", "tensorrt_log"}
# Programs that are started, never imported: they know nothing of edgebench, and it nothing of their libraries.
PROGRAMS = {"rivals.bare_onnxruntime", "rivals.bare_openvino"}


def modules() -> dict[str, Path]:
    files = (REPOSITORY / "edgebench").rglob("*.py")
    names = {".".join(p.relative_to(REPOSITORY / "edgebench").with_suffix("").parts): p for p in files}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def among(name: str, names: Iterable[str]) -> bool:
    """Whether a module is named, by itself or as a part of a package: "models.*"."""
    return name in names or any(n.endswith(".*") and f"{name}.".startswith(n[:-1]) for n in names)


def layer(name: str) -> int:
    for i, names in enumerate(LAYERS):
        if among(name, names):
            return i
    raise AssertionError(f"edgebench/{name} has no layer: say in LAYERS where it stands")


@cache
def imported(path: Path) -> set[str]:
    """All modules that a file imports anywhere, in full, with those that only type checkers see."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def ours(path: Path) -> set[str]:
    """The edgebench modules that a file imports, without the package's name."""
    known = set(modules())
    names = {name.removeprefix("edgebench.") for name in imported(path) if name.startswith("edgebench.")}
    names |= {f"{name}.__init__" for name in names}
    return {name for name in names if name in known or name.split(".")[0] in ("exporters", "runtimes")}


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_point_downward(name: str) -> None:
    for other in ours(modules()[name]):
        assert not other.startswith(("exporters", "runtimes")), f"{name} imports an adapter by name: use the registry"
        known_door = among(other, DOORS.get(name, ()))
        assert known_door or layer(other) >= layer(name), f"{name} imports {other}, which stands above it"


def test_no_module_has_the_name_of_a_function_of_the_api() -> None:
    for name in API & set(modules()):
        pytest.fail(f"edgebench/{name}.py hides edgebench.{name}(): name the file for the doing, as training.py is")


def test_what_is_imported_from_edgebench_exists() -> None:
    """Also inside functions, which no test may reach."""
    known = {f"edgebench.{name}" for name in {*modules(), *API, "exporters", "runtimes", "__version__"}}
    for path in [*(REPOSITORY / "tests").rglob("*.py"), *modules().values()]:
        names = {name for name in imported(path) if name.startswith("edgebench.") and name.count(".") == 1}
        assert names <= known, f"{path} imports {sorted(names - known)}"


ADAPTER_FILES = [path for folder in ("exporters", "runtimes") for path in sorted((REPOSITORY / folder).glob("*.py"))]


@pytest.mark.parametrize("path", ADAPTER_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_adapter_sees_the_contract_alone(path: Path) -> None:
    parts = {name for name in ours(path) if name.startswith(f"{path.parent.name}.{path.stem}_")}
    others = {n for n in ours(path) if n.split(".__init__")[0] not in ("exporters", "runtimes")} - ADAPTERS - parts
    assert not others, f"{path.name} imports {sorted(others)}"


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_core_needs_no_heavy_library(name: str) -> None:
    heavy = {n.split(".")[0] for n in imported(modules()[name])} & set(HEAVY)
    assert not heavy or among(name, TRAINING | PROGRAMS | BOARD), f"{name} imports {sorted(heavy)}"


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys, json; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def test_help_loads_click_and_little_else() -> None:
    code = "import sys, edgebench.cli as c\nsys.argv = ['edgebench', '--help']\ntry: c.main()\nexcept SystemExit: pass"
    loaded = loaded_by(code)
    assert "click" in loaded
    assert not loaded & {*HEAVY, "numpy", "rich", "psutil"}


def test_help_loads_no_command() -> None:
    """With each of them came the specs and the jobs, and `--help` took 2.3 times as long as importing click."""
    show = "except SystemExit: print(*sys.modules, file=sys.stderr)"
    code = f"import sys, edgebench.cli as c\ntry: c.cli(['--help'])\n{show}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stderr.split() if name.startswith("edgebench")}
    assert ours == {"edgebench", "edgebench.cli", "edgebench.errors"}


def test_devices_is_light() -> None:
    code = "import sys, edgebench.cli as c\nsys.argv = ['edgebench', 'devices']\ntry: c.main()\nexcept SystemExit: pass"
    assert not loaded_by(code) & {*HEAVY}


def test_the_parent_of_a_run_loads_no_runtime(edgebench: Command, onnx_artifact, tmp_path: Path) -> None:
    """A runtime in the parent would take memory and threads from the worker that is being measured."""
    arguments = ["edgebench", "run", str(onnx_artifact.path), "--runtime", "ort", "--duration", "0.1"]
    arguments += ["--launches", "1", "--workspace", str(tmp_path)]
    code = f"import sys, edgebench.cli as c\nsys.argv = {arguments!r}\ntry: c.main()\nexcept SystemExit: pass"
    assert not loaded_by(code) & {*HEAVY}


def test_every_module_imports_without_the_optional_libraries() -> None:
    """As on a board: everything but the files about training and the adapters imports with the base install alone."""
    elsewhere = TORCH_AT_TOP | PROGRAMS | BOARD | {"__main__"}  # that one would run
    names = [f"edgebench.{name}".removesuffix(".__init__") for name in sorted(modules()) if not among(name, elsewhere)]
    blocked = f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
    loaded_by(blocked + "\n".join(f"import {name}" for name in names))
