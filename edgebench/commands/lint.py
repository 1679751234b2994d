"""`edgebench lint`: what each target's own parser says of a model, before anything is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.commands import _options

if TYPE_CHECKING:
    from edgebench.records.linted import Linted
    from edgebench.records.workspace import Workspace


MOST = 2  # nodes that are shown of those of which the same is said


@click.command(
    epilog="""\b
Examples:
  edgebench lint model.onnx
  edgebench lint runs/artifacts/NAME-onnx-int8 --target trt --target ort
  edgebench lint a.onnx b.onnx --target rtx --json"""
)
@click.argument("sources", metavar="ARTIFACT|MODEL.onnx...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target", "targets", multiple=True, metavar="trt|rtx|onnxruntime|openvino|litert",
    shell_complete=_options.complete_linters,
    help="Whose parser to ask; may be given several times.  [default: all that are here and read the file]",
)  # fmt: skip
@click.option(
    "--time-limit", type=float, default=120.0, show_default=True, metavar="SECONDS", help="For each answer of a parser."
)
@_options.workspace
@_options.as_json
def command(
    sources: tuple[Path, ...], targets: tuple[str, ...], time_limit: float, workspace: Workspace, as_json: bool
) -> None:
    """Ask each target's own parser whether it takes a model, and tell what is known to go wrong.

    Each parser runs in a process of its own: one that crashes or hangs is an answer, and the next is asked. A file is
    linted as it is, an artifact as `export` would hand it to the target. Nothing is built, and nothing is measured.

    Exit code 1 unless every target takes every model and no wrong answers are known.
    """
    from rich.console import Console

    from edgebench import artifact as folder
    from edgebench.adopting import adopt
    from edgebench.linting import lint
    from edgebench.records import jsonio

    console, found = Console(stderr=True), []
    with console.status("linting") as status:
        for source in sources:
            model = source.is_file() and source.name not in folder.MANIFESTS
            what = source if model else adopt.read(source, workspace, lambda stage: status.update(stage))
            found += lint.lint(what, targets, time_limit_s=time_limit, tell=lambda stage: status.update(stage))
    if as_json:
        click.echo(jsonio.dumps([jsonio.encode(one) | {"ok": one.ok} for one in found], indent=1))
    else:
        for one in found:
            _print(one)
    sys.exit(not all(one.ok for one in found))


def _print(one: Linted) -> None:
    from edgebench.records.linted import KINDS
    from edgebench.records.terminal import printable

    asked = f" by {one.parser}" if one.parser else ""
    whose = f"{Path(one.model).name}: {one.target or 'all targets'}"
    click.echo(printable(f"{'ok' if one.ok else '--'}  {whose}: {one.status}{asked}"))
    if one.stand_in:
        click.echo(printable(f"      {one.parser} stands in: it {one.stand_in}"))
    if one.reason:
        click.echo(printable(f"      {one.reason}"))
        click.echo(printable(f"      fix: {one.fix}"))
    shown: dict[tuple[str, str], int] = {}
    for finding in one.findings:
        group = finding.kind, finding.reason
        shown[group] = shown.get(group, 0) + 1
        if shown[group] > MOST:
            continue
        click.echo(printable(f"      {finding.kind}: {' '.join(filter(None, (finding.where, finding.reason)))}"))
        for what in ("fix", "source") if shown[group] == 1 else ():
            if said := getattr(finding, what):
                click.echo(printable(f"        {what}: {said}"))
    for (kind, reason), count in shown.items():
        if count > MOST:
            click.echo(printable(f"      {kind}: {count - MOST} more nodes: {reason}"))
    for kind in dict.fromkeys(finding.kind for finding in one.findings):
        if kind not in ("refused", "wrong"):
            click.echo(f"      ({kind}: {KINDS[kind]})")
