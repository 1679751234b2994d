"""Model files that a command takes in place of artifacts: what is said of them, and what Ctrl-C leaves."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.records.workspace import Workspace
    from edgebench.specs import Artifact


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Ctrl-C ends the command and says that nothing is left: a model is adopted whole or not at all."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted: the model was not adopted, and nothing of it is left behind.", err=True)
        sys.exit(130)  # as shells do after SIGINT


def read(
    paths: Sequence[Path], workspace: Workspace, console: Console, tell: Callable[[str], None] = lambda stage: None
) -> list[Artifact]:
    """The artifacts; of each model file, a line that tells what was adopted, or that it was adopted before."""
    from edgebench.adopting import adopt
    from edgebench.adopting.told import inputs_told
    from edgebench.records.terminal import printable
    from edgebench.records.workspace import now

    since, found = now(), []
    for path in paths:
        with adopting():
            made = adopt.read(path, workspace, tell)
        found.append(made)
        if made.adopted and not path.is_dir():
            did = f"adopted {path} as" if made.created >= since else f"{path} was adopted before:"
            line = printable(f"{did} {made.path}; inputs, {made.adopted.inputs}: {inputs_told(made)}")
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return found
