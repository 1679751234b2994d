"""The virtual board for tests: where it is built, how to start one, and commands for it. See docs/boards.md."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from conftest import REPOSITORY, clean_environment

LIMIT_S = 3600  # for a board played by a busy machine
JOBS = ".local/share/edgebench/jobs"


def script() -> ModuleType:
    """scripts/virtual_board, which has no ending by which Python would know it."""
    path = str(REPOSITORY / "scripts" / "virtual_board")
    loader = importlib.machinery.SourceFileLoader("virtual_board", path)
    made = importlib.util.module_from_spec(importlib.util.spec_from_loader("virtual_board", loader))
    loader.exec_module(made)
    return made


@contextmanager
def booted(name: str, model: str, **options: Any) -> Iterator[Any]:
    """A fresh board, deleted afterwards. Skips where none is built, or nobody asked for a test that takes minutes."""
    module = script()
    if not (module.PLACE / "image" / "disk.img").exists():
        pytest.skip(f"no virtual board is built in {module.PLACE}: scripts/virtual_board build")
    if not os.environ.get("EDGEBENCH_BOARDS"):
        pytest.skip("a test on the virtual board takes minutes: name its folder in EDGEBENCH_BOARDS")
    board = module.Board(name)
    board.delete()  # what a killed test left
    board.start(model, **{"cpu": "cortex-a76", "cores": 2, "memory": 2048, "kernel": "", "fresh": True} | options)
    try:
        yield board
    finally:
        board.delete()


def desk(*arguments: Any, during: Callable[[], None] | None = None, when: Callable[[], bool] = lambda: True) -> Any:
    """Run edgebench here; and, once `when` is true, something beside it."""
    command = [sys.executable, "-m", "edgebench", *map(str, arguments)]
    failed = []

    def beside() -> None:
        deadline = time.monotonic() + LIMIT_S
        while not when():
            if time.monotonic() > deadline or process.poll() is not None:
                failed.append("the moment did not come")
                return
            time.sleep(1)
        try:
            during()
        except Exception as error:  # it would end with its thread
            failed.append(repr(error))

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        thread = threading.Thread(target=beside) if during else None
        if thread:
            thread.start()
        out, err = process.communicate(timeout=LIMIT_S)
    if thread:
        thread.join()
    assert not failed, (failed, out, err)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def measuring(board: Any) -> bool:
    """Whether a launch is being measured there."""
    return "measuring" in board.ssh(f"cat {JOBS}/*/progress.jsonl", check=False, limit_s=120).stdout


def powering(board: Any) -> bool:
    """Whether the power pass has begun its requests."""
    told = board.ssh(f"cat {JOBS}/*/progress.jsonl", check=False, limit_s=120).stdout.strip().splitlines()
    return bool(told) and "power: " in told[-1] and "idle" not in told[-1]
