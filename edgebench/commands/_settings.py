"""`--power-mode` and `--lock-clocks`, which hold for a run, and a warning about what a killed run left behind."""

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
            help="Hold the clocks during the run: jetson_clocks, elsewhere cpufreq. Needs root; put back afterwards.",
        ),
        click.option(
            "--power-mode", metavar="NAME",
            help="nvpmodel's power mode during the run, such as 15W. Needs root; put back afterwards.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@contextlib.contextmanager
def held(power_mode: str | None, lock_clocks: bool, console: Console) -> Iterator[None]:
    """Hold what the options ask for while the `with` lasts, and say what is held."""
    from edgebench.machine import clocks

    with clocks.hold(power_mode, lock_clocks) as sentence:
        if sentence:
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)
        yield


def warn_of_leftovers(console: Console) -> None:
    """Warn if a killed run has left this machine with other settings than before it."""
    from edgebench.machine import clocks

    if left := clocks.left_behind():
        console.print(
            f"a run with {left.asked} was killed before it could put back this machine's settings, so they still hold "
            "for this run: `edgebench devices restore` puts them back",
            style="bold yellow", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
