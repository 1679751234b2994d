"""What the commands print for a fixed workspace is what they printed when it was recorded, but for listed words."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from conftest import REPOSITORY, clean_environment

SCRIPT = REPOSITORY / "scripts" / "compare_outputs.py"
BEFORE = REPOSITORY / "tests" / "fixtures" / "before"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_outputs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for themselves
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compare(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The script in this process, which has imported what it would import first: its exit code, and what it told."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        return script.main(), capsys.readouterr().out

    return run


def test_the_outputs_are_those_that_were_recorded() -> None:
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    records = [path.stem for path in BEFORE.glob("*.txt")]
    told = [line for line in done.stdout.splitlines() if line.endswith(": same") or "no pandas" in line]
    assert len(told) == len(records) > 20, done.stdout


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("select-cpu", "56.9%", "56.8%"),
        ("report-csv", "0.5555555555555556", "0.5555555555555557"),
        ("help-report", "Show the newest", "Show the latest"),
    ],
)
def test_a_single_figure_or_word_is_a_difference(compare, tmp_path: Path, name: str, old: str, new: str) -> None:
    before = spoiled(tmp_path, name, old, new)
    code, told = compare("--before", before, "--only", name)
    assert code == 1, told
    assert f"{name}: differs" in told and f"1 differ: {name}" in told


def test_a_deliberate_change_of_words_is_none_if_it_is_listed(compare, tmp_path: Path) -> None:
    before = spoiled(tmp_path, "help-report", "Show the newest result of every measurement", "Newest results")
    listed, one_more = (
        before / "words.toml",
        '["Newest results", "Show the newest result of every measurement", "help*"]',
    )
    listed.write_text(listed.read_text().replace("changes = [", f"changes = [\n  {one_more},", 1))
    code, told = compare("--before", before, "--only", "help-report")
    assert code == 0, told


def test_only_the_layout_of_a_terminal_is_free(script: ModuleType) -> None:
    wide = "┏━━━━━┳━━━━━━━━━━━┓\n┃ ms  ┃ candidate ┃\n│ 1.5 │ one (onnx)│\n└─────┴───────────┘\nthe end of it"
    narrow = "┏━━━━━┳━━━━━━┓\n┃ ms  ┃ cand ┃\n┃     ┃ idate┃\n│ 1.5 │ one  │\n│     │(onnx)│\n└─────┴──────┘\n"
    narrow += "the end\nof it"
    assert script.bare(wide) == script.bare(narrow)
    for old, new in (("1.5", "1.6"), ("(onnx)", ""), ("the end", "the ends"), ("│ 1.5 │ one", "│ one │ 1.5")):
        assert script.bare(wide) != script.bare(wide.replace(old, new))
    assert script.bare("takes 1 2 ms") != script.bare("takes 12 ms")


def test_a_command_that_is_gone_is_a_difference(compare, tmp_path: Path) -> None:
    before = spoiled(tmp_path, "unknown-command", "raport", "raport")
    (before / "unknown-other.txt").write_text("$ edgebench other\nexit code 0\n")
    code, told = compare("--before", before, "--only", "unknown*")
    assert code == 1 and "1 differ: unknown-other" in told


def spoiled(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A copy of the records with one change."""
    before = tmp_path / "before"
    shutil.copytree(BEFORE, before)
    text = (before / f"{name}.txt").read_text(encoding="utf-8")
    assert old in text
    (before / f"{name}.txt").write_text(text.replace(old, new, 1), encoding="utf-8")
    return before
