"""Options that several commands share."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from edgebench.errors import UsageError
from edgebench.records import collecting, options
from edgebench.records.options import flag

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace
    from edgebench.results.figures import Row

TOLD = 5  # unreadable files that a warning names


def workspace(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--workspace`, given to the command as a `Workspace`."""

    def opened(ctx: click.Context, parameter: click.Parameter, value: Path) -> Any:
        from edgebench.records import elsewhere, replacing
        from edgebench.records.workspace import Workspace

        opened = Workspace(value)
        # What a command left that was killed.
        replacing.sweep_up(replacing.temporary(), opened.root, *opened.folders, *elsewhere.of(opened.root))
        ctx.call_on_close(elsewhere.forget)
        return opened

    return click.option(
        "--workspace",
        type=click.Path(file_okay=False, path_type=Path),
        default="runs",
        envvar="EDGEBENCH_WORKSPACE",
        callback=opened,
        help="Folder of the checkpoints, artifacts and results.  [default: ./runs]",
    )(function)


as_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on stdout.")


since = click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), metavar="DATE",
    help="Only results from this moment (UTC) on: 2026-09-01 or 2026-09-01T12:00:00. Accepts a new level.",
)  # fmt: skip


def complete_devices(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine.device import profile_names

    return [CompletionItem(name) for name in profile_names() if name.startswith(incomplete)]


def complete_datasets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The named datasets, and folders."""
    from edgebench.records.recipe import NAMED_DATASETS

    named = [CompletionItem(name) for name in NAMED_DATASETS if name.startswith(incomplete)]
    return [*named, CompletionItem(incomplete, type="dir")]


def complete_runtimes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine.registry import names

    return [CompletionItem(name) for name in names("runtimes") if name.startswith(incomplete)]


def complete_rivals(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.comparing.crosscheck import RIVALS

    return [CompletionItem(name) for name in RIVALS if name.startswith(incomplete)]


def complete_targets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine.registry import names

    return [CompletionItem(name) for name in names("exporters") if name.startswith(incomplete)]


def complete_linters(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine.registry import names

    return [CompletionItem(name) for name in names("linters") if name.startswith(incomplete)]


def settings(
    kind: type, without: Sequence[str] = (), only: Sequence[str] = (), **changed: dict[str, Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A click option for each option of the dataclass `kind` (records/options.py); the command gets them by key.

    `without` leaves some out, `only` takes just these, in this order. `changed`: by key, arguments of `click.option`
    that replace the dataclass's, such as another default.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        found = {each.key: each for each in options.options_of(kind)}
        for key in reversed(only or [key for key in found if key not in without]):
            each = found[key]
            shown = each.default is not None and each.default is not False and each.default != ()
            told = {"default": each.default, "show_default": shown, "help": each.help}
            name, made = _spelled(each)
            function = click.option(name, key, **told | made | changed.get(key, {}))(function)
        return function

    return decorated


def of_scenarios(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that belong to single scenarios, including those of plug-ins; None where not given."""
    from edgebench.machine.scenario_registry import own_options

    for each, names in reversed(own_options()):
        default = each.unset or (f"{each.default:g}" if isinstance(each.default, float) else str(each.default))
        help = f"{each.help.rstrip('.')} ({', '.join(names)}).  [default: {default}]"
        name, made = _spelled(dataclasses.replace(each, default=None))
        function = click.option(name, each.key, **made | {"default": None, "show_default": False, "help": help})(
            function
        )
    return function


def scenario(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--scenario`: the name of an installed scenario that is timed."""
    from edgebench.machine.scenario_registry import timed
    from edgebench.records.jobs import Conditions

    return settings(Conditions, only=("scenario",), scenario={"type": click.Choice(timed())})(function)


def _spelled(each: options.Option) -> tuple[str, dict[str, Any]]:
    """The flag of an option, and the arguments that tell click about its values."""
    made: dict[str, Any] = {}
    if each.metavar:
        made["metavar"] = each.metavar
    if each.env:
        made["envvar"] = each.env
    if each.names:
        made["shell_complete"] = {"runtimes": complete_runtimes, "meters": complete_meters}[each.names]
    if each.parse:
        made["callback"] = functools.partial(_parsed, each.parse)
    elif typing.get_origin(each.kind) is typing.Literal:
        made["type"] = click.Choice(typing.get_args(each.kind))
    elif typing.get_origin(each.kind) is tuple:
        made |= {"type": typing.get_args(each.kind)[0], "multiple": True}
    elif typing.get_origin(each.kind) is dict:
        made |= {"multiple": True, "callback": pairs, "default": (), "show_default": False}
    elif each.kind is bool and each.default is True:
        return f"{each.flag}/--no-{each.flag[2:]}", made | {"show_default": False}
    elif each.kind is bool and each.default is None:
        return f"{each.flag}/--no-{each.flag[2:]}", made
    elif each.kind is bool:
        made["is_flag"] = True
    else:
        made["type"] = each.kind
    return each.flag, made


def _parsed(parse: Callable[[str, str], Any], ctx: click.Context, parameter: click.Parameter, given: str | None) -> Any:
    return given if given is None else parse(parameter.opts[0], given)


@collecting.paused()
def rows(workspace: Workspace) -> list[Row]:
    """The report's rows for all results in a workspace; a warning on stderr names what cannot be read."""
    from rich.console import Console

    from edgebench.records.workspace import now
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
        click.echo(f"warning: skipped {len(problems) - TOLD} more files", err=True)
    until = now()
    if ahead := [entry.row.file for entry in entries if entry.row.created > until]:
        told = f"{ahead[0]}{f' and {len(ahead) - 1} more' if len(ahead) > 1 else ''}"
        click.echo(f"warning: dated in the future, so counted as the oldest: {told}; was a clock wrong?", err=True)
    made = merged(entries)
    collecting.leave_out()  # there are many
    return made


dataset = click.option(
    "--dataset", metavar="NAME",
    help="Only results of this dataset; NAME@HASH tells test splits of one name apart.",
)  # fmt: skip


class Number(click.ParamType):
    """A number without its unit. The error for anything else, such as 20ms, says which unit is meant."""

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
    """An option for each limit of the table of figures; the command gets them together as `limits`."""
    from edgebench.choosing.limits import Limits, read_recalls
    from edgebench.results.figures import LIMITS
    from edgebench.results.recalls import BY_CLASS

    @functools.wraps(function)
    def gathered(**given: Any) -> Any:
        by_class = {name: read_recalls(flag(name), given.pop(name)) for name in BY_CLASS}
        asked = Limits(**{name: given.pop(name) for name in LIMITS}, **by_class)
        asked.check()
        return function(limits=asked, **given)

    for name, criterion in reversed(BY_CLASS.items()):
        told = f"{criterion.limit.help} May be given several times."
        gathered = click.option(flag(name), name, metavar="CLASS=SHARE", multiple=True, help=told)(gathered)
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
                raise UsageError(f"{path}: {name} is not a single value", "write one setting a line: epochs = 20")
        ctx.default_map = {**(ctx.default_map or {}), **told}

    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=read,
        help="Settings from a TOML file, named as the options are: batch_size = 32. Flags override them.",
    )(function)


def complete_meters(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from edgebench.machine import registry

    return [CompletionItem(name) for name in ("auto", "none", *registry.names("meters")) if name.startswith(incomplete)]


def beginnings(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """`--init [MODEL=]HOW`: by model, what it begins with; by "", what all others do."""
    return dict((item if "=" in item else f"={item}").split("=", 1) for item in given)


def init(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--init [MODEL=]HOW` of the commands that take several networks, given to the command as `inits`."""
    from edgebench.records.recipe import TrainConfig

    help = next(each.help for each in options.options_of(TrainConfig) if each.key == "init")
    return click.option(
        "--init", "inits", multiple=True, metavar="[MODEL=]HOW", callback=beginnings,
        help=f"{help} For all networks, or for one: resnet18=FILE. May be given several times.  "
        f"[default: {TrainConfig.init}]",
    )(function)  # fmt: skip


def pairs(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE options as a dictionary."""
    for item in given:
        if "=" not in item:
            raise UsageError(f"{parameter.opts[0]} {item!r} is not KEY=VALUE", "for example latency_ms=2")
    return dict(item.split("=", 1) for item in given)
