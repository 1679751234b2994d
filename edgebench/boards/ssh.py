"""The desk's end of a connection to a board, over OpenSSH's own client: the user's config, keys and jump hosts work."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench import __version__
from edgebench.boards import messages
from edgebench.boards.complaints import Tail
from edgebench.boards.messages import Answer, Hello, Nothing, Refusal
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.machine.packing import code_digest
from edgebench.records.terminal import printable

OLDEST_PYTHON = (3, 10)
ANSWER_LIMIT_S = 600.0  # a slow board may read and hash a large file from its card, or load libraries
GREETING_LIMIT_S = 300.0  # from the login to the greeting, whatever is printed before; Python starts in between
LONGEST_LINE = 1 << 20
MOST_TALK = 50 << 20  # bytes that a board may say over a connection, apart from its results
POLL_S = 0.2  # how often a wait looks whether Ctrl-C was pressed
# One constant argument for sh: any login shell can pass it on. Python prints its version first, so that one too old
# for edgebench is recognised.
SERVE = """exec sh -c 'cd / && for p in "$HOME/.local/share/edgebench/venv/bin/python" python3; do \
command -v "$p" >/dev/null 2>&1 && "$p" -V 2>&1 && exec "$p" -m edgebench.boards.agent; done; echo "no Python"'"""
_USER = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?"
_HOST = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[?[0-9a-fA-F:.]+(?:%[A-Za-z0-9._-]+)?\]?)"
_ADDRESS = re.compile(rf"{_USER}{_HOST}|ssh://{_USER}{_HOST}(?::[0-9]{{1,5}})?")


class LinkLost(EdgebenchError):
    """The connection ended before the answer came; a new connection may succeed."""


@dataclass(frozen=True)
class Host:
    """A board by the address for `ssh`: user@board, an alias in the user's config, or ssh://user@board:port.

    `config` replaces ~/.ssh/config. Raises UsageError for an address that is not a host name: an option, or shell text.
    """

    address: str
    config: Path | None = None

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise UsageError(
                f"{self.address!r} is not a host",
                "write user@board, a Host of your ~/.ssh/config, or ssh://user@board:22",
            )

    @property
    def name(self) -> str:
        """The board's name, without user and port."""
        where = self.address.removeprefix("ssh://").rpartition("@")[2]
        return re.sub(r":[0-9]+$", "", where) if self.address.startswith("ssh://") else where

    def command(self, remote: str) -> list[str]:
        """The arguments to run a command there. ssh never asks a question and forwards nothing."""
        config = ["-F", str(self.config)] if self.config else []
        settings = {
            "BatchMode": "yes", "ConnectTimeout": "30", "ServerAliveInterval": "10", "ServerAliveCountMax": "6",
            "ClearAllForwardings": "yes", "RemoteCommand": "none", "RequestTTY": "no", "LogLevel": "ERROR",
        }  # fmt: skip
        return ["ssh", *config, *(f"-o{key}={value}" for key, value in settings.items()), "--", self.address, remote]


class Connection:
    """One ssh process, through which the desk talks with the agent on the board (see agent.py).

    Every call raises LinkLost if the link fails.
    """

    def __init__(self, host: Host, remote: str = SERVE, stopped: Callable[[], bool] = lambda: False) -> None:
        self.host, self._buffer, self._talk = host, bytearray(), 0
        self._stopped = stopped
        try:
            # Its own session, so that Ctrl-C does not end the link: edgebench passes it on.
            self._process = subprocess.Popen(
                host.command(remote), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError:
            raise EdgebenchError("there is no ssh on this machine", "install OpenSSH's client") from None

        self._complained = Tail(self._process.stderr)
        os.set_blocking(self._process.stdin.fileno(), False)

    def greet(self) -> None:
        """Read the agent's greeting. Raises EdgebenchError unless the board has the same edgebench as the desk."""
        hello = self._answer(Hello, self.beginning(b'{"edgebench"'))
        theirs, code = hello.edgebench, hello.code
        if theirs != __version__:
            raise self._error(f"edgebench there is {theirs}, here it is {__version__}", self._setup)
        if code != code_digest():
            raise self._error(f"edgebench there is {theirs} as here, but its code differs", self._setup)

    def beginning(self, begins: bytes) -> bytes:
        """The first line that begins so; a login script may print something before. Raises EdgebenchError if the board
        has no edgebench or no suitable Python."""
        deadline = time.monotonic() + GREETING_LIMIT_S
        while True:
            try:
                line = self._line(deadline - time.monotonic()).strip()
            except LinkLost as lost:
                if b"No module named" in self._complaints():
                    raise self._error("edgebench is not installed there", self._setup) from None
                raise lost
            fix = f"install Python 3.10 or newer there, then {self._setup}"
            if version := re.fullmatch(rb"Python (\d{1,4})\.(\d{1,4})\S*", line):
                if (int(version[1]), int(version[2])) < OLDEST_PYTHON:
                    raise self._error(
                        f"its {line.decode(errors='replace')} is too old: edgebench needs Python 3.10", fix
                    )
            elif line == b"no Python":
                raise self._error("there is no python3 there", fix)
            elif line.startswith(begins):
                return line

    @property
    def _setup(self) -> str:
        return f"edgebench devices setup {self.host.address}"

    def ask(self, kind: type[Answer], do: str, **request: Any) -> Answer:
        """Send a request and return the answer. Raises EdgebenchError with the board's message if it failed."""
        self.tell({"do": do} | request)
        return self.hear(kind, ANSWER_LIMIT_S)

    def tell(self, request: Mapping[str, Any]) -> None:
        """Send a request, or {} as a sign of life."""
        self._write(json.dumps(request).encode() + b"\n")

    def send(self, path: Path, sha256: str) -> None:
        """Send the file that has this sha256."""
        self.tell({"do": "put", "sha256": sha256, "size": path.stat().st_size})
        with path.open("rb") as file:
            while block := file.read(1 << 18):
                self._write(block)
        self.hear(Nothing, ANSWER_LIMIT_S)

    def feed(self, program: str) -> None:
        """Send the text of a program to a waiting Python; nothing can be sent after it."""
        self._write(program.encode())
        self._process.stdin.close()

    def hear(self, kind: type[Answer], limit_s: float) -> Answer:
        """The next answer, of this type. Raises LinkLost if it does not come in time."""
        return self._answer(kind, self._line(limit_s))

    def _answer(self, kind: type[Answer], line: bytes) -> Answer:
        answer = messages.heard(kind, line, self.host.name)
        if isinstance(answer, Refusal):
            raise self._error(answer.error, answer.fix)
        return answer

    def body(self, count: int) -> bytes:
        """The bytes of a result, as many as were announced."""
        deadline = time.monotonic() + ANSWER_LIMIT_S
        self._talk -= count  # they are apart
        while len(self._buffer) < count:
            self._read(deadline - time.monotonic())
        body = bytes(self._buffer[:count])
        del self._buffer[:count]
        return body

    def waiting(self, limit_s: float) -> bool:
        """Whether there is something to hear within this time."""
        return b"\n" in self._buffer or bool(select.select([self._process.stdout], [], [], limit_s)[0])

    def close(self) -> None:
        """End the connection and its process; may be called twice."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2 if self._stopped() or self._too_much() else 5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
        self._complained.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        deadline = time.monotonic() + ANSWER_LIMIT_S
        try:
            while data:
                if not self._wait([], [self._process.stdin], deadline - time.monotonic()):
                    raise LinkLost(f"{self.host.name} takes nothing")
                data = data[self._process.stdin.write(data) or 0 :]
        except OSError:
            # The board may have sent the reason before it closed.
            with contextlib.suppress(BadFile):  # what it said of its work: nothing that explains this
                if isinstance(answer := messages.heard(Nothing, self._line(ANSWER_LIMIT_S), self.host.name), Refusal):
                    raise self._error(answer.error, answer.fix) from None
            raise self._lost() from None

    def _line(self, limit_s: float) -> bytes:
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                raise self._error("it does not answer as edgebench does", "does a login script print something?")
            self._read(deadline - time.monotonic())
        end = self._buffer.index(b"\n")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _read(self, limit_s: float) -> None:
        if not self._wait([self._process.stdout], [], limit_s):
            raise LinkLost(f"{self.host.name} does not answer")
        block = os.read(self._process.stdout.fileno(), 1 << 18)
        if not block:
            raise self._lost()
        self._buffer += block
        self._talk += len(block)

    def _wait(self, reading: list[Any], writing: list[Any], limit_s: float) -> bool:
        """Whether one of these is ready within the limit. Raises KeyboardInterrupt soon after Ctrl-C."""
        deadline = time.monotonic() + limit_s
        while True:
            left = deadline - time.monotonic()
            if self._too_much():
                told = f"it said more than {MOST_TALK >> 20} MiB"
                raise self._error(told, "does a login script print something? is it the right board?")
            if any(select.select(reading, writing, [], max(0, min(POLL_S, left)))):
                return True
            if self._stopped():
                raise KeyboardInterrupt
            if left <= 0:
                return False

    def _too_much(self) -> bool:
        return self._talk + self._complained.count > MOST_TALK

    def _complaints(self) -> bytes:
        return self._complained.end()

    def _lost(self) -> LinkLost:
        """Why the link ended, by ssh's own message, and the remedy."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        lines = [line for line in self._complaints().decode(errors="replace").splitlines() if line.strip()]
        said = lines[-1].strip() if lines else "the connection ended, or was silent for a minute"
        return LinkLost(f"{self.host.name}: {printable(said)}", _remedy("\n".join(lines), self.host.address))

    def _error(self, message: str, fix: str) -> EdgebenchError:
        return EdgebenchError(f"{self.host.name}: {printable(message)}", printable(fix))


def _remedy(said: str, address: str) -> str:
    known = {
        "Could not resolve": "check the name; `ssh -G` shows how ssh reads it",
        "Permission denied": f"let ssh in without a password: ssh-copy-id {address}",
        "Host key verification failed": f"connect once by hand and check the key: ssh {address}",
        "IDENTIFICATION HAS CHANGED": "its key has changed: find out why before you remove the old one",
        "Connection refused": "is sshd running there, and on this port?",
        "timed out": "is the board on, and on this network? One that is very busy answers late: try again",
        "No route to host": "is the board on, and on this network?",
    }
    return next((fix for sign, fix in known.items() if sign in said), f"does `ssh {address}` work?")
