"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from edgebench.errors import UsageError

# The runtime that is meant where none is named; any other format is that of a runtime of the same name.
NATIVE = {"checkpoint": "torch", "onnx": "onnxruntime"}


def workspace(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--workspace`, given to the command as a `Workspace`."""

    def opened(ctx: click.Context, parameter: click.Parameter, value: Path) -> Any:
        from edgebench.workspace import Workspace

        return Workspace(value)

    return click.option(
        "--workspace",
        type=click.Path(file_okay=False, path_type=Path),
        default="runs",
        envvar="EDGEBENCH_WORKSPACE",
        callback=opened,
        help="Folder of the checkpoints, artifacts and results.  [default: ./runs]",
    )(function)


as_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on stdout.")


def complete_devices(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.device import profile_names

    return [CompletionItem(name) for name in profile_names() if name.startswith(incomplete)]


def complete_runtimes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.registry import names

    return [CompletionItem(name) for name in names("runtimes") if name.startswith(incomplete)]


def complete_rivals(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.crosscheck import RIVALS

    return [CompletionItem(name) for name in RIVALS if name.startswith(incomplete)]


def complete_targets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.registry import names

    return [CompletionItem(name) for name in names("exporters") if name.startswith(incomplete)]


def pairs(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE options as a dictionary."""
    for item in given:
        if "=" not in item:
            raise UsageError(f"{parameter.opts[0]} {item!r} is not KEY=VALUE", "for example latency_ms=2")
    return dict(item.split("=", 1) for item in given)
