"""Measures on several boards at once: the file that lists them, and the state of each board during the run."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgebench.boards import remote_run
from edgebench.boards.ssh import Host
from edgebench.errors import BadFile, EdgebenchError
from edgebench.records import toml
from edgebench.records.jsonio import decode
from edgebench.records.result import Result

SCHEMA = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Board:
    """A board of the fleet. `name` appears in the results; `run`: options of `edgebench run` for this board only."""

    name: str
    host: str
    device: str | None = None
    run: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fleet:
    """The boards, and the options of `edgebench run` that all of them share."""

    boards: tuple[Board, ...]
    run: dict[str, Any] = field(default_factory=dict)

    def options(self, board: Board) -> dict[str, Any]:
        """The options for one board: its own take precedence over the shared ones."""
        return {**({"device": board.device} if board.device else {}), **self.run, **board.run}


def read(path: Path) -> Fleet:
    """The fleet that a TOML file lists. Raises BadFile for a wrong value, UsageError for an invalid host."""
    told = toml.read(path, example="docs/guide/fleet.md has an example")
    schema = told.pop("schema", None)
    if type(schema) is not int or schema != SCHEMA:
        raise BadFile(f"{path}: expected schema = {SCHEMA}, found {schema!r}", f"begin the file with schema = {SCHEMA}")
    boards = told.pop("board", [])
    for board in boards if isinstance(boards, list) else []:
        if isinstance(board, dict) and isinstance(board.get("host"), str):
            board.setdefault("name", Host(board["host"]).name)
    try:
        fleet = decode(Fleet, {**told, "boards": boards}, str(path))
    except BadFile as error:
        raise BadFile(error.message, "docs/guide/fleet.md describes every key") from None
    if not fleet.boards:
        raise BadFile(f"{path} lists no board", 'add [[board]] with host = "user@board"')
    names = [board.name for board in fleet.boards]
    for name in names:
        if not _NAME.fullmatch(name):
            raise BadFile(
                f"{path}: the name {name!r} may have only letters, digits, '.', '_' and '-'", "rename the board"
            )
        if names.count(name) > 1:
            raise BadFile(f"{path}: two boards are called {name}", "give each its own name")
    for board in fleet.boards:
        Host(board.host)
    return fleet


@dataclass(kw_only=True)
class BoardState:
    """The progress of one board. `doing`: its present step; `message`: why it failed."""

    board: Board
    state: Literal["waiting", "running", "done", "failed", "interrupted"] = "waiting"
    doing: str = ""
    message: str = ""
    results: list[Result] = field(default_factory=list)


def measure(
    boards: Sequence[tuple[BoardState, Host, remote_run.Order]], *,
    changed: Callable[[], None], stopped: Callable[[], bool],
    came: Callable[[BoardState, Result, Path], None] = lambda state, result, path: None,
) -> None:  # fmt: skip
    """Run each order on its board, all at the same time. A failure of one is kept in its state.

    The callbacks are called from several threads. A board measures one thing at a time, by a lock.
    """
    threads = [
        threading.Thread(target=_one, args=(state, host, order, changed, stopped, came), name=state.board.name)
        for state, host, order in boards
    ]
    for thread in threads:
        thread.daemon = True  # a second Ctrl-C must not wait for them
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
            changed()


def _one(
    state: BoardState, host: Host, order: remote_run.Order, changed: Callable[[], None], stopped: Callable[[], bool],
    came: Callable[[BoardState, Result, Path], None],
) -> None:  # fmt: skip
    def doing(text: str) -> None:
        state.doing = text

    def line(text: str) -> None:
        if text.startswith("Error: "):
            state.message = text.removeprefix("Error: ")

    def result(result: Result, path: Path) -> None:
        state.results.append(result)
        came(state, result, path)

    state.state = "running"
    try:
        code = remote_run.run(host, order, remote_run.Watch(doing, line, result, stopped))
    except (EdgebenchError, OSError) as error:
        state.state, state.message = "failed", str(error)
    else:
        if code == remote_run.INTERRUPTED:
            state.state = "interrupted"
        elif code == 0:
            state.state = "done"
        else:
            state.state = "failed"
            bad = [r.message for r in state.results if r.status != "ok"]
            state.message = state.message or "; ".join(bad) or ("killed there" if code is None else f"exit code {code}")
    state.doing = ""
    changed()
