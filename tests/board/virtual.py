"""The virtual board for tests: where it is built, and how to start one. See docs/boards.md."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from conftest import REPOSITORY


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
    board.start(model, **{"cpu": "cortex-a76", "cores": 2, "memory": 2048, "kernel": "", "fresh": True} | options)
    try:
        yield board
    finally:
        board.delete()
