"""Commands in copies of this process, for tests that kill a training or look at its terminal: torch is loaded there."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from conftest import clean_environment

from edgebench.cli import cli


def start(*arguments: str | Path, cwd: Path, stdout: int | None = None, stderr: int | None = None, **env: str) -> int:
    """Start `edgebench ARGUMENTS --threads 1` in a copy of this process, writing to these file descriptors; its pid.

    A process of its own takes five seconds to import what trains. One thread: those of OpenMP do not survive a fork.
    """
    if child := os.fork():
        return child
    code = 1
    try:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(clean_environment(**env))
        for number, given in ((1, stdout), (2, stderr)):
            if given is not None:
                os.dup2(given, number)
        sys.stdout, sys.stderr = (
            os.fdopen(number, "w", buffering=1, encoding="utf-8", closefd=False) for number in (1, 2)
        )
        cli.main([*map(str, arguments), "--threads", "1"])
    except SystemExit as asked:
        code = asked.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
