"""`edgebench evaluate`: the accuracy of what is really deployed, on the whole test split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options, _remote
from edgebench.measuring.options import RunOptions

if TYPE_CHECKING:
    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace
    from edgebench.specs import Artifact

# Options that are of this machine.
HERE = ("workspace", "as_json", "host", "config", "images", "save_images", "classes")


@click.command(
    epilog="""\b
Examples:
  edgebench evaluate                                  everything newest, on every runtime that can open it
  edgebench evaluate runs/artifacts/NAME-onnx --classes
  edgebench evaluate NAME-onnx --save-images test.npz (the test images in a file, for a board)
  edgebench evaluate NAME-onnx --images test.npz      (on the board: needs neither torch nor the dataset)
  edgebench evaluate NAME-onnx --host robot@orin.local     (sends them there, over ssh)"""
)
@click.argument("paths", metavar="[ARTIFACT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--images", type=click.Path(dir_okay=False, path_type=Path), help="The test images, by --save-images.")
@click.option(
    "--save-images", type=click.Path(dir_okay=False, path_type=Path), help="Write the test images to this file too."
)
@click.option("--device", metavar="PROFILE", shell_complete=_options.complete_devices, help="Device profile.")
@_options.settings(
    RunOptions, only=("runtimes", "compute", "batch", "threads", "time_limit_s", "runtime_options"),
    batch={"default": 16, "show_default": True, "help": "Images a request."},
    time_limit_s={"default": 3600.0, "show_default": True, "help": "Seconds for each artifact."},
)  # fmt: skip
@click.option("--classes", is_flag=True, help="Show the accuracy of each class too.")
@_remote.host_option
@_remote.ssh_config
@_options.workspace
@_options.as_json
def command(
    paths: tuple[Path, ...], images: Path | None, save_images: Path | None, device: str | None, classes: bool,
    host: str | None, config: Path | None, workspace: Workspace, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Count the right answers of artifacts (by default the newest) on their runtimes, over the whole test split.

    Beside the accuracy with its 95 % interval stands how often artifact and torch put the same class first. The first
    time, the test split is read from the dataset and answered by the checkpoint, which takes torch; it is kept in the
    workspace. The accuracy goes into the report. Exit code 1 if an artifact could not be evaluated.
    """
    import shutil
    import sys

    from rich.console import Console

    from edgebench import artifact
    from edgebench.errors import UsageError
    from edgebench.records import jsonio
    from edgebench.report.formats import printable

    if images and save_images:
        raise UsageError("--images and --save-images exclude each other", "copy the file")
    asked = RunOptions(**given, scenario="evaluate")
    asked.check()
    if host:
        artifacts = _remote.chosen(paths, workspace, asked.runtimes)
    else:
        artifacts = [artifact.read(path) for path in paths] or workspace.newest_artifacts()
    if (save_images or host) and len({a.origin or a.identity for a in artifacts}) > 1:
        option = "--host" if host else "--save-images"
        raise UsageError(f"{option} is for the artifacts of one checkpoint", "name them")
    files = {a.identity: images or _test_set(a, workspace) for a in artifacts}
    if save_images:
        save_images.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(next(iter(files.values())), save_images)
        click.echo(f"test images: {save_images}", err=True)
    if host:
        done, code = _there(host, config, device, artifacts, files[artifacts[0].identity], workspace)
    else:
        done, code = _here(device, artifacts, files, asked, workspace), 0
    if as_json:
        click.echo(jsonio.dumps([_told(result) for result in done], indent=1))
    else:
        shown = Console(width=None if sys.stdout.isatty() else 160)
        shown.print(_table(done))
        for result in done:
            if classes and result.evaluation:
                shown.print(_class_table(result))
    for result in done:
        what = f"{result.artifact.model.name} ({result.artifact.format}) on {result.job.runtime}"
        if result.status != "ok":
            click.echo(f"{result.status}: {what}: {result.message}", err=True)
        for notice in result.notices:
            if notice.code == "unrepeatable":  # the others are about time, which is not what was asked for
                click.echo(printable(f"warning: {what}: {notice.message} ({notice.remedy})"), err=True)
    if code or any(result.status != "ok" for result in done):
        sys.exit(code or 1)


def _here(
    device: str | None, artifacts: list[Artifact], files: dict[str, Path], asked: RunOptions, workspace: Workspace
) -> list[Result]:
    import os

    from rich.console import Console

    from edgebench.machine.device import detect, load_profile, place
    from edgebench.measuring import running

    profile = load_profile(device) if device else detect()
    placement = place(profile, require_device=False, environ=os.environ)
    console, done = Console(stderr=True), []
    with console.status("asking the runtimes what they can open here") as status:
        planned = running.plan(artifacts, profile, placement, asked)

        def phase(said: str) -> None:
            status.update(f"[{len(done) + 1}/{len(planned)}] {current}: {said}")

        waiting = "waiting: another edgebench is measuring on this machine"
        for item in planned:
            current = f"{item.artifact.path.name} on {item.job.runtime}"
            done.append(
                running.evaluate(
                    item, files[item.artifact.identity], workspace.results, on_phase=phase,
                    on_wait=lambda: status.update(waiting),
                )
            )  # fmt: skip
    return done


def _there(
    address: str, config: Path | None, device: str | None, artifacts: list[Artifact], images: Path, workspace: Workspace
) -> tuple[list[Result], int]:
    """The results of a board, and the exit code there."""
    from rich.console import Console
    from rich.markup import escape

    from edgebench.boards.remote_run import Order
    from edgebench.boards.ssh import Host

    _remote.refuse_profile_file(device)
    host, console = Host(address, config), Console(stderr=True)
    arguments = ("evaluate", *_remote.given_options(click.get_current_context(), without=HERE))
    order = Order(
        arguments=arguments, artifacts=tuple(artifacts), folder=workspace.results, board=host.name, images=images
    )
    with console.status("") as status:
        return _remote.carried_out(host, order, console, lambda text: status.update(escape(text)))


def _test_set(found: Artifact, workspace: Workspace) -> Path:
    """The file with the test split of an artifact's checkpoint; it is made once."""
    from edgebench.commands import _training
    from edgebench.training import splits

    if workspace.test_set(found).is_file():
        return workspace.test_set(found)
    with _training.Progress() as progress:
        progress.say("reading the test split, and torch's answers to it")
        return splits.test_set(found, workspace, lambda done, total: progress.preparing("images", done, total))


def _told(result: Result) -> dict[str, Any]:
    return {
        "model": result.artifact.model.name, "format": result.artifact.format, "runtime": result.job.runtime,
        "precision": result.job.precision, "device": result.job.device, "compute": result.job.compute,
        "evidence": result.evidence, "status": result.status, "message": result.message,
        "evaluation": result.evaluation,
    }  # fmt: skip


def _table(results: list[Result]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from edgebench.report.formats import MISSING, printable

    headings = ("model", "format", "runtime", "precision", "images", "accuracy", "95 %", "in torch", "as torch")
    table = Table(*headings, header_style="bold", pad_edge=False)
    for result in results:
        found = result.evaluation
        figures = [MISSING] * 5
        if found:
            low, high = found.accuracy_ci95
            shares = (f"{found.accuracy:.2%}", f"{low:.2%} to {high:.2%}", found.torch_accuracy, found.torch_agreement)
            figures = [f"{found.images:,}", *(s if isinstance(s, str) else f"{s:.2%}" for s in shares)]
        job = result.job
        names = (result.artifact.model.name, result.artifact.format, job.runtime, job.precision)
        table.add_row(*(escape(printable(cell)) for cell in (*names, *figures)))
    return table


def _class_table(result: Result) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from edgebench.report.formats import MISSING, printable

    title = f"{result.artifact.model.name} ({result.artifact.format}) on {result.job.runtime}"
    table = Table("class", "images", "right", "accuracy", title=escape(printable(title)), title_justify="left")
    for row in result.evaluation.classes:
        share = f"{row.correct / row.images:.1%}" if row.images else MISSING
        table.add_row(escape(printable(row.name)), str(row.images), str(row.correct), share)
    return table
