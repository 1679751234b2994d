"""The tests themselves: they mirror the package, each file runs alone, and what is not installed is not skipped."""

from __future__ import annotations

import ast

import pytest
from conftest import REPOSITORY, needed
from test_layout import tracked

OTHER_TESTS = {  # what tests/ holds beside a folder for each room
    "adapters": "runtimes/ and exporters/",
    "board": "the virtual board: what a full arm64 Linux with real drivers shows; skipped where none is built",
    "fixtures": "files that tests read",
    "hostile": "generators of what a file or a board may not be, by kind, and the tests over them",
    "packaging": "the wheel in fresh environments: `.ci/run` runs it after scripts/test, which leaves it out",
    "plugins": "packages that tests install or put on PYTHONPATH",
    "slow": "what goes through several rooms",
}


def test_the_tests_mirror_the_rooms() -> None:
    """A folder of tests is a room, or a folder in it; `slow` in any of them holds what trains or starts processes."""
    tests = {path.parent.relative_to("tests") for path in tracked() if path.parts[0] == "tests"}
    folders = {folder for folder in tests if folder.parts and folder.parts[0] not in OTHER_TESTS}
    assert len(folders) > 10
    for folder in folders:
        of = folder.parent if folder.name == "slow" else folder
        assert (REPOSITORY / "edgebench" / of).is_dir(), f"tests/{folder} is of no folder of edgebench/"


def test_each_file_of_tests_can_be_run_alone() -> None:
    """pytest finds modules in tests/ and beside the test itself; one of another folder is found if that ran before."""
    tests = [path for path in tracked() if path.parts[0] == "tests" and path.suffix == ".py"]
    everywhere = {path.stem for path in tests if len(path.parts) == 2}
    helpers = {path.stem: path for path in tests if len(path.parts) > 2 and "plugins" not in path.parts}
    assert len({path.name for path in tests if path.name.startswith("test_")}) == len(
        [path for path in tests if path.name.startswith("test_")]
    ), "pytest imports two files of one name as one module"
    for path in tests:
        for node in ast.walk(ast.parse((REPOSITORY / path).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in (set(names) & set(helpers)) - everywhere:
                assert helpers[name].parent == path.parent, f"{path} imports {helpers[name]}: move that into tests/"


MAY_SKIP = {  # what a machine cannot do, or does not need to; what is only not installed calls `lacking` or `needed`
    "tests/conftest.py": "lacking itself",
    "tests/adapters/test_contract.py": "TensorRT needs its card, and has a stand-in",
    "tests/adapters/test_litert_export.py": "is about machines without LiteRT's converter",
    "tests/adapters/trt/cases_rules.py": "cuda-python comes with TensorRT alone",
    "tests/board/virtual.py": "the virtual board takes minutes to build and to boot",
    "tests/boards/slow/test_ssh.py": "only root mounts a disk",
    "tests/exporting/slow/test_export.py": "is about machines without TensorRT",
    "tests/exporting/test_rtx.py": "is about machines without an NVIDIA card",
    "tests/exporting/slow/test_precision.py": "is about CPUs without bf16",
    "tests/hostile/test_kinds.py": "only root can be another user for a moment",
    "tests/machine/test_clocks.py": "only root gives a file away",
    "tests/machine/test_memory.py": "Linux alone tells of memory",
    "tests/report/slow/test_page_in_chromium.py": "axe-core comes from npm, which the tests do not need",
    "tests/packaging/test_base_install.py": "the newest Python is the oldest",
    "tests/training/data/test_formats.py": "is about a Pillow without plug-ins",
    "tests/training/data/test_listing.py": "not every Pillow writes each format",
    "tests/training/test_augment.py": "needs a GPU",
    "tests/training/test_weights.py": "the weights of ImageNet are large",
}


def test_nothing_is_skipped_because_it_is_not_installed() -> None:
    skips = ("pytest." + "skip(", "mark." + "skipif", "import" + "orskip", "mark." + "xfail")
    found = {
        str(path)
        for path in tracked()
        if path.parts[0] == "tests" and path.suffix == ".py"
        if any(skip in (REPOSITORY / path).read_text() for skip in skips)
    }
    assert found == set(MAY_SKIP)


@pytest.mark.parametrize(("ci", "ends"), [("true", "Failed"), ("", "Skipped"), ("0", "Skipped")])
def test_what_is_lacking_fails_in_continuous_integration(ci: str, ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    outcome = {"Failed": pytest.fail.Exception, "Skipped": pytest.skip.Exception}[ends]
    with pytest.raises(outcome, match="not here"):
        needed("no_such_module", "it is not here")
