"""`edgebench run`: measure artifacts on a device, and show each result as it comes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import options

if TYPE_CHECKING:
    from edgebench.jobs import Result
    from edgebench.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench run                                       everything newest, on every runtime that can open it, here
  edgebench run --device jetson_orin                  on that board measures; elsewhere emulates, and says so
  edgebench run ARTIFACT --runtime ort --threads 1 --duration 10"""
)
@click.argument("paths", metavar="[ARTIFACT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--device",
    metavar="PROFILE",
    shell_complete=options.complete_devices,
    help="Device profile: `edgebench devices`.  [default: what this machine is]",
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    shell_complete=options.complete_runtimes,
    help="Only this runtime; may be given several times.  [default: all that can open the artifact]",
)
@click.option("--compute", metavar="cpu|cuda", help="The runtime's compute device.  [default: the profile's]")
@click.option("--batch", type=int, default=1, show_default=True, help="Images a request.")
@click.option("--threads", type=int, help="CPU threads of the runtime.  [default: the device's physical cores]")
@click.option(
    "--warmup", "warmup_s", type=float, default=0.5, show_default=True, help="Seconds of warm-up, kept apart."
)
@click.option("--duration", "duration_s", type=float, default=3.0, show_default=True, help="Seconds of measuring.")
@click.option(
    "--time-limit",
    "time_limit_s",
    type=float,
    default=120.0,
    show_default=True,
    help="Seconds a measurement may take in all.",
)
@click.option(
    "--memory-limit",
    "memory_limit_mib",
    type=int,
    metavar="MiB",
    help="Stop a measurement beyond this resident memory.  [default: the device's]",
)
@click.option(
    "--runtime-option",
    "runtime_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=options.pairs,
    help="Passed to the one --runtime as it is.",
)
@click.option(
    "--require-device", is_flag=True, help="Fail unless this machine is the device (the default where CI is set)."
)
@options.workspace
@options.as_json
def command(
    paths: tuple[Path, ...], device: str | None, require_device: bool, workspace: Workspace,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Measure artifacts (by default the newest) on a device: latency, throughput and peak memory.

    Each measurement runs in a process of its own with a time limit, and its result is on disk before the next starts.
    An artifact whose answers are not torch's is not measured. Exit code 1 if any measurement failed.
    """
    import os

    from rich.console import Console

    from edgebench import artifact, jsonio, run
    from edgebench.device import detect, load_profile, place
    from edgebench.report.formats import terminal
    from edgebench.report.rows import rows

    asked = run.RunOptions(**given)
    asked.check()
    profile = load_profile(device) if device else detect()
    placement = place(profile, require_device=require_device, environ=os.environ)
    artifacts = [artifact.read(path) for path in paths] or workspace.newest_artifacts()

    console = Console(stderr=True)
    if placement.notice:
        console.print(placement.notice, style="bold yellow", highlight=False, markup=False, soft_wrap=True)
    with console.status("asking the runtimes what they can open here"):
        planned = run.plan(artifacts, profile, placement, asked)
    done: list[Result] = []
    with console.status("") as status:

        def started(item: run.Planned) -> None:
            name = f"[{len(done) + 1}/{len(planned)}] {item.artifact.path.name} on {item.job.runtime}"
            status.update(name)
            told["name"] = name

        told = {"name": ""}
        measuring = run.run(
            planned,
            workspace.results,
            on_start=started,
            on_phase=lambda phase: status.update(f"{told['name']}: {phase}"),
            on_wait=lambda: status.update("waiting: another edgebench is measuring on this machine"),
        )
        try:
            for result, path in measuring:
                done.append(result)
                console.print(_line(result, path), highlight=False, markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            console.print(f"Interrupted: {len(done)} of {len(planned)} measurements are kept in {workspace.results}.")
            raise
    failed = [result for result in done if result.status != "ok"]
    if as_json:
        click.echo(jsonio.dumps(rows(done), indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(terminal(rows(done)))
        click.echo(f"results: {workspace.results}")
        click.echo("next: edgebench report")
    if failed:
        sys.exit(1)


def _line(result: Result, path: Path) -> str:
    what = f"{result.artifact.model.name} ({result.artifact.format}) on {result.job.runtime}"
    if result.status != "ok" or result.summary is None:
        text = f"{what}: {result.status}: {result.message}"
        return f"{text}\n  the whole story is in {path}" if result.log_tail else text
    text = f"{what}: median {result.summary.median_ns / 1e6:.3f} ms, {result.summary.n} requests"
    return "\n".join([text, *(f"  warning: {n.message} ({n.remedy})" for n in result.notices)])
