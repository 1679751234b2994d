"""The shape of the house: top level, line budgets, first lines, packaging."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import REPOSITORY, lacking

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CODE = {"edgebench", "exporters", "runtimes", "device_profiles"}
FOLDERS = CODE | {"tests", "scripts", "docs", "notebooks", "findings", "containers", ".ci", ".github"}
FILES = {
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "SECURITY.md",
    ".gitignore",
    ".dockerignore",
    "SKILL.md",
    "action.yml",
}
ADAPTER_LINES, OTHER_LINES = 200, 300
# The files that read pickles with an Unpickler of their own, and what they import for it.
RESTRICTED_PICKLES = {
    Path("edgebench/training/data/restricted_pickle.py"): ["import pickle", "import pickletools"],
    Path("edgebench/training/models/convert.py"): ["import pickle"],
}
DANGEROUS = ("torch.load", "os.system", "eval", "exec", "sys.exit")


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        lacking("this is no git checkout, so what belongs to the repository is unknown")
    return [Path(line) for line in listed.stdout.splitlines() if (REPOSITORY / line).is_file()]


def test_the_top_level_holds_what_was_agreed() -> None:
    tops = {path.parts[0] for path in tracked()}
    assert tops <= FOLDERS | FILES, f"unexpected at the top: {sorted(tops - FOLDERS - FILES)}"
    assert tops >= FILES | CODE | {"tests", "scripts", "docs", ".ci"}


@cache
def product() -> dict[Path, ast.Module]:
    """Each file of the package, read once: there are hundreds, and a test of its own for each takes longer than it."""
    roots = ("edgebench", "exporters", "runtimes", "device_profiles")
    paths = sorted(p.relative_to(REPOSITORY) for root in roots for p in (REPOSITORY / root).rglob("*.py"))
    assert len(paths) > 300
    return {path: ast.parse((REPOSITORY / path).read_text()) for path in paths}


def test_line_budget() -> None:
    over = []
    for path in product():
        lines = len((REPOSITORY / path).read_text().splitlines())
        budget = ADAPTER_LINES if path.parts[0] in ("exporters", "runtimes") else OTHER_LINES
        over += [f"{path} has {lines} lines, its budget is {budget}"] if lines > budget else []
    assert not over, "split it by what it owns"


def test_the_first_line_says_what_the_file_owns() -> None:
    for path, tree in product().items():
        said = ast.get_docstring(tree)
        assert said and (REPOSITORY / path).read_text().startswith('"""'), f"{path} begins without a docstring"
        assert said.splitlines()[0].rstrip().endswith((".", "?", ":")), path


def test_no_pickle_no_shell_no_swallowed_errors() -> None:
    for path, tree in product().items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                allowed = {"pickle"} if path in RESTRICTED_PICKLES else set()
                pickles = names & {"pickle", "_pickle", "dill", "cloudpickle", "joblib"}
                assert pickles <= allowed, f"{path}:{node.lineno} imports pickle"
            if isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
                assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{path}:{node.value.lineno}"
            if isinstance(node, ast.ExceptHandler):
                bare = node.type is None
                swallows = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
                assert not bare and not swallows, f"{path}:{node.lineno} swallows an error"
            if isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in DANGEROUS:
                allowed = called == "sys.exit" and (path.parts[1] == "commands" or path.name == "worker.py")
                inert = [k for k in node.keywords if k.arg == "pickle_module" and ast.unparse(k.value) == "INERT"]
                allowed |= called == "torch.load" and path in RESTRICTED_PICKLES and bool(inert)
                assert allowed, f"{path}:{node.lineno} calls {called}"


@pytest.mark.parametrize("path", RESTRICTED_PICKLES, ids=lambda path: path.stem)
def test_a_file_that_reads_pickles_can_only_restrict_them(path: Path) -> None:
    """It has the module under its own name, subclasses Unpickler with a find_class of its own, and uses no more."""
    tree = ast.parse((REPOSITORY / path).read_text())
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [line for line in imports if "pickle" in line] == RESTRICTED_PICKLES[path]
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "pickle"]
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.value in used]
    assert len(attributes) == len(used), "the module itself is passed around"
    unpicklers = [node for node in attributes if node.attr != "UnpicklingError"]
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    subclasses = [node for node in classes if set(node.bases) & set(unpicklers)]
    assert [node.attr for node in unpicklers] == ["Unpickler"] and len(subclasses) == 1
    assert "find_class" in {node.name for node in subclasses[0].body if isinstance(node, ast.FunctionDef)}


def test_packaging_lists_every_folder_with_code() -> None:
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    listed = set(config["tool"]["setuptools"]["packages"])
    folders = {".".join(path.parent.parts) for path in product()}
    assert listed == {name if name.startswith("edgebench") else f"edgebench.{name}" for name in folders}


def test_every_adapter_file_is_registered() -> None:
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    for kind in ("runtimes", "exporters"):
        entries = {value.split(":")[0] for value in config["project"]["entry-points"][f"edgebench.{kind}"].values()}
        files = {f"edgebench.{kind}.{path.stem}" for path in (REPOSITORY / kind).glob("[!_]*.py")}
        parts = {file for file in files if any(file.startswith(f"{entry}_") for entry in entries)} - entries
        assert entries == files - parts
    # Meters and scenarios stand beside files that they share; those that are one have a class or an object of the kind.
    for kind, folder, mark in (
        ("meters", "machine/power", "auto_order"), ("scenarios", "measuring/scenarios", "\nSCENARIO = "),
    ):  # fmt: skip
        entries = {value.split(":")[0] for value in config["project"]["entry-points"][f"edgebench.{kind}"].values()}
        inside = [path for path in (REPOSITORY / "edgebench" / folder).glob("[!_]*.py") if mark in path.read_text()]
        assert inside and entries == {f"edgebench.{folder.replace('/', '.')}.{path.stem}" for path in inside}


def test_no_two_classes_have_the_same_name() -> None:
    """Nor a class and a set of words, such as StepStatus: a name stands for one thing in the whole package."""
    found: dict[str, list[str]] = {}
    for path, tree in product().items():
        for node in tree.body if path.parts[0] == "edgebench" else ():
            if isinstance(node, ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Literal["):
                name = ast.unparse(node.targets[0])
            else:
                continue
            if not name.startswith("_"):
                found.setdefault(name, []).append(str(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_wide_dataclasses_are_built_by_keyword() -> None:
    """With more than four fields nobody can tell from a call which value is which."""
    positional = []
    for path, tree in product().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and len(_init_fields(node)) > 4:
                told = [ast.unparse(one) for one in node.decorator_list if ast.unparse(one).startswith("dataclass")]
                positional += [f"{path}: {node.name}" for one in told if "kw_only=True" not in one]
    assert not positional


def _init_fields(node: ast.ClassDef) -> list[str]:
    """The fields that a class adds to the parameters of its constructor, if it is a dataclass."""
    annotated = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    fields = [item for item in annotated if not ast.unparse(item.annotation).startswith("ClassVar")]
    return [ast.unparse(item.target) for item in fields if not (item.value and "init=False" in ast.unparse(item.value))]
