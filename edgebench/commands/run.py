"""`edgebench run`: measure artifacts on a device, and show each result as it comes."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _adopting, _options, _remote, _settings
from edgebench.machine.power import PowerOptions
from edgebench.measuring.options import RunOptions
from edgebench.records.jobs import Policy

if TYPE_CHECKING:
    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench run                                       the newest artifacts, here, on every runtime that opens them
  edgebench run --device jetson_orin                  measures on that board; elsewhere emulates it, and says so
  edgebench run --host robot@orin.local               on that board from here, over ssh
  edgebench run ARTIFACT --runtime ort --threads 1 --max-seconds 300
  edgebench run detector.onnx                         a model file from elsewhere: see `edgebench adopt`
  edgebench run --tuned                               what `edgebench tune` found best
  edgebench run --scenario throughput                 the batch and the requests in flight that give most images/s
  edgebench run --scenario camera --rate 30           frames on a schedule: latency, missed deadlines, jitter
  edgebench run --scenario server --rate 100 --deadline-ms 15     MLPerf LoadGen: VALID or INVALID"""
)
@click.argument("paths", metavar="[ARTIFACT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--device",
    metavar="PROFILE",
    shell_complete=_options.complete_devices,
    help="Device profile: `edgebench devices`.  [default: what this machine is]",
)
@_options.settings(RunOptions, only=("runtimes", "compute"))
@_options.scenario
@_options.settings(RunOptions, only=("batch", "streams", "threads"))
@_options.of_scenarios
@_options.settings(RunOptions, only=("warmup_s", "duration_s"))
@_options.settings(Policy)
@_options.settings(RunOptions, only=("time_limit_s", "memory_limit_mib", "race", "race_memory_mib", "runtime_options"))
@_options.settings(PowerOptions, only=("meter", "watts", "energy_seconds"))
@click.option(
    "--tuned", is_flag=True, help="Measure the artifact, runtime and settings that `edgebench tune` found here."
)
@_options.settings(RunOptions, only=("strict", "unverified"))
@click.option(
    "--require-device", is_flag=True, help="Fail unless this machine is the device (the default where CI is set)."
)
@_settings.options
@_options.workspace
@_options.as_json
@_remote.hosted
def command(
    paths: tuple[Path, ...], device: str | None, require_device: bool, workspace: Workspace, as_json: bool,
    progress: Path | None, tuned: bool, power_mode: str | None, lock_clocks: bool, **given: Any,
) -> None:  # fmt: skip
    """Measure artifacts (by default the newest) on a device: latency, throughput and peak memory.

    Several settings race on the CPU: they run by turns, until their order is known. Otherwise each measurement is
    repeated in fresh processes until its median is known to ± 1 % or a minute is over. What is measured is on disk
    after each launch. An artifact whose answers differ from torch's is not measured. Exit code 1 if any
    measurement failed, or LoadGen calls one INVALID.
    """
    import os

    from rich.console import Console

    from edgebench.commands._progress import RunProgress, conclude
    from edgebench.machine.device import detect, load_profile, place
    from edgebench.machine.locks import waiting
    from edgebench.measuring import options, running
    from edgebench.racing import together

    asked = options.asked(given)
    asked.check()
    profile = load_profile(device) if device else detect()
    placement = place(profile, require_device=require_device, environ=os.environ)
    console = Console(stderr=True)
    with console.status("reading the artifacts") as reading:
        artifacts = _adopting.read(paths, workspace, console, reading.update) or workspace.newest_artifacts()
    if tuned:
        from edgebench.choosing.tuned import measure_tuned

        artifacts, asked = measure_tuned(artifacts, workspace, profile.name, asked)

    if placement.notice:
        console.print(placement.notice, style="bold yellow", highlight=False, markup=False, soft_wrap=True)
    _settings.warn_of_leftovers(console)
    with console.status("asking the runtimes what they can open here"):
        planned = running.plan(artifacts, profile, placement, asked)
    done: list[Result] = []
    interrupted = False
    current = {"name": "race of " + " and ".join(f"{len(some)} settings" for some in together.races(planned, asked))}
    with RunProgress(console, progress) as status:

        def started(item: running.Planned) -> None:
            name = f"[{len(done) + 1}/{len(planned)}] {item.artifact.path.name} on {item.job.runtime}"
            status.update(name)
            current["name"] = name

        measuring = together.run(
            planned,
            workspace.results,
            asked,
            on_start=started,
            on_phase=lambda phase: status.update(f"{current['name']}: {phase}"),
            on_wait=lambda: status.update(waiting(), now=True),
            around=lambda: _settings.held(power_mode, lock_clocks, console),
            say=status.say,
        )
        try:
            with contextlib.closing(measuring):  # puts back what it has set
                for result, path in measuring:
                    done.append(result)
                    status.finished(result, path)
        except KeyboardInterrupt:  # before the first launch of a measurement was done
            interrupted = True
    interrupted = interrupted or any(result.stop == "interrupted" for result in done)
    if interrupted:
        whole = sum(result.stop != "interrupted" for result in done)
        kept = "one that is marked interrupted has the launches that were finished"
        if not done:
            kept = "no launch was finished, so nothing is kept"
        click.echo(f"Interrupted: {whole} of {len(planned)} measurements are complete; {kept}.", err=True)
    well = conclude(done, workspace, as_json)
    if interrupted:
        sys.exit(130)  # as shells do after SIGINT
    if not well:
        sys.exit(1)
