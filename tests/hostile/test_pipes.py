"""`report | head`: a reader that is gone ends a command quietly, whatever it was printing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories import make_result

from edgebench.results import store


@pytest.mark.parametrize(
    "words", [["--help"], ["report"], ["report", "--format", "json"], ["report", "--format", "csv"]]
)
def test_a_closed_pipe_is_no_error_worth_a_word(words: list[str], tmp_path: Path) -> None:
    store.save(make_result(), tmp_path / "runs" / "results")
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "edgebench", *words]
    done = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == "" and done.returncode in (0, 1)
