"""The progress of a training, as a terminal shows it and as a log does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgebench.commands import _progress
from edgebench.commands._training import TrainingProgress

STEP = SimpleNamespace(
    epoch=1, epochs=2, step=4, steps=4, loss=0.5, accuracy=0.75, validation_accuracy=0.5, images_per_s=100.0,
    seconds_left=61.0, part="",
)  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    with TrainingProgress() as progress:
        progress.preparing("images", 8, 8)
        progress.show(STEP)
        progress.say("done")
    return capsys.readouterr().err


def test_a_terminal_shows_a_live_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    told = shown(capsys)
    assert "reading images" in told or "epoch 1/2" in told
    assert "\x1b[" in told


def test_a_log_gets_a_line_an_epoch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    assert shown(capsys).splitlines() == [
        "read 8 images", "epoch 1/2 loss 0.500 acc 0.750 val 0.500 100 images/s 1:01 left", "done",
    ]  # fmt: skip


def test_a_log_has_no_line_for_the_epochs_of_a_search(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with TrainingProgress() as progress:
        progress.show(SimpleNamespace(**vars(STEP) | {"part": "search 1/2, setting 3/9"}))
    assert capsys.readouterr().err == ""


def test_a_log_gets_a_line_now_and_then_of_what_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading ten thousand pictures and torch's answers to them takes minutes, in which nothing was said."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(_progress, "EVERY_S", 0.0)
    with TrainingProgress() as progress:
        progress.preparing("images", 4000, 10000)
        progress.preparing("images", 10000, 10000)
        progress.counting("features", 5, 8)
    assert capsys.readouterr().err.splitlines() == ["4,000 of 10,000 images", "read 10,000 images", "features: 5 of 8"]
