"""`edgebench evaluate`: the accuracy of what is really deployed, on the whole test split."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options, _progress, _remote
from edgebench.errors import UsageError
from edgebench.measuring.options import RunOptions

if TYPE_CHECKING:
    from edgebench.adopting.judged import Judged
    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace
    from edgebench.specs import Artifact

# Options that this machine uses itself: a board does not get them.
HERE = (
    "workspace", "as_json", "host", "config", "images", "save_images", "classes", "preprocess", "class_names", "output",
    "score",
)  # fmt: skip


@click.command(
    epilog="""\b
Examples:
  edgebench evaluate                                  the newest artifacts, on every runtime that opens them
  edgebench evaluate runs/artifacts/NAME-onnx --classes
  edgebench evaluate NAME-onnx --save-images test.npz (the test images in a file, for a board)
  edgebench evaluate NAME-onnx --images test.npz      (on the board: needs neither torch nor the dataset)
  edgebench evaluate NAME-onnx --host robot@orin.local     (sends them there, over ssh)
  edgebench evaluate net.onnx --images photos --preprocess imagenet --class-names imagenet.txt
  edgebench evaluate boxes.onnx --images photos --preprocess yolo --score metric.py:score"""
)
@click.argument("paths", metavar="[ARTIFACT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--images", type=click.Path(path_type=Path), metavar="FILE|FOLDER",
    help="The test images, as --save-images wrote them. For an adopted model also a folder of pictures, with a folder "
    "for each class.",
)  # fmt: skip
@click.option(
    "--save-images", type=click.Path(dir_okay=False, path_type=Path), help="Write the test images to this file too."
)
@click.option(
    "--preprocess", default="", metavar="HOW",
    help="How a picture becomes the adopted model's input, as for `edgebench adopt`.  [default: as it was adopted]",
)  # fmt: skip
@click.option(
    "--class-names", default="", metavar="FILE|order",
    help="The names of the adopted model's classes; or that they are the folders, in order.  [default: if known]",
)  # fmt: skip
@click.option("--output", default="", metavar="NAME", help="The output of the adopted model that tells the classes.")
@click.option(
    "--score", default="", metavar="FILE.py:FUNCTION",
    help="Your own figure for other answers than classes: a function of all answers and the pictures' names.",
)  # fmt: skip
@click.option("--device", metavar="PROFILE", shell_complete=_options.complete_devices, help="Device profile.")
@_options.settings(
    RunOptions, only=("runtimes", "compute", "batch", "threads", "time_limit_s", "runtime_options"),
    batch={"help": "Images a request.  [default: 16; of an adopted model, its own]"},
    time_limit_s={"default": 3600.0, "show_default": True, "help": "Seconds for each artifact."},
)  # fmt: skip
@click.option("--classes", is_flag=True, help="Show the accuracy of each class too.")
@_remote.host_option
@_remote.ssh_config
@_options.workspace
@_options.as_json
def command(
    paths: tuple[Path, ...], images: Path | None, save_images: Path | None, preprocess: str, class_names: str,
    output: str, score: str, device: str | None, classes: bool, host: str | None, config: Path | None,
    workspace: Workspace, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Count the right answers of artifacts (by default the newest) on their runtimes, over the whole test split.

    Shows the accuracy with its 95 % interval, and how often artifact and torch put the same class first. The first
    time, the checkpoint answers the test split of the dataset, which needs torch; images and answers are kept in the
    workspace. The accuracy goes into the report. An adopted model is judged by the pictures that you name, and
    compared with its reference instead of torch. Exit code 1 if an artifact could not be evaluated.
    """
    import sys

    from rich.console import Console

    from edgebench.adopting import adopt
    from edgebench.adopting.judged import Judged
    from edgebench.machine import stated
    from edgebench.records import jsonio
    from edgebench.report import evaluations
    from edgebench.training import evaluating

    asked = RunOptions(**given, scenario="evaluate")
    asked.check()
    if host:
        artifacts = _remote.chosen(paths, workspace, asked.runtimes, preprocess=preprocess)
        evaluating.need_one_checkpoint(artifacts, "--host")
    else:
        stated.check(device=device)
        read = partial(adopt.read, workspace=workspace, preprocess=preprocess)
        artifacts = list(map(read, paths)) or workspace.newest_artifacts()
    judged = Judged(images=images, preprocess=preprocess, class_names=class_names, output=output, score=score)
    if host and score:
        raise UsageError("--score runs on this machine", "leave out --host")
    files = _test_images(artifacts, workspace, judged, save_images)
    if host:
        done, code = _there(host, config, device, artifacts, files[artifacts[0].identity], workspace)
    else:
        done, code = _here(device, artifacts, files, asked, workspace, score), 0
    if as_json:
        click.echo(jsonio.dumps(list(map(evaluations.plain, done)), indent=1))
    else:
        shown = Console(width=None if sys.stdout.isatty() else 160)
        for table in evaluations.tables(done):
            shown.print(table)
        for result in done:
            if classes and result.evaluation:
                shown.print(evaluations.class_table(result))
    _say_what_is_wrong(done)
    if code or any(result.status != "ok" for result in done):
        sys.exit(code or 1)


def _say_what_is_wrong(done: list[Result]) -> None:
    """Each fault and each warning once, with the evaluations that it concerns."""
    from edgebench.records.terminal import printable
    from edgebench.results import context

    said: dict[tuple[str, str], list[str]] = {}
    for result in done:
        if result.status != "ok":
            said.setdefault((result.status, result.message), []).append(result.title)
        found, training = result.evaluation, result.artifact.training
        notices = [each for each in result.notices if each.code == "unrepeatable"]  # the others are about time
        notices += context.notices(found.classes, training and training.data) if found else ()
        for each in notices:
            said.setdefault(("warning", f"{each.message} ({each.remedy})"), []).append(result.title)
    for (kind, text), titles in said.items():
        click.echo(printable(f"{kind}: {'; '.join(titles)}: {text}"), err=True)


def _here(
    device: str | None, artifacts: list[Artifact], files: dict[str, Path], asked: RunOptions, workspace: Workspace,
    score: str,
) -> list[Result]:  # fmt: skip
    from rich.console import Console

    from edgebench.adopting import scoring
    from edgebench.measuring.running import Planned
    from edgebench.training import evaluating

    current = ""
    console = Console(stderr=True)
    with console.status("asking the runtimes what they can open here") as status:

        def started(item: Planned, number: int, of: int) -> None:
            nonlocal current
            current = f"[{number}/{of}] {item.artifact.path.name} on {item.job.runtime}"

        return evaluating.evaluate(
            artifacts, files, workspace, asked, device=device, on_start=started,
            score=partial(scoring.add, function=score) if score else None,
            on_phase=lambda said: status.update(f"{current}: {said}"),
            on_wait=_progress.says_it_waits(console, status.update),
        )  # fmt: skip


def _there(
    address: str, config: Path | None, device: str | None, artifacts: list[Artifact], images: Path, workspace: Workspace
) -> tuple[list[Result], int]:
    """Evaluate on a board: its results, and the exit code there."""
    from rich.console import Console
    from rich.markup import escape

    from edgebench.boards import orders
    from edgebench.boards.remote_run import Order
    from edgebench.boards.ssh import Host

    orders.on_device(device)
    host, console = Host(address, config), Console(stderr=True)
    arguments = ("evaluate", *_remote.given_options(click.get_current_context(), without=HERE))
    order = Order(
        arguments=arguments, artifacts=tuple(artifacts), folder=workspace.results, board=host.name, images=images
    )
    with console.status("") as status:
        return _remote.carried_out(host, order, console, lambda text: status.update(escape(text)))


def _test_images(artifacts: list[Artifact], workspace: Workspace, asked: Judged, save: Path | None) -> dict[str, Path]:
    """By artifact, the file with its test images. Shows the progress where they are read for the first time."""
    from rich.console import Console
    from rich.markup import escape

    from edgebench.adopting import judged
    from edgebench.commands import _training
    from edgebench.records.terminal import printable

    look_up = partial(judged.test_sets, artifacts, workspace, asked, save=save)
    ours = [found for found in artifacts if not found.adopted]
    if len(ours) < len(artifacts):
        console, told = Console(stderr=True), []

        def on_stage(stage: str) -> None:
            status.update(escape(printable(stage)))
            if stage not in told and not console.is_terminal:  # a log gets a line a stage
                click.echo(printable(stage), err=True)
            told.append(stage)

        with console.status("reading the pictures") as status:
            files = look_up(on_stage=on_stage, tell=lambda line: click.echo(printable(line), err=True))
    elif asked.images or all(workspace.test_set(found).is_file() for found in ours):
        files = look_up()
    else:
        with _training.TrainingProgress() as progress:
            progress.say("reading the test split, and torch's answers to it")
            files = look_up(on_image=partial(progress.preparing, "images"))
    if save:
        click.echo(f"test images: {save}", err=True)
    return files
