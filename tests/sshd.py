"""A board on loopback: a real OpenSSH server on a high port, with keys, a home and an environment of its own."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from conftest import eventually, lacking

SERVER = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


class Board:
    """What a test sees of it; `client` is the configuration that lets `ssh -F` in as the host named `board`."""

    def __init__(self, root: Path, process: subprocess.Popen) -> None:
        self.client, self.home, self._process = root / "client", root / "home", process

    @property
    def folder(self) -> Path:
        return self.home / ".local" / "share" / "edgebench"

    def sent(self) -> set[str]:
        return {path.name for path in (self.folder / "files").iterdir()}

    def jobs(self) -> list[Path]:
        return list((self.folder / "jobs").iterdir())

    def drop_connections(self) -> int:
        """Kill what serves the open connections, as if the link had gone. Returns how many processes that were."""
        sessions = [child for child in psutil.Process(self._process.pid).children() if child.is_running()]
        for child in sessions:
            child.kill()
        return len(sessions)

    def processes(self) -> list[psutil.Process]:
        """Everything that was started through it and lives: no other process has this home."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME") == str(self.home) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@contextmanager
def board(
    root: Path, *, name: str = "board", python: str = f'exec {shlex.quote(sys.executable)} "$@"', **environment: str
) -> Iterator[Board]:
    """Start a server in `root`. `python` is the shell text that its python3 is made of, by default these tests'."""
    if SERVER is None:
        lacking("there is no sshd: apt-get install openssh-server")
    home, bin = root / "home", root / "bin"
    home.mkdir(parents=True)
    bin.mkdir()
    (root / "tmp").mkdir()
    write_program(bin / "python3", python)
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / key], check=True, timeout=60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"HOME": str(home), "PATH": f"{bin}:/usr/bin:/bin", "TMPDIR": str(root / "tmp")} | environment
    settings = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": root / "host_key", "PidFile": "none",
        "AuthorizedKeysFile": root / "user_key.pub", "StrictModes": "no", "UsePAM": "no",
        "PasswordAuthentication": "no", "SetEnv": " ".join(f"{k}={v}" for k, v in environment.items()),
    }  # fmt: skip
    (root / "server").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    client = {
        "Host": name, "HostName": "127.0.0.1", "Port": port, "User": getpass.getuser(),
        "IdentityFile": root / "user_key", "IdentitiesOnly": "yes", "UserKnownHostsFile": root / "known",
        "StrictHostKeyChecking": "accept-new",
    }  # fmt: skip
    (root / "client").write_text("".join(f"{key} {value}\n" for key, value in client.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd, as root, lives without privileges
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([SERVER, "-D", "-e", "-f", root / "server"], stderr=log)
    made = Board(root, process)
    try:
        wait_until(lambda: _listens(port), f"sshd does not start: {(root / 'log').read_text()}")
        yield made
    finally:
        process.terminate()
        process.wait(30)
        for left in made.processes():
            os.kill(left.pid, signal.SIGKILL)


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def wait_until(true: Callable[[], object], message: str) -> None:
    assert eventually(true), message


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
