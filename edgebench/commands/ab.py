"""`edgebench ab`: is B slower than A? Both alive at once, their bursts alternating."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options
from edgebench.measuring.options import RunOptions

if TYPE_CHECKING:
    from edgebench.comparing.ab import Comparison


@click.command(
    epilog="""\b
Examples:
  edgebench ab runs/artifacts/OLD-onnx runs/artifacts/NEW-onnx
  edgebench ab ARTIFACT --runtime ort --runtime-b openvino       one artifact, two runtimes
  edgebench ab ARTIFACT --threads 1 --threads-b 2
  edgebench ab ARTIFACT --python-b ../next/.venv/bin/python      two environments, say two versions of onnxruntime"""
)
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--runtime", metavar="NAME", shell_complete=_options.complete_runtimes, help="A's.  [default: the format's own]"
)
@click.option("--runtime-b", metavar="NAME", shell_complete=_options.complete_runtimes, help="B's.  [default: A's]")
@_options.settings(
    RunOptions, only=("compute", "batch", "threads"),
    compute={"help": "What the runtime computes on.  [default: this machine's]"},
    batch={"default": 1, "show_default": True, "help": "Images a request."},
    threads={"help": "CPU threads of the runtime.  [default: the physical cores]"},
)  # fmt: skip
@click.option("--threads-b", type=int, help="B's.  [default: A's]")
@click.option("--runtime-option", multiple=True, metavar="KEY=VALUE", callback=_options.pairs, help="For A's runtime.")
@click.option(
    "--runtime-option-b", multiple=True, metavar="KEY=VALUE", callback=_options.pairs, help="B's.  [default: A's]"
)
@click.option(
    "--python-a", metavar="PYTHON", help="An interpreter with edgebench to run A.  [default: the one that runs this]"
)
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
@_options.as_json
def command(a: Path, b: Path | None, as_json: bool, fail_on: tuple[str, ...], band: float, **given: Any) -> None:
    """Is B slower than A? For differences that separate runs cannot see on a noisy machine.

    Both are loaded at once and run short bursts by turns, so that whatever else the machine does hits both alike; then
    again in fresh processes, until the 95 % interval of the ratio B ÷ A is clear of the noise band, or inside it.
    """
    from rich.console import Console

    from edgebench.comparing import ab
    from edgebench.errors import UsageError, positive
    from edgebench.records import jsonio

    positive("--max-seconds", given["max_seconds"])
    if not 0 <= band < 1:
        raise UsageError(f"--band is {band:g}", "give a share such as 0.02")
    sides = _sides(a, b, given)
    console = Console(stderr=True)
    with console.status("loading both") as status:

        def on_launch(launches: int, so_far: Any) -> None:
            known = f"{so_far.ratio:.3f} (95 % {so_far.low:.3f} to {so_far.high:.3f})" if so_far else "…"
            status.update(f"launch {launches}: B ÷ A {known}")

        found = ab.compare(
            *sides,
            max_seconds=given["max_seconds"],
            band=band,
            on_launch=on_launch,
            on_wait=lambda: status.update("waiting: another edgebench is measuring on this machine"),
        )
    click.echo(jsonio.dumps(found, indent=1) if as_json else _told(found))
    if found.verdict in fail_on:
        sys.exit(1)


def _sides(a: Path, b: Path | None, given: dict[str, Any]) -> list[Any]:
    """For each side, what makes its contestant."""
    import shutil
    from dataclasses import replace
    from functools import partial

    from edgebench import artifact
    from edgebench.errors import UsageError
    from edgebench.machine import registry
    from edgebench.machine.device import detect, place
    from edgebench.measuring import bursts, running

    profile, made = detect(), []
    placement = place(profile, require_device=True, environ={})
    for path, suffix in ((a, ""), (b or a, "_b")):
        python = given["python" + (suffix or "_a")] or sys.executable
        if shutil.which(python) is None:
            raise UsageError(f"{python} is no program", "give the path of a Python, such as ../next/.venv/bin/python")
        found = artifact.read(path)
        runtime = given["runtime" + suffix] or given["runtime"] or registry.native(found.format)
        asked = RunOptions(
            runtimes=(runtime,),
            compute=given["compute"],
            batch=given["batch"],
            threads=given["threads" + suffix] or given["threads"],
        )
        (planned,) = running.plan([found], profile, placement, asked)
        job = replace(planned.job, options=given["runtime_option" + suffix] or given["runtime_option"])
        made.append(partial(bursts.contestant, job, found, python=python))
    return made


def _told(found: Comparison) -> str:
    r = found.ratio
    lines = [
        f"{found.verdict}: B ÷ A = {r.ratio:.3f} (95 % interval {r.low:.3f} to {r.high:.3f}) from "
        f"{len(found.launches)} launches, {found.bursts} bursts of each, {found.seconds:.0f} s"
        + ("; the time was up first" if found.stop == "max_seconds" else "")
        + ("; INTERRUPTED" if found.stop == "interrupted" else ""),
        f"A: {found.base}, {found.base_median_ns / 1e6:.3f} ms",
        f"B: {found.new}, {found.new_median_ns / 1e6:.3f} ms",
        *(f"warning: {notice.message} ({notice.remedy})" for notice in found.notices),
    ]
    return "\n".join(lines)
