"""What a command says of its phases where its output is a log."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from conftest import Command
from factories import make_artifact
from rich.console import Console

from edgebench.choosing import tuning
from edgebench.commands import _progress
from edgebench.commands._progress import EVERY_S, Phases
from edgebench.machine.locks import WAITING


def test_a_log_gets_a_line_now_and_then_and_a_wait_at_once() -> None:
    now_s, log = [0.0], io.StringIO()
    with Phases(Console(file=log), clock=lambda: now_s[0]) as phases:
        phases.update("soon over")
        phases.update(WAITING, now=True)
        for second in range(1, 26):
            now_s[0] = float(second)
            phases.update(f"launch {second}: [b]\x1b")
    assert log.getvalue().splitlines() == [WAITING, *(f"launch {second}: [b]\ufffd" for second in (10, 20))], EVERY_S


def test_a_terminal_shows_the_phase_in_place_and_keeps_no_line() -> None:
    shown = io.StringIO()
    with Phases(Console(file=shown, force_terminal=True, width=80), clock=lambda: 1e9) as phases:
        phases.update("[b] launch 1", now=True)
    assert "[b] launch 1" in shown.getvalue() and shown.getvalue().endswith("\x1b[2K"), "it is erased in the end"


def test_tune_is_not_silent_in_a_log_and_ctrl_c_is_no_traceback(
    tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: object, on_phase, on_wait, **named: object) -> None:
        on_wait()
        on_phase("round 1: onnxruntime on 2 threads")
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "tune", stopped)
    monkeypatch.setattr(_progress, "EVERY_S", 0.0)
    done = in_process("tune", make_artifact(tmp_path / "net").path, "--workspace", tmp_path)
    lines = [WAITING, "round 1: onnxruntime on 2 threads", "Interrupted: nothing was measured yet, so nothing is kept."]
    assert done.returncode == 130 and done.stderr.splitlines() == lines


@pytest.mark.parametrize("terminal", [True, False])
def test_the_command_line_of_who_is_waited_for_is_shown_as_it_is(terminal: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=120)
    with console.status("") as status:
        _progress.tells(console, status.update)(f"{WAITING} (process 7: edgebench run [/x] \x1b]0;title\x07)")
    assert "edgebench run [/x] \ufffd]0;title\ufffd" in shown.getvalue()
