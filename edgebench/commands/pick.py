"""`edgebench pick`: from a folder of images to what to deploy, inside a time budget, in one command."""

from __future__ import annotations

import re
import typing
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.choosing.limits import Prefer
from edgebench.commands import _options
from edgebench.errors import UsageError
from edgebench.measuring.options import RunOptions
from edgebench.records.beginning import Beginning, Licence
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from edgebench.choosing.limits import Limits
    from edgebench.choosing.picked import Picked
    from edgebench.choosing.ready_pick import ReadyPick
    from edgebench.records.workspace import Workspace

NAMED = 6  # so many candidates have a line each that says what they begin with
UNITS = {"h": 3600, "m": 60, "s": 1}


class Duration(click.ParamType):
    """A time with its unit: 30m, 1h, 600s, 1h30m. A bare number is refused: it could be minutes or seconds."""

    name = "duration"

    def convert(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?", str(value).strip())
        seconds = sum(int(n) * u for n, u in zip(found.groups(), UNITS.values(), strict=True) if n) if found else 0
        if not seconds:
            raise UsageError(f"--budget {value!r} is not a time", "give it with its unit: 30m, 1h, 600s, 1h30m")
        return float(seconds)


def names(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """`--models a,b` and `--models a --models b` alike."""
    return tuple(dict.fromkeys(name.strip() for item in given for name in item.split(",") if name.strip()))


@click.command(
    epilog="""\b
Examples:
  edgebench pick --data photos/ --max-p99-ms 20
  edgebench pick --data photos/ --budget 10m --max-memory-mb 200 --min-accuracy 0.8 --out robot/
  edgebench pick --data photos/ --models mobilenetv4,resnet18 --init resnet18=resnet18.safetensors
  python picked/infer.py photos/cat/001.jpg"""
)
@click.option("--data", required=True, metavar="FOLDER", help="Images, a folder a class; or a dataset's name.")
@_options.settings(TrainConfig, only=("layout", "labels", "group_by", "near_copies", "skip_conflicts", "skip_broken"))
@click.option(
    "--device", metavar="PROFILE", shell_complete=_options.complete_devices,
    help="Device profile: `edgebench devices`.  [default: what this machine is]",
)  # fmt: skip
@_options.limits
@click.option(
    "--prefer", type=click.Choice(typing.get_args(Prefer)), default="accuracy", show_default=True,
    help="Which figure decides among the candidates that keep the limits.",
)  # fmt: skip
@click.option(
    "--budget", "budget_s", type=Duration(), default="30m", show_default=True, metavar="TIME",
    help="How long it may take in all: 30m, 1h, 600s.",
)  # fmt: skip
@click.option(
    "--models", multiple=True, metavar="NAME,…", callback=names,
    help="The candidates.  [default: more than twenty small ones, those whose weights can be had]",
)  # fmt: skip
@click.option(
    "--runtime", "runtimes", multiple=True, metavar="NAME", shell_complete=_options.complete_runtimes,
    help="Only this runtime; may be given several times.  [default: those of onnxruntime and openvino that work here]",
)  # fmt: skip
@click.option(
    "--precision", "precisions", multiple=True, type=click.Choice(["fp32", "int8"]), default=("fp32",),
    show_default=True, help="Precision of the exports; may be given several times.",
)  # fmt: skip
@click.option(
    "--image-size", type=int,
    help="Pixels to train at.  [default: with learned weights as many as there is time for, at most those that they "
    "were made for; else the images' usual size, 32 to 224]",
)  # fmt: skip
@_options.init
@click.option(
    "--licence", type=click.Choice(typing.get_args(Licence)), default="any", show_default=True,
    help="permissive: leave out candidates whose weights not everybody may use.",
)  # fmt: skip
@_options.settings(RunOptions, only=("race",))
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the splits and the trainings.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="picked", show_default=True,
    help="The folder to deploy: the model, infer.py and the evidence.",
)  # fmt: skip
@_options.workspace
@_options.as_json
def command(
    data: str, device: str | None, limits: Limits, prefer: Prefer, budget_s: float, models: tuple[str, ...],
    runtimes: tuple[str, ...], precisions: tuple[Precision, ...], image_size: int | None, inits: dict[str, str],
    licence: Licence, seed: int, out: Path, workspace: Workspace, as_json: bool, layout: str | None,
    labels: str | None, group_by: str | None, near_copies: bool, skip_conflicts: bool, skip_broken: bool,
    race: bool,
) -> None:  # fmt: skip
    """Find out what to deploy for these images on this device, inside a time budget.

    Looks at the frozen features of all candidates, and tries the best of them: a probe or a short training, the export
    and a brief measurement. Drops those that would break a limit however well they learn. Trains the best few in the
    time that is left, exports, verifies, evaluates and measures them, and chooses as `edgebench select` does. If it is
    killed, the same command goes on where it was. Exit code 1 if nothing is known to keep the limits, or its accuracy
    is not known.
    """
    import sys
    import time

    began = time.monotonic()
    from rich.console import Console

    from edgebench.choosing import confidence, pick_doubts, picking, ready_pick
    from edgebench.choosing.picked import Asked
    from edgebench.report import deploy
    from edgebench.training.listening import fetching

    deploy.check(out)
    console = Console(stderr=True)
    with console.status("looking at the images, the runtimes and the weights") as status:
        ready = ready_pick.prepare(
            data, runtimes=deploy.runtimes(Asked.target, runtimes), device=device, limits=limits, prefer=prefer,
            budget_s=budget_s,
            models=models, precisions=precisions, image_size=image_size, init=inits.pop("", "auto"), inits=inits,
            licence=licence, seed=seed, layout=layout, labels=labels, group_by=group_by, near_copies=near_copies,
            skip_conflicts=skip_conflicts, skip_broken=skip_broken, race=race,
            on_weights=lambda *told: status.update(_safe(fetching(*told))),
        )  # fmt: skip
    if ready.site.notice:
        console.print(ready.site.notice, style="bold yellow", highlight=False, markup=False, soft_wrap=True)
    _say_what_is_ahead(ready)
    with console.status("") as status:
        show = _shows(console, status.update)
        try:
            picked = picking.pick(
                ready, workspace, tell=lambda sentence: click.echo(sentence, err=True),
                show=show,
            )  # fmt: skip
        except KeyboardInterrupt:
            click.echo("Interrupted: what is done is kept; the same command goes on.", err=True)
            sys.exit(130)
    ended = time.monotonic()
    calibrate = confidence.calibrating(picked, workspace, budget_s)
    decision = deploy.write(out, picked.decision, picked.artifact, list(picked.files), calibrate)
    _show(replace(picked, decision=decision), out, as_json)
    # The budget does not count what comes before it and after it.
    _end(picked, out, picked.seconds + (ready.began - began) + (time.monotonic() - ended))
    if decision.chosen is None or pick_doubts.uncounted(decision):
        sys.exit(1)


def _say_what_is_ahead(ready: ReadyPick) -> None:
    from edgebench.choosing import pick_doubts
    from edgebench.records import account_text
    from edgebench.records.recipe import absolute
    from edgebench.sweeping.facts import key

    for line in account_text.short(ready.account):
        click.echo(line, err=True)
    asked = ready.asked
    n, size = len(asked.configs), " or ".join(_sizes(asked.configs))
    what, runtimes = "1 candidate" if n == 1 else f"{n} candidates", ", ".join(asked.runtimes)
    click.echo(f"{what}, {ready.images} images at {size}, {_time(asked.budget_s)}, on {runtimes}", err=True)
    began = {config.model: ready.known.beginnings[key(absolute(config))] for config in asked.configs}
    for name, why in ready.untimed.items():
        click.echo(f"not on {name}: {why}", err=True)
    for line in _beginnings(began) if n <= NAMED else _counted_beginnings(began):
        click.echo(line, err=True)
    for line in pick_doubts.without_weights(ready.unavailable):
        click.echo(line, err=True)
    slow = sum(not found.learned for found in began.values()) or 1
    if asked.budget_s < 60 * slow:
        click.echo(
            f"note: {asked.budget_s:g} s is short for {what}; some may be left out "
            "(fewer --models, a longer --budget)", err=True,
        )  # fmt: skip


def _beginnings(began: Mapping[str, Beginning]) -> Iterator[str]:
    for model, found in began.items():
        licence = f", licence {found.licence or 'unknown'}" if found.learned else f" weights: {found.why}"
        yield f"{model} begins with {found.title}{licence}"


def _counted_beginnings(began: Mapping[str, Beginning]) -> Iterator[str]:
    """One line for those with learned weights, with their licences; one for each of the others."""
    learned = {model: found for model, found in began.items() if found.learned}
    licences = Counter(found.licence or "unknown" for found in learned.values())
    told = ", ".join(f"{n} × {licence}" for licence, n in licences.most_common())
    yield f"{len(learned)} begin with learned weights ({told}): {', '.join(learned)}"
    yield from _beginnings({model: found for model, found in began.items() if not found.learned})


def _sizes(configs: Sequence[TrainConfig]) -> list[str]:
    sizes = sorted({config.image_size for config in configs if config.image_size})
    theirs = ["up to the size of their weights"] * any(config.image_size is None for config in configs)
    return [*(f"{size} pixels" for size in sizes), *theirs]


def _show(picked: Picked, out: Path, as_json: bool) -> None:
    import sys

    from rich.console import Console

    from edgebench.report import choice, floors

    if as_json:
        click.echo(choice.as_json(picked.decision), nl=False)
    else:
        for line in choice.headline(picked.decision):
            click.echo(line)
        for line in floors.lines(picked.artifact.training) if picked.artifact else []:
            click.echo(line)
        console = Console(width=None if sys.stdout.isatty() else 200)
        console.print(choice.terminal(picked.decision, console.width))


def _end(picked: Picked, out: Path, seconds: float) -> None:
    runs = f"; try: python {out / 'infer.py'} IMAGE" if picked.decision.chosen else ""
    waited = f", after {_clock(picked.waited_s)} of waiting for another edgebench" if picked.waited_s >= 1 else ""
    click.echo(f"picked in {_clock(seconds)}{waited}: {out}{runs}", err=True)


def _shows(console: Console, update: Callable[[str], None]) -> Callable[[str, float], None]:
    """Shows what is done and the time left; that it waits for the machine is said in a log as well, each time once."""
    from edgebench.machine.locks import WAITING

    said = ""

    def show(what: str, left: float) -> None:
        nonlocal said
        waits = WAITING in what
        if waits and what != said and not console.is_terminal:
            console.print(f"{_safe(what)}; the budget stands still", highlight=False, markup=False, soft_wrap=True)
        said = what if waits else ""
        update(f"{_clock(left)} left{' (standing still)' * waits}: {_safe(what)}")

    return show


def _clock(seconds: float) -> str:
    sign, seconds = ("-" if seconds < 0 else ""), abs(int(seconds))
    return f"{sign}{seconds // 60}:{seconds % 60:02d}"


def _safe(text: str) -> str:
    from rich.markup import escape

    from edgebench.records.terminal import printable

    return escape(printable(text))


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"
