#!/usr/bin/env python3
"""Whether edgebench still prints what it did: runs a fixed list of commands and compares with recorded outputs.

python scripts/compare_outputs.py                    the edgebench of this Python against tests/fixtures/before/
python scripts/compare_outputs.py --only 'help-*'    some of the commands
python scripts/compare_outputs.py --record FOLDER    write what this edgebench prints, a file a command

The commands are those of commands.toml beside the records, and `--help` of each. All read a copy of
tests/fixtures/workspace/, so nothing is measured and nothing depends on this machine or on the clock.
Markdown, CSV, JSON and JUnit have to be the same to the letter. In what is laid out for a terminal only the layout is
free: spaces, the rules and the wrapping of tables, and the wrapping of help. Deliberate changes of wording are listed
in words.toml beside the records. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import json
import os
import pkgutil
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
BEFORE = FIXTURES / "before"
BOX = re.compile("[\u2500-\u257f ]*")  # a rule of a table, or an empty line
BAR = re.compile("[│┃]")
# The one moment of the clock that is printed.
MADE_AT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


@dataclass(frozen=True)
class Case:
    """One command and the name of its record. `exact`: it is for a program, or Markdown, and its layout counts."""

    name: str
    command: str

    @property
    def exact(self) -> bool:
        return not {"--json", "--format", "--html", "python"}.isdisjoint(shlex.split(self.command))


class Page(HTMLParser):
    """The rows of all tables of a page, and its other words; without script, style and the moment it was made."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.words: list[str] = []
        self._cells: list[list[str]] = []
        self._within: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._within[tag] += 1
        if tag in ("tr", "caption"):
            self._cells = []
        if tag in ("td", "th", "caption"):
            self._cells.append([])

    def handle_endtag(self, tag: str) -> None:
        self._within[tag] -= 1
        if tag in ("tr", "caption"):
            self.rows.append(" | ".join(" ".join(cell) for cell in self._cells))

    def handle_data(self, data: str) -> None:
        said = " ".join(data.split())
        if not said or self._within["script"] or self._within["style"]:
            return
        if self._within["table"] and self._cells:
            self._cells[-1].append(said)
        else:
            self.words.append(MADE_AT.sub("NOW", said))


def run(case: Case, folder: Path) -> str:
    """The record of a command: the command, its exit code and all that it wrote."""
    gone = ("CI", "EDGEBENCH_WORKSPACE", "FORCE_COLOR", "PYTHONWARNINGS", "GITHUB_STEP_SUMMARY")
    own = {
        "COLUMNS": "200", "TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "dumb", "EDGEBENCH_POWER": "none",
        "XDG_CONFIG_HOME": str(folder / "config"), "EDGEBENCH_STATE": str(folder / "state"),
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in gone} | own
    program, *arguments = shlex.split(case.command)
    if program == "python":
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, timeout=300
        )
        code, stdout, stderr = done.returncode, done.stdout, done.stderr
    else:
        code, stdout, stderr = forked([program, *arguments], folder, environment)
    parts = {"stdout": stdout.decode(), "stderr": stderr.decode()}
    for path in sorted(folder.glob("*.*")):  # what it was told to write
        if path.suffix == ".html":
            page = Page()
            page.feed(path.read_text(encoding="utf-8"))
            parts |= {"the tables of the page": "\n".join(page.rows), "the rest": "\n".join(page.words)}
        elif path.is_file():
            parts[path.name] = path.read_text(encoding="utf-8")
        path.unlink()
    text = "".join(f"=== {name}\n{said.rstrip()}\n" for name, said in parts.items() if said.strip())
    for path in sorted({str(folder), str(folder.resolve())}, key=len, reverse=True):
        text = text.replace(path, "FOLDER")
    program = "" if case.command.startswith("python ") else "edgebench "
    return f"$ {program}{case.command}\nexit code {code}\n{text}"


def forked(arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of `edgebench ARGUMENTS`, run by a copy of this process.

    The copy has edgebench's modules already: a process of its own would spend most of its time on importing them.
    """
    load_edgebench()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        sys.stdout.flush()
        if not (child := os.fork()):
            code = 1
            try:
                os.chdir(folder)
                os.environ.clear()
                os.environ.update(environment)
                for number, file in ((1, stdout), (2, stderr)):
                    os.dup2(file.fileno(), number)
                sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
                sys.argv = ["edgebench", *arguments]
                code = ended(lambda: runpy.run_module("edgebench", run_name="__main__", alter_sys=False))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, *(file.seek(0) or file.read() for file in (stdout, stderr))


def ended(program: Callable[[], object]) -> int:
    """The exit code of a program that ends as Python programs do."""
    try:
        program()
    except SystemExit as asked:
        if isinstance(asked.code, str):
            print(asked.code, file=sys.stderr)
        return asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


@cache
def load_edgebench() -> None:
    """Import the modules that most commands need, so that forked copies of this process have them."""
    import edgebench

    for room in ("commands", "report", "choosing", "comparing", "results"):
        for module in pkgutil.walk_packages([str(Path(edgebench.__file__).parent / room)], f"edgebench.{room}."):
            with contextlib.suppress(Exception):  # not in this build, or it lacks a library: its command will tell
                importlib.import_module(module.name)


def helps(folder: Path, path: tuple[str, ...] = ()) -> Iterator[tuple[Case, str]]:
    """The help of the program, of each command that it names, and of each of their subcommands."""
    case = Case("-".join(("help", *path)), " ".join((*path, "--help")))
    text = run(case, folder)
    yield case, text
    listed = re.search(r"^Commands:\n((?: .*\n)+)", text, re.M)
    for name in re.findall(r"^  (\w[\w-]*)(?:  |$)", listed[1] if listed else "", re.M):
        yield from helps(folder, (*path, name))


def outputs(only: str) -> Iterator[tuple[Case, str]]:
    """Runs the commands whose names match, in a copy of the workspace."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(FIXTURES / "workspace", folder / "runs")
        shutil.copytree(FIXTURES / "workspace" / "results_new", folder / "other" / "results")
        for case in (Case(*item) for item in toml(BEFORE / "commands.toml").items()):
            if fnmatch(case.name, only):
                yield case, run(case, folder)
        if only == "*" or only.startswith("help"):
            yield from ((case, text) for case, text in helps(folder) if fnmatch(case.name, only))


def bare(text: str) -> str:
    """A text without its layout: a line for each column of a table, top to bottom, and for each stretch between tables.

    Where a cell is wrapped depends on the width of the others, so a column is read without any space.
    """
    found: list[str] = []
    columns: list[str] = []
    for line in [*text.splitlines(), ""]:
        cells = ["".join(cell.split()) for cell in BAR.split(line.strip())]
        if len(cells) > 1:
            if len(columns) != len(cells):
                found += [*columns, ""]
                columns = [""] * len(cells)
            columns = [above + cell for above, cell in zip(columns, cells, strict=True)]
        elif not BOX.fullmatch(line):
            found += [*columns, ""] if columns else [] if found else [""]
            columns = []
            found[-1] += " " + line.strip()
    # A space between two digits stays: 1 2 is not 12.
    return "\n".join(re.sub(r"(?<!\d) +| +(?!\d)", "", " ".join(said.split())) for said in [*found, *columns])


def lines(text: str) -> list[str]:
    """A text as it is shown in a diff: wrapped lines joined, one space for several, no rules."""
    joined = re.sub(r"(?<=\S)\n {6,}(?=\S)", " ", text)
    return [" ".join(BAR.sub("|", line).split()) for line in joined.splitlines() if not BOX.fullmatch(line)]


def reworded(text: str, changes: Sequence[Sequence[str]], name: str, bare_words: bool = False) -> str:
    """A text with the deliberate changes of wording: old, new and, if there is a third word, in which records."""
    for old, new, *where in changes:
        if fnmatch(name, where[0] if where else "*"):
            if bare_words:
                text = text.replace(bare(old), bare(new))
            else:
                text = re.sub(r"\s+".join(map(re.escape, old.split())), lambda _, new=new: new, text)
    return text


def difference(case: Case, old: str, new: str, changes: Sequence[Sequence[str]]) -> list[str]:
    """A unified diff of what was recorded, in the words of today, and what is printed now; empty if they are alike."""
    told = reworded(old, changes, case.name)
    if told == new or (not case.exact and reworded(bare(old), changes, case.name, True) == bare(new)):
        return []
    before, now = (text.splitlines() if case.exact else lines(text) for text in (told, new))
    if before == now:  # what differs is in the layout of a table: show it as it was compared
        before, now = bare(told).splitlines(), bare(new).splitlines()
    return list(difflib.unified_diff(before, now, "before", "now", lineterm="", n=1))


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("click", "rich")}  # they lay out help and tables


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="write the records instead of comparing")
    parser.add_argument("--before", type=Path, metavar="FOLDER", default=BEFORE, help="the records")
    parser.add_argument("--only", metavar="GLOB", default="*", help="the commands whose records are named so")
    asked = parser.parse_args()
    if asked.record:
        asked.record.mkdir(parents=True, exist_ok=True)
        for case, text in outputs(asked.only):
            (asked.record / f"{case.name}.txt").write_text(text, encoding="utf-8")
        (asked.record / "made_with.json").write_text(json.dumps(versions()) + "\n")
        return 0
    changes = toml(asked.before / "words.toml")["changes"]
    if (made_with := json.loads((asked.before / "made_with.json").read_text())) != versions():
        print(f"note: recorded with {made_with}, now with {versions()}, which may lay out help otherwise")
    records = {path.stem: path.read_text(encoding="utf-8") for path in asked.before.glob("*.txt")}
    expected = {name for name in records if fnmatch(name, asked.only)}
    differing = []
    for case, text in outputs(asked.only):
        if case.name.startswith("load") and "No module named 'pandas'" in text:
            expected.discard(case.name)
            print(f"{case.name}: left out, for there is no pandas here")
            continue
        found = difference(case, records.get(case.name, ""), text, changes)
        print("\n".join([f"{case.name}: {'differs' if found else 'same'}", *found]), flush=True)
        differing += [case.name] if found else []
        expected.discard(case.name)
    for name in sorted(expected):
        print(f"{name}: was recorded, and is no command any more")
    differing += sorted(expected)
    print(f"{len(differing)} differ: {', '.join(differing)}" if differing else "all are the same")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
