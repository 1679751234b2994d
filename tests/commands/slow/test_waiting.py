"""Every command that measures says that it waits for the machine, in a log as well."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command

import edgebench
from edgebench.errors import EdgebenchError
from edgebench.machine import locks
from edgebench.specs import Artifact

PACKAGE = Path(edgebench.__file__).parent
# How each command that takes the lock itself comes to it. `pick` and `sweep` measure in steps, `export` compares.
COMMANDS = {
    "run": ("--runtime", "ort"), "evaluate": ("--runtime", "ort"), "ab": (), "crosscheck": (), "estimate": (),
    "tune": ("--no-export",),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_it_says_that_it_waits(
    command: str, onnx_artifact: Artifact, workspace: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def held(on_wait: Callable[[], None]) -> Iterator[None]:
        on_wait()
        raise EdgebenchError("here the test ends")
        yield

    said = f"{locks.WAITING} (process 7: edgebench run)"
    monkeypatch.setattr(locks, "device_to_ourselves", held)
    monkeypatch.setattr(locks, "waiting", lambda: said)
    done = in_process(command, onnx_artifact.path, *COMMANDS[command], "--workspace", workspace)
    assert f"{said}\n" in done.stderr, done.stderr


def test_nobody_takes_the_lock_without_a_way_to_say_so() -> None:
    calls = [
        (path.name, call)
        for path in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "device_to_ourselves"
    ]
    assert len(calls) >= 7
    for name, call in calls:
        (given,) = call.args
        assert ast.unparse(given) == "on_wait" or "waiting()" in ast.unparse(given), name


def test_each_command_that_hands_on_what_says_it_is_tried_here() -> None:
    told = {path.stem for path in (PACKAGE / "commands").glob("[a-z]*.py") if "on_wait=" in path.read_text()}
    assert told == set(COMMANDS)
