"""`edgebench run`: measure artifacts on a device, and show each result as it comes."""

from __future__ import annotations

import contextlib
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options, _remote, _settings
from edgebench.records.jobs import UNTIMED, Policy, Scenario

if TYPE_CHECKING:
    from edgebench.machine.power.place import Watts
    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench run                                       everything newest, on every runtime that can open it, here
  edgebench run --device jetson_orin                  on that board measures; elsewhere emulates, and says so
  edgebench run --host robot@orin.local               on that board from here, over ssh
  edgebench run ARTIFACT --runtime ort --threads 1 --max-seconds 300
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
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    shell_complete=_options.complete_runtimes,
    help="Only this runtime; may be given several times.  [default: all that can open the artifact]",
)
@click.option("--compute", metavar="cpu|cuda", help="The runtime's compute device.  [default: the profile's]")
@click.option(
    "--scenario",
    type=click.Choice([s for s in typing.get_args(Scenario) if s not in UNTIMED]),
    default="latency",
    show_default=True,
    help="What is asked of the model; the last four are MLPerf's, run by its own LoadGen.",
)
@click.option("--batch", type=int, help="Images a request.  [default: 1; searched by throughput]")
@click.option("--streams", type=int, help="Requests in flight.  [default: searched by throughput]")
@click.option("--threads", type=int, help="CPU threads of the runtime.  [default: the device's physical cores]")
@click.option(
    "--rate",
    "rate_hz",
    type=float,
    help="Frames (camera) or queries (server) a second.  [default: 30]",
)
@click.option(
    "--deadline-ms", type=float, help="When a frame is late, or the server's bound on p99.  [default: one period]"
)
@click.option("--minutes", type=float, help="Length of a sustained run.  [default: 10]")
@click.option(
    "--warmup", "warmup_s", type=float, default=0.5, show_default=True, help="Seconds of warm-up, kept apart."
)
@click.option(
    "--duration", "duration_s", type=float, default=2.0, show_default=True, help="Seconds of measuring in each launch."
)
@click.option(
    "--launches", type=int, default=Policy.launches, show_default=True, help="Fresh processes to measure in, at least."
)
@click.option(
    "--precision-target",
    type=float,
    default=Policy.precision_target,
    show_default=True,
    help="Go on until the median is known within ± this share; 0: stop after --launches.",
)
@click.option(
    "--max-seconds",
    type=float,
    default=Policy.max_seconds,
    show_default=True,
    help="Make no launch that would end after this.",
)
@click.option(
    "--time-limit", "time_limit_s", type=float, help="Seconds a launch may take in all.  [default: measuring + 120]"
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
    callback=_options.pairs,
    help="Passed to the one --runtime as it is.",
)
@_options.power
@click.option("--tuned", is_flag=True, help="The artifact, runtime and settings that `edgebench tune` found here.")
@click.option("--strict", is_flag=True, help="Fail where a layer falls back from the GPU to the CPU.")
@click.option(
    "--unverified", is_flag=True, help="Measure an artifact whose answers are not torch's all the same, and label it."
)
@click.option(
    "--require-device", is_flag=True, help="Fail unless this machine is the device (the default where CI is set)."
)
@_settings.options
@_options.workspace
@_options.as_json
@_remote.hosted
def command(
    paths: tuple[Path, ...], device: str | None, require_device: bool, workspace: Workspace, as_json: bool,
    progress: Path | None, tuned: bool, launches: int, precision_target: float, max_seconds: float,
    meter: str, watts: Watts | None, energy_seconds: float, power_mode: str | None, lock_clocks: bool, **given: Any,
) -> None:  # fmt: skip
    """Measure artifacts (by default the newest) on a device: latency, throughput and peak memory.

    Each measurement is repeated in fresh processes until its median is known to ± 1 % or a minute is over; its result
    is on disk before the next starts. An artifact whose answers are not torch's is not measured. Exit code 1 if any
    measurement failed, or LoadGen calls one INVALID.
    """
    import os

    from rich.console import Console

    from edgebench import artifact
    from edgebench.commands._progress import Progress, conclude
    from edgebench.machine.device import detect, load_profile, place
    from edgebench.measuring import running

    power = running.PowerOptions(meter, watts, energy_seconds)
    asked = running.RunOptions(**given, policy=Policy(launches, precision_target, max_seconds), power=power)
    asked.check()
    profile = load_profile(device) if device else detect()
    placement = place(profile, require_device=require_device, environ=os.environ)
    artifacts = [artifact.read(path) for path in paths] or workspace.newest_artifacts()
    if tuned:
        from edgebench.choosing.tuned import measure_tuned

        artifacts, asked = measure_tuned(artifacts, workspace, profile.name, asked)

    console = Console(stderr=True)
    if placement.notice:
        console.print(placement.notice, style="bold yellow", highlight=False, markup=False, soft_wrap=True)
    _settings.warn_of_leftovers(console)
    with console.status("asking the runtimes what they can open here"):
        planned = running.plan(artifacts, profile, placement, asked)
    done: list[Result] = []
    interrupted = False
    current = {"name": ""}
    with Progress(console, progress) as status:

        def started(item: running.Planned) -> None:
            name = f"[{len(done) + 1}/{len(planned)}] {item.artifact.path.name} on {item.job.runtime}"
            status.update(name)
            current["name"] = name

        measuring = running.run(
            planned,
            workspace.results,
            asked,
            on_start=started,
            on_phase=lambda phase: status.update(f"{current['name']}: {phase}"),
            on_wait=lambda: status.update("waiting: another edgebench is measuring on this machine"),
            around=lambda: _settings.held(power_mode, lock_clocks, console),
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
        click.echo(
            f"Interrupted: {whole} of {len(planned)} measurements are whole; what is marked interrupted has the "
            "launches that were finished.",
            err=True,
        )
    well = conclude(done, workspace, as_json)
    if interrupted:
        sys.exit(130)  # as a shell tells of SIGINT
    if not well:
        sys.exit(1)
