"""Who may import whom, and what `edgebench --help` may load."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command

PACKAGE = REPOSITORY / "edgebench"
# From the top down: a file imports from its own room and from rooms further down. The loose files are doors, which
# stand where their row says, or ground, which all stand on. CONTRIBUTING.md shows the same list.
ROOMS = (
    ("__main__",),
    ("cli",),
    ("commands",),
    ("api_search",),
    ("api", "testing"),
    ("report",),
    ("choosing",),
    ("sweeping",),
    ("boards",),
    ("racing",),
    ("comparing",),
    ("adopting",),
    ("estimating",),
    ("exporting",),
    ("linting",),
    ("training",),
    ("measuring",),
    ("results",),
    ("machine",),
    ("records", "specs", "protocols", "artifact", "errors", "__init__"),
)
FOLDERS = tuple(name for row in ROOMS for name in row if (PACKAGE / name).is_dir())
# Names that users know, which hand on to what stands above them when they are called.
DOORS = {"__init__", "results"}
# An adapter sees the contract and its own library; those that read a checkpoint also rebuild the network.
ADAPTERS = {
    "specs", "protocols", "errors", "artifact", "training.models", "machine.children", "machine.cuda",
    "exporting.quantize", "exporting.onnx_weights", "linting.onnx_nodes", "records.caches", "records.linted",
    "records.onnx_file", "records.onnx_graph", "records.onnx_walk", "records.replacing",
}  # fmt: skip
HEAVY = (
    "torch", "timm", "sklearn", "PIL", "safetensors", "onnx", "onnxruntime", "openvino", "tensorrt",
    "nncf", "wandb", "mlflow", "tensorboard", "matplotlib",
)  # fmt: skip
# The files that may import what a base install lacks; no other file of the core may, not even inside a function.
HEAVY_FILES = {
    "training.*", "exporting.quantize", "exporting.onnx_weights", "linting.onnx_nodes", "estimating.onnx_layers",
    "measuring.correctness", "report.plots",
}  # fmt: skip
# Those of them that import one at their top, since nothing reaches them without it.
TORCH_AT_TOP = {
    "training.augment.*", "training.models.*", "training.loop", "training.checkpoint", "training.optimization",
    "training.batches", "training.beginnings", "training.distilling", "training.distributed", "training.finishing",
    "training.first_head", "training.fitting", "training.gradients", "training.learner", "training.planning",
    "training.resuming", "training.searching", "training.setup", "training.sieve", "training.small_maps",
    "training.stages", "training.teacher", "training.backbone", "training.balance", "training.feature_engines",
    "training.features", "training.heads", "training.probing",
}  # fmt: skip
# What `edgebench.NAME(...)` does for users: a folder of that name would take the function's place once it is imported.
API = {
    "train",
    "export",
    "evaluate",
    "run",
    "compare",
    "select",
    "tune",
    "pick",
    "probe",
    "sweep",
    "study",
    "adopt",
    "lint",
}
# What needs the libraries of a board with a GPU: cuda-python.
BOARD = {"machine.cuda"}
# Programs that are started, never imported: they know nothing of edgebench, and it nothing of their libraries.
PROGRAMS = {f"comparing.rivals.bare_{name}" for name in ("litert", "onnxruntime", "openvino")}


@cache
def modules() -> dict[str, Path]:
    names = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def among(name: str, names: Iterable[str]) -> bool:
    """Whether a module is named, by itself or as a part of a package: "training.models.*"."""
    return name in names or any(n.endswith(".*") and f"{name}.".startswith(n[:-1]) for n in names)


def room(name: str) -> int:
    for i, names in enumerate(ROOMS):
        if name.split(".")[0] in names:
            return i
    raise AssertionError(f"edgebench/{name} stands in no room: see ROOMS")


@cache
def imported(path: Path) -> frozenset[str]:
    """All modules that a file imports anywhere, in full, with those that only type checkers see."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules_inside = {name for name in inside if name.removeprefix("edgebench.") in modules()}
            found |= inside | (set() if modules_inside == inside else {node.module or ""})
    return frozenset(found)


def ours(path: Path) -> set[str]:
    """The edgebench modules that a file imports, without the package's name."""
    known = set(modules())
    names = {name.removeprefix("edgebench.") for name in imported(path) if name.startswith("edgebench.")}
    names |= {"__init__"} & {"__init__" if name == "edgebench" else "" for name in imported(path)}
    return {name for name in names if name in known or name.startswith(("exporters.", "runtimes."))}


def test_imports_point_downward() -> None:
    for name, path in modules().items():
        for other in ours(path):
            adapter = other.startswith(("exporters", "runtimes"))
            assert not adapter, f"{name} imports an adapter by name: use the registry"
            assert name in DOORS or room(other) >= room(name), f"{name} imports {other}, which stands above it"


def test_no_file_reaches_itself_through_its_imports() -> None:
    """Neither between rooms nor inside one. The doors hand on to what stands above them, when they are called."""
    ahead = {name: ours(path) & set(modules()) - {name} for name, path in modules().items() if name not in DOORS}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a cycle: {' → '.join((*way[way.index(name) :], name))}"
        if name in done:
            return
        for other in ahead.get(name, ()):
            walk(other, (*way, name))
        done.add(name)

    for name in ahead:
        walk(name, ())


def test_the_architecture_stands_in_the_folders() -> None:
    loose = [path.name for path in PACKAGE.glob("*.py")]
    assert len(loose) <= 10, f"loose files: {sorted(loose)}"
    found = {path.name for path in PACKAGE.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert found == set(FOLDERS)


def test_contributing_shows_the_same_rooms() -> None:
    """Its table has a line a room, in their order, with what the folder's own first line says of it."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    shown = re.findall(r"^\| `([a-z]+)/` \| (.+) \|$", text, re.M)
    first = {
        name: (ast.get_docstring(ast.parse(modules()[name].read_text())) or "").splitlines()[0] for name in FOLDERS
    }
    assert shown == [(name, first[name].rstrip(".")) for name in FOLDERS]


def test_no_folder_and_no_loose_file_has_the_name_of_a_function_of_the_api() -> None:
    for name in API & {name.split(".")[0] for name in modules()}:
        pytest.fail(f"edgebench/{name} hides edgebench.{name}(): name it for the doing, as training/ is")


def test_what_is_imported_from_edgebench_exists() -> None:
    """Also inside functions, which no test may reach, and in the scripts, which no test runs."""
    known = {*modules(), *API, "__version__", "exporters", "runtimes"}
    for path in [*(REPOSITORY / "tests").rglob("*.py"), *(REPOSITORY / "scripts").glob("*.py"), *modules().values()]:
        for name in (full.removeprefix("edgebench.") for full in imported(path) if full.startswith("edgebench.")):
            inside = name.rpartition(".")[0]
            assert name in known or inside in known or inside.startswith(("exporters", "runtimes")), f"{path}: {name}"


ADAPTER_FILES = [path for folder in ("exporters", "runtimes") for path in sorted((REPOSITORY / folder).glob("*.py"))]


@pytest.mark.parametrize("path", ADAPTER_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_adapter_sees_the_contract_alone(path: Path) -> None:
    """And the parts of adapters that several share: tensorrt_log of TensorRT's exporter and runtime."""
    shared = "runtimes.torch_pt2_graph"  # the network of a program, which torch runs and the ONNX exporter traces
    family = path.stem.split("_")[0]  # TensorRT-RTX's runtime is TensorRT's with another library
    parts = (shared, f"exporters.{family}_", f"runtimes.{family}_")
    others = {name for name in ours(path) - ADAPTERS if not f"{name}.".startswith((*parts, f"runtimes.{family}."))}
    assert not others, f"{path.name} imports {sorted(others)}"


def test_the_core_needs_no_heavy_library() -> None:
    for name, path in modules().items():
        heavy = {n.split(".")[0] for n in imported(path)} & set(HEAVY)
        assert not heavy or among(name, HEAVY_FILES | PROGRAMS | BOARD), f"{name} imports {sorted(heavy)}"


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys, json; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True)
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
    assert ours == {"edgebench", "edgebench.cli", "edgebench.errors", "edgebench.records", "edgebench.records.terminal"}


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
