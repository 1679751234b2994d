"""What the commands print for a fixed workspace is what they printed when it was recorded, but for listed words."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment

SCRIPT = REPOSITORY / "scripts" / "compare_outputs.py"
BEFORE = REPOSITORY / "tests" / "fixtures" / "before"


def compare(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=600)


def test_the_outputs_are_those_that_were_recorded() -> None:
    done = compare()
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
def test_a_single_figure_or_word_is_a_difference(tmp_path: Path, name: str, old: str, new: str) -> None:
    before = spoiled(tmp_path, name, old, new)
    done = compare("--before", before, "--only", name)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{name}: differs" in done.stdout and f"1 differ: {name}" in done.stdout


def test_a_deliberate_change_of_words_is_none_if_it_is_listed(tmp_path: Path) -> None:
    before = spoiled(tmp_path, "help-report", "Show the newest result of every measurement", "Newest results")
    listed, one_more = (
        before / "words.toml",
        '["Newest results", "Show the newest result of every measurement", "help*"]',
    )
    listed.write_text(listed.read_text().replace("changes = [", f"changes = [\n  {one_more},", 1))
    done = compare("--before", before, "--only", "help-report")
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_layout_of_a_terminal_is_free() -> None:
    spec = importlib.util.spec_from_file_location("compare_outputs", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # where its dataclasses look for themselves
    spec.loader.exec_module(script)
    wide = "┏━━━━━┳━━━━━━━━━━━┓\n┃ ms  ┃ candidate ┃\n│ 1.5 │ one (onnx)│\n└─────┴───────────┘\nthe end of it"
    narrow = "┏━━━━━┳━━━━━━┓\n┃ ms  ┃ cand ┃\n┃     ┃ idate┃\n│ 1.5 │ one  │\n│     │(onnx)│\n└─────┴──────┘\n"
    narrow += "the end\nof it"
    assert script.bare(wide) == script.bare(narrow)
    for old, new in (("1.5", "1.6"), ("(onnx)", ""), ("the end", "the ends"), ("│ 1.5 │ one", "│ one │ 1.5")):
        assert script.bare(wide) != script.bare(wide.replace(old, new))
    assert script.bare("takes 1 2 ms") != script.bare("takes 12 ms")


def test_a_command_that_is_gone_is_a_difference(tmp_path: Path) -> None:
    before = spoiled(tmp_path, "unknown-command", "raport", "raport")
    (before / "unknown-other.txt").write_text("$ edgebench other\nexit code 0\n")
    done = compare("--before", before, "--only", "unknown*")
    assert done.returncode == 1 and "1 differ: unknown-other" in done.stdout


def spoiled(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A copy of the records with one change."""
    before = tmp_path / "before"
    shutil.copytree(BEFORE, before)
    text = (before / f"{name}.txt").read_text(encoding="utf-8")
    assert old in text
    (before / f"{name}.txt").write_text(text.replace(old, new, 1), encoding="utf-8")
    return before
