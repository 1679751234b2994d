"""`edgebench profile`: what networks cost before they are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgebench.training.complexity import Complexity


@click.command(
    epilog="""\b
Examples:
  edgebench profile
  edgebench profile resnet50 my_model.py:build --image-size 64
  edgebench profile swin_tiny --no-memory --format markdown"""
)
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--image-size", type=click.IntRange(8), default=224, show_default=True, help="Pixels of square images.")
@click.option(
    "--batch-size", type=click.IntRange(1), default=1, show_default=True, help="Batch size for the inference memory."
)
@click.option(
    "--train-batch-size",
    type=click.IntRange(2),
    default=32,
    show_default=True,
    help="Batch size for the training memory.",
)
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure peak memory, which takes longest.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
    help="How to print.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    models: tuple[str, ...], image_size: int, batch_size: int, train_batch_size: int, memory: bool, form: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what each MODEL costs: parameters, GMACs, GFLOPs, activations, size, peak memory.

    By default these are the seven that `edgebench models` lists first. A MODEL is what --model of `edgebench
    train` takes; naming FILE.py:function executes that file. A network that fails has the reason in its row, and the
    exit code is then 1.
    """
    import sys

    from rich.console import Console

    from edgebench.records import jsonio
    from edgebench.training import complexity

    with Console(stderr=True).status("profiling") as status:
        found = complexity.profile_all(
            models, image_size, batch_size, train_batch_size, memory=memory,
            on_start=lambda name: status.update(f"profiling {name}"),
        )  # fmt: skip
    if as_json or form == "json":
        click.echo(jsonio.dumps(found, indent=1))
    elif form == "markdown":
        click.echo(_markdown(found))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(_table(found))
    if any(row.error for row in found):
        sys.exit(1)


def _figure(value: float | None, unit: float) -> str:
    if value is None:
        return "–"
    figure = value / unit
    return f"{figure:#.3g}" if figure < 1 else f"{figure:,.{0 if figure >= 100 else 2}f}"


def _cells(row: Complexity) -> dict[str, str]:
    memory = row.memory
    cells: dict[str, Any] = {
        "model": row.model,
        "params M": _figure(row.parameters, 1e6),
        "GMACs": _figure(row.macs, 1e9),
        "GFLOPs": _figure(row.flops, 1e9),
        "activations M": _figure(row.activations, 1e6),
        "fp32 MiB": _figure(row.weights_bytes, 2**20),
        "inference MiB": _figure(memory and memory.inference_bytes, 2**20),
        "training MiB": _figure(memory and memory.training_bytes, 2**20),
    }
    return cells


def _notes(rows: list[Complexity]) -> list[str]:
    """What the figures mean, how memory was measured, what was adapted, and what failed."""
    first = rows[0]
    notes = [
        f"For one image of {first.image_size} × {first.image_size} and 1,000 classes. GFLOPs = 2 × GMACs; activations "
        "are the outputs of convolutions and matrix products; attention is included in both."
    ]
    if measured := next((row for row in rows if row.memory), None):
        assert measured.memory is not None
        notes.append(
            f"Memory: peak by {measured.memory.source} in a process of its own, above that of the libraries; inference "
            f"with batch {measured.batch_size}, training with batch {measured.train_batch_size} and AdamW, in fp32."
        )
        notes += sorted({row.memory.reason for row in rows if row.memory and row.memory.reason})
    notes += [f"{row.model}: {note}" for row in rows for note in row.adapted]
    return notes + [f"failed: {row.model}: {row.error}" for row in rows if row.error]


def _table(rows: list[Complexity]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from edgebench.records.terminal import printable

    caption = escape(printable("\n".join(_notes(rows))))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    for heading in _cells(rows[0]):
        table.add_column(heading, justify="left" if heading == "model" else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in _cells(row).values()))
    return table


def _markdown(rows: list[Complexity]) -> str:
    from edgebench.report.formats import markdown_safe

    headings = list(_cells(rows[0]))
    lines = [headings, ["---"] * len(headings), *([markdown_safe(c) for c in _cells(row).values()] for row in rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([table, "", *(f"- {markdown_safe(note)}" for note in _notes(rows))])
