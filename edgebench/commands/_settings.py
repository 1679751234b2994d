"""The options that set the power mode and the clocks for a run, and what a run that was killed has left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--power-mode` and `--lock-clocks`."""
    for option in (
        click.option(
            "--lock-clocks", is_flag=True,
            help="Hold the clocks for the run: jetson_clocks, elsewhere cpufreq. Takes root; put back after it.",
        ),
        click.option(
            "--power-mode", metavar="NAME",
            help="nvpmodel's power mode for the run, as 15W. Takes root; put back after it.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@contextlib.contextmanager
def held(power_mode: str | None, lock_clocks: bool, console: Console) -> Iterator[None]:
    """What the options ask for, for as long as the `with` lasts; says what is held."""
    from edgebench.machine import clocks

    with clocks.hold(power_mode, lock_clocks) as sentence:
        if sentence:
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)
        yield


def warn_of_leftovers(console: Console) -> None:
    """Say so if a run that was killed has left other settings than there were before it."""
    from edgebench.machine import clocks

    if left := clocks.left_behind():
        console.print(
            f"a run with {left.asked} was killed before it could put back this machine's settings, which these figures "
            "will be of: `edgebench devices restore` puts them back",
            style="bold yellow", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
