"""`edgebench adopt`: an artifact of a model that edgebench did not train."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.adopting.opener import LIMIT_S, Opener
from edgebench.commands import _adopting, _next, _options

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace
    from edgebench.specs import Artifact


@click.command(
    epilog="""\b
Examples:
  edgebench adopt detector.onnx                           or a .tflite, or the .xml of an OpenVINO IR
  edgebench adopt detector.onnx --shape images=1x3x640x640
  edgebench adopt text.onnx --inputs request.npz          real inputs: an array for each input, by its name
  edgebench adopt net.onnx --inputs photos --preprocess imagenet      or pictures
  edgebench adopt program.pt2                             saved by torch.export.save; nothing in it is unpickled
  edgebench adopt timm:mobilenetv3_small_100              a pretrained classifier, with its own preprocessing
  edgebench adopt weights.safetensors --model resnet18    weights, and the timm network that they belong to
  edgebench adopt weights.pth --model net.py:build        weights of a network that a function makes
  edgebench run detector.onnx                             adopts it on the way, with what is sensible"""
)
@click.argument("file", metavar="FILE|timm:NAME", type=click.Path(path_type=Path))
@click.option(
    "--model", "network", default="", metavar="NAME|FILE.py:FUNCTION",
    help="Of a file of weights: the network that they belong to, a name of timm's or a function, which is executed.",
)  # fmt: skip
@click.option("--name", default="", help="Name of the model in tables.  [default: the file's]")
@click.option(
    "--shape", "shapes", multiple=True, metavar="INPUT=SIZES",
    help="Sizes of an input, such as images=1x3x640x640; may be given several times.  [default: by the names and "
    "places of the open dimensions]",
)  # fmt: skip
@click.option(
    "--inputs", multiple=True, metavar="FILE.npz|FOLDER|PICTURE", type=click.Path(path_type=Path),
    help="A request with your own values: an array for each input, by its name; or pictures, with --preprocess. May be "
    "given several times.  [default: generated]",
)  # fmt: skip
@click.option(
    "--preprocess", default="", metavar="HOW",
    help="How a picture becomes the input: imagenet, unit, bytes, symmetric, yolo, clip, caffe, and KEY=VALUE after "
    "it, such as imagenet,order=bgr.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of generated inputs.")
@click.option(
    "--time-limit", "time_limit_s", type=float, default=LIMIT_S, show_default=True, metavar="SECONDS",
    help="How long opening the model may take, and each of its answers.",
)  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the artifact.")
@_options.workspace
@_options.as_json
def command(
    file: Path, network: str, name: str, shapes: tuple[str, ...], inputs: tuple[Path, ...], preprocess: str, seed: int,
    time_limit_s: float, out: Path | None, workspace: Workspace, as_json: bool,
) -> None:  # fmt: skip
    """Make an artifact of a model that edgebench did not train, so that it can be measured like any other.

    The model is opened and run here, in a process of its own. Its answers on this CPU are the reference: on each
    runtime, device and board, every output is compared with them. Inputs are generated unless you give some, and its
    accuracy is unknown; tables say so.
    """
    with _adopting.adopting(), Opener() as opener:  # it loads its libraries while this process loads what comes now
        from rich.console import Console

        from edgebench.adopting import adopt, sizes
        from edgebench.records import jsonio
        from edgebench.records.terminal import printable
        from edgebench.records.weight_files import TRUST

        with Console(stderr=True).status(f"adopting {printable(file.name)}") as status:
            made = adopt.adopt(
                file, workspace, network=network, name=name, shapes=sizes.read(shapes), inputs=inputs,
                preprocess=preprocess, seed=seed, time_limit_s=time_limit_s, out=out,
                tell=lambda stage: status.update(printable(stage)), opener=opener,
            )  # fmt: skip
    if as_json:
        click.echo(jsonio.dumps({"path": str(made.path), "artifact": made}, indent=1))
        return
    for line in _told(made):
        click.echo(printable(line))
    trust = f"{TRUST}={shlex.quote(str(network))} " if made.model.origin == "file" else ""
    _next.tell(f"run {shlex.quote(str(made.path))}", before=trust)


def _told(made: Artifact) -> list[str]:
    """What was adopted, with which inputs, and what to know about it."""
    from edgebench.adopting.told import inputs_told

    known = made.adopted
    lines = [
        f"{made.model.name}: {made.path} ({made.size_bytes / 2**20:.1f} MiB)",
        f"  {made.model.parameters / 1e6:.3g} M parameters, {made.precision}"
        + (f", {known.quantized_told}" if known.quantized else "")
        + "".join(f", {name} {value}" for name, value in made.tools.items() if value),
        f"  inputs, {known.inputs}: {inputs_told(made)}",
        *_pictures(made),
        f"  outputs: {', '.join(spec.name for spec in made.outputs)}",
        f"  reference: {known.reference} on the CPU, {known.requests} requests",
    ]
    if known.network:
        lines.append(f"  network: {known.network}; licence of the weights: {known.licence or 'unknown'}")
    if known.classes:
        lines.append(f"  classes: {len(known.classes):,}: {'; '.join(known.classes[:3])}; …")
    if known.steered_by:
        lines.append(f"  how much it computes depends on the values of its inputs ({', '.join(known.steered_by)})")
    if known.unrepeatable:
        lines.append(f"  not compared, since the reference does not repeat them: {', '.join(known.unrepeatable)}")
    return lines


def _pictures(made: Artifact) -> list[str]:
    if made.preprocessing is None:
        return []
    from edgebench.adopting import preprocessing

    return [f"  pictures: {preprocessing.told(made.preprocessing)}"]
