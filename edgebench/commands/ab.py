"""`edgebench ab`: is B slower than A? Both are loaded at once and run in alternating bursts."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _adopting, _options, _progress
from edgebench.errors import UsageError
from edgebench.measuring.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgebench.comparing.ab import AbComparison
    from edgebench.comparing.ratio import Ratio
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench ab runs/artifacts/OLD-onnx runs/artifacts/NEW-onnx
  edgebench ab ARTIFACT --runtime ort --runtime-b openvino       one artifact, two runtimes
  edgebench ab ARTIFACT --threads 1 --threads-b 2
  edgebench ab old.onnx new.onnx                                 two models from elsewhere
  edgebench ab ARTIFACT --python-b ../next/.venv/bin/python      two environments, say two versions of onnxruntime"""
)
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--runtime",
    metavar="NAME",
    shell_complete=_options.complete_runtimes,
    help="A's runtime.  [default: the format's own]",
)
@click.option(
    "--runtime-b", metavar="NAME", shell_complete=_options.complete_runtimes, help="B's runtime.  [default: A's]"
)
@_options.settings(
    RunOptions, only=("compute", "batch", "threads"),
    compute={"help": "What the runtime computes on.  [default: this machine's]"},
    batch={"help": "Images a request.  [default: 1; of an adopted model, its own]"},
    threads={"help": "CPU threads of the runtime.  [default: the physical cores]"},
)  # fmt: skip
@click.option("--threads-b", type=int, help="B's threads.  [default: A's]")
@click.option(
    "--runtime-option", multiple=True, metavar="KEY=VALUE", callback=_options.pairs, help="Passed to A's runtime."
)
@click.option(
    "--runtime-option-b",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_options.pairs,
    help="Passed to B's runtime.  [default: A's]",
)
@click.option("--python-a", metavar="PYTHON", help="A Python with edgebench, to run A in.  [default: this one]")
@click.option("--python-b", metavar="PYTHON", help="The same for B.")
@click.option("--band", type=float, default=0.02, show_default=True, help="A difference below this share is noise.")
@click.option(
    "--max-seconds", type=float, default=60.0, show_default=True, help="Make no launch that would end after this."
)
@click.option(
    "--fail-on",
    type=click.Choice(["slower", "faster", "inconclusive"]),
    multiple=True,
    help="Exit code 1 for this verdict; may be given several times.",
)
@_options.workspace
@_options.as_json
def command(
    a: Path, b: Path | None, as_json: bool, fail_on: tuple[str, ...], band: float, workspace: Workspace, **given: Any
) -> None:
    """Is B slower than A? For differences that separate runs cannot see on a noisy machine.

    Both are loaded at once and take turns at short bursts, so that whatever else the machine does slows both alike.
    That is repeated in fresh processes until the 95 % interval of the ratio B ÷ A is outside the noise band, or inside.
    """
    from rich.console import Console

    from edgebench.comparing import sides
    from edgebench.machine import stated
    from edgebench.records import jsonio

    for side in ("", "_b"):
        runtime = given[f"runtime{side}"] or given["runtime"]
        chosen = given[f"runtime_option{side}"] or given["runtime_option"]
        if chosen and not runtime:
            raise UsageError(f"--runtime-option{'-b' * bool(side)} needs a runtime", "name it: --runtime NAME")
        stated.check([runtime] if runtime else [], given["compute"], chosen)
    console = Console(stderr=True)
    paths = [a, b] if b else [a]
    with console.status("reading the artifacts") as reading:
        artifacts = _adopting.read(paths, workspace, console, reading.update)
    first = sides.Side(
        artifact=artifacts[0], runtime=given["runtime"], threads=given["threads"],
        options=given["runtime_option"], python=given["python_a"],
    )  # fmt: skip
    second = sides.Side(
        artifact=artifacts[-1], runtime=given["runtime_b"] or given["runtime"],
        threads=given["threads_b"] or given["threads"], options=given["runtime_option_b"] or given["runtime_option"],
        python=given["python_b"],
    )  # fmt: skip
    with console.status("loading both") as status:

        def on_launch(launches: int, so_far: Any) -> None:
            known = _ratio(so_far) if so_far else "…"
            status.update(f"launch {launches}: B ÷ A {known}")

        found = sides.compare_artifacts(
            first, second, compute=given["compute"], batch=given["batch"], band=band,
            max_seconds=given["max_seconds"], on_launch=on_launch,
            on_wait=_progress.says_it_waits(console, status.update),
        )  # fmt: skip
    click.echo(jsonio.dumps(found, indent=1) if as_json else _told(found))
    if found.verdict in fail_on:
        sys.exit(1)


def _ratio(found: Ratio) -> str:
    interval = "" if found.low is None else f" (95 % interval {found.low:.3f} to {found.high:.3f})"
    return f"{found.ratio:.3f}{interval}"


def _told(found: AbComparison) -> str:
    from edgebench.comparing.ratio import FEWEST_RANKED

    launches, made = sorted(found.launches), len(found.launches)
    known = f"B ÷ A = {_ratio(found.ratio)} from {made} launches"
    if found.ratio.low is None:
        between = f"between {launches[0]:.3f} and {launches[-1]:.3f} in {made} launches"
        known = f"B ÷ A was {between}, which are too few for an interval: it takes {FEWEST_RANKED}"
    ended = {"interrupted": "; INTERRUPTED"}.get(found.stop, "")
    if found.stop == "max_seconds":
        more = math.ceil(found.seconds / made * max(FEWEST_RANKED + 1, 2 * made))
        ended = f"; the time was up before that was certain: --max-seconds {more}"
    lines = [
        f"{found.verdict}: {known}; {found.bursts} bursts of each, {found.seconds:.0f} s{ended}",
        f"launches, of which B ÷ A is the median: {_listed(launches)}",
        f"A: {found.base}, median of all bursts {found.base_median_ns / 1e6:.3f} ms",
        f"B: {found.new}, median of all bursts {found.new_median_ns / 1e6:.3f} ms",
        *(f"warning: {notice.message} ({notice.remedy})" for notice in found.notices),
    ]
    return "\n".join(lines)


def _listed(launches: Sequence[float]) -> str:
    """The launches' ratios in order; of many those in the middle are left out."""
    told = [f"{value:.3f}" for value in launches]
    return ", ".join(told if len(told) <= 13 else [*told[:5], "…", *told[-5:]])
