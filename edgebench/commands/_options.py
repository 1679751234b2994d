"""Options that several commands share."""

from __future__ import annotations

import dataclasses
import functools
import gc
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from edgebench.errors import UsageError
from edgebench.records.options import flag

if TYPE_CHECKING:
    from edgebench.machine.power.place import Watts
    from edgebench.records.workspace import Workspace
    from edgebench.results.figures import Row

TOLD = 5  # files that cannot be read, by name


def workspace(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--workspace`, given to the command as a `Workspace`."""

    def opened(ctx: click.Context, parameter: click.Parameter, value: Path) -> Any:
        from edgebench.records.workspace import Workspace

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
    from edgebench.machine.device import profile_names

    return [CompletionItem(name) for name in profile_names() if name.startswith(incomplete)]


def complete_runtimes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine.registry import names

    return [CompletionItem(name) for name in names("runtimes") if name.startswith(incomplete)]


def complete_rivals(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.comparing.crosscheck import RIVALS

    return [CompletionItem(name) for name in RIVALS if name.startswith(incomplete)]


def complete_targets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine.registry import names

    return [CompletionItem(name) for name in names("exporters") if name.startswith(incomplete)]


def settings(kind: type, without: Sequence[str] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option for each field of a dataclass like `recipe.TrainConfig`: its default, type and help."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        hints = typing.get_type_hints(kind)
        for field in reversed([field for field in dataclasses.fields(kind) if field.name not in without]):
            name, hint = flag(field.name), hints[field.name]
            if type(None) in typing.get_args(hint):  # X | None
                hint = typing.get_args(hint)[0]
            shown = field.default is not None and field.default is not False
            if typing.get_origin(hint) is typing.Literal:
                made: dict[str, Any] = {"type": click.Choice(typing.get_args(hint))}
            elif hint is bool and field.default is False:
                made = {"is_flag": True}
            elif hint is bool:
                name, made = f"{name}/--no-{name[2:]}", {"show_default": False}
            else:
                made = {"type": hint}
            made = {"default": field.default, "show_default": shown, "help": field.metadata["help"]} | made
            function = click.option(name, field.name, **made)(function)
        return function

    return decorated


def rows(workspace: Workspace) -> list[Row]:
    """The rows of the report of all results in a workspace; what cannot be read is told on stderr."""
    from rich.console import Console

    from edgebench.results import index
    from edgebench.results.rows import merged

    console = Console(stderr=True)
    with console.status("reading the results") as status:
        entries, problems = index.load(
            workspace.results, lambda done, of: status.update(f"reading results for the first time: {done} of {of}")
        )
    for problem in problems[:TOLD]:
        click.echo(f"warning: skipped {problem}", err=True)
    if len(problems) > TOLD:
        click.echo(f"warning: skipped {len(problems) - TOLD} files more", err=True)
    gc.freeze()  # there are many, and all live to the end
    return merged(entries)


class Number(click.ParamType):
    """A number alone; the message for one with its unit, or in words, says which unit is meant."""

    name = "number"

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def convert(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(value)
        except ValueError:
            option = parameter.opts[0] if parameter else "the limit"
            raise UsageError(f"{option} {value!r} is not a number", f"give {self.unit}, without the unit") from None


def limits(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each limit of the table of figures, given to the command as one `limits`."""
    from edgebench.choosing.limits import Limits
    from edgebench.results.figures import LIMITS

    @functools.wraps(function)
    def gathered(**given: Any) -> Any:
        asked = Limits(**{name: given.pop(name) for name in LIMITS})
        asked.check()
        return function(limits=asked, **given)

    for name, criterion in reversed(LIMITS.items()):
        kind = Number(criterion.limit.unit)
        gathered = click.option(flag(name), name, type=kind, metavar="NUMBER", help=criterion.limit.help)(gathered)
    return gathered


def config(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--config FILE.toml`: defaults for the command's other options, which a flag overrides."""

    def read(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> None:
        if path is None:
            return
        from edgebench.errors import unknown_name
        from edgebench.records import toml

        told = toml.read(path, example='write one setting a line: model = "resnet50"')
        known = {p.name for p in ctx.command.params if isinstance(p, click.Option)} - {"config", "help"}
        for name, value in told.items():
            if name not in known:
                error = unknown_name("setting", name, known)
                raise UsageError(f"{path}: {error.message}", error.fix)
            if isinstance(value, (dict, list)):
                raise UsageError(f"{path}: {name} is no single value", "write one setting a line: epochs = 20")
        ctx.default_map = {**(ctx.default_map or {}), **told}

    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=read,
        help="Settings from a TOML file, named as the options are: batch_size = 32. Flags come first.",
    )(function)


def power(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--power`, `--watts` and `--energy-seconds`, given as `meter`, `watts` and `energy_seconds`."""
    for option in (
        click.option(
            "--energy-seconds",
            type=float,
            default=10.0,
            show_default=True,
            help="Length of the power pass, at least; it takes 50 new values of the meter.",
        ),
        watts,
        click.option(
            "--power",
            "meter",
            default="auto",
            show_default=True,
            metavar="auto|none|METER",
            envvar="EDGEBENCH_POWER",
            shell_complete=complete_meters,
            help="Measure the energy in a pass of its own, with the best meter that works here, none, or this one.",
        ),
    ):
        function = option(function)
    return function


def _declared(ctx: click.Context, parameter: click.Parameter, given: str | None) -> Watts | None:
    if given is None:
        return None
    from edgebench.machine.power.place import Watts

    try:
        idle, most = map(float, given.split(":"))
    except ValueError:
        raise UsageError(f"--watts {given!r} is not IDLE:MAX", "for example --watts 3.5:12") from None
    return Watts(idle, most)


watts = click.option(
    "--watts",
    metavar="IDLE:MAX",
    callback=_declared,
    help="What the whole machine draws idle and at full CPU load, for the meter `model`: no measurement, and labelled.",
)


def complete_meters(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine import registry

    return [CompletionItem(name) for name in ("auto", "none", *registry.names("meters")) if name.startswith(incomplete)]


def pairs(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE options as a dictionary."""
    for item in given:
        if "=" not in item:
            raise UsageError(f"{parameter.opts[0]} {item!r} is not KEY=VALUE", "for example latency_ms=2")
    return dict(item.split("=", 1) for item in given)
