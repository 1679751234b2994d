"""What a desk asks of a board: options as arguments for it, the artifacts that fit, and the results that come back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgebench.boards import remote_run
from edgebench.boards.remote_run import Order, Watch
from edgebench.boards.ssh import Host
from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import registry, scenario_registry
from edgebench.measuring.options import RunOptions
from edgebench.records import options
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact

USAGE = 2  # a command's exit code for options that make no sense


def arguments(given: Mapping[str, Any]) -> list[str]:
    """The options of a run, by key, as arguments of a command. What is None is as the board has it by default."""
    known = [*options.options_of(RunOptions), *(each for each, _ in scenario_registry.own_options())]
    made: list[str] = []
    for each in known:
        if (value := given.get(each.key)) is not None:
            off = f"--no-{each.flag[2:]}" if each.default in (True, None) else ""
            made += options.spelled(each.flag, value, off)
    return made


def on_device(device: str | None) -> list[str]:
    """The device that the board has to be, as arguments. Raises UsageError for a profile that only this machine has."""
    if device and device.endswith(".toml"):
        fix = "put it into ~/.config/edgebench/devices there, and give its name"
        raise UsageError("a profile in a file is not sent to the board", fix)
    return [f"--device={device}"] if device else []


def newest(workspace: Workspace, runtimes: Container[str]) -> list[Artifact]:
    """The newest artifacts. A checkpoint is one of these only if its own runtime is named."""
    eager = registry.native("checkpoint") in runtimes
    found = [a for a in workspace.newest_artifacts() if a.format != "checkpoint" or eager]
    if not found:
        raise EdgebenchError(f"there is no exported artifact in {workspace.root}", "`edgebench export` first")
    return found


def carry_out(
    host: Host, order: Order, *, status: Callable[[str], None] = lambda text: None,
    line: Callable[[str], None] = lambda text: None,
    came: Callable[[Result, Path], None] = lambda result, path: None,
) -> tuple[list[Result], int]:  # fmt: skip
    """Carry out an order on a board: its results, and the exit code there. Ctrl-C ends it there in an orderly way.

    Raises EdgebenchError if the job was killed, or if the board cannot be reached.
    """
    done: list[Result] = []

    def arrived(result: Result, path: Path) -> None:
        done.append(result)
        came(result, path)

    with interruptible() as stopped:
        code = remote_run.run(host, order, Watch(status, line, arrived, stopped))
    if code is None:
        here = "1 result is" if len(done) == 1 else f"{len(done)} results are"
        message = f"the measurement was killed on {host.name}" + (f": {here} here" if done else "")
        raise EdgebenchError(message, "did the board restart, or run out of memory or disk?")
    return done, code


def results(
    host: Host, arguments: Sequence[str], artifacts: Sequence[Artifact], workspace: Workspace,
    printable: Callable[[str], str], *, images: Path | None = None,
) -> tuple[list[Result], list[str]]:  # fmt: skip
    """Have a board carry out a command for a program: its results, and what it said about them, made `printable`.

    Raises EdgebenchError with the board's words if there are none, KeyboardInterrupt after Ctrl-C.
    """
    order = Order(
        arguments=tuple(arguments), artifacts=tuple(artifacts), folder=workspace.results, board=host.name, images=images
    )
    said: list[str] = []
    done, code = carry_out(host, order, line=lambda text: said.append(printable(text.strip())))
    if code == remote_run.INTERRUPTED:
        raise KeyboardInterrupt
    if not done:
        kind = UsageError if code == USAGE else EdgebenchError
        raise kind(f"{host.name}: {' '.join(said) or f'it ended with exit code {code}'}")
    return done, [f"{host.name}: {sentence}" for sentence in said]


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed. The first press asks for an orderly stop, the next stops."""
    pressed = []

    def press(number: int, frame: Any) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no other thread is told of signals
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
