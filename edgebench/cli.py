"""The command line: finds a command by name and shows errors; the commands are in commands/, one file each."""

from __future__ import annotations

import errno
import importlib
from typing import Any

import click

from edgebench import __version__
from edgebench.errors import EdgebenchError, unknown_name

COMMANDS = (
    "train", "study", "sweep", "export", "evaluate", "tune", "run", "fleet", "report", "select", "pick",
    "compare", "ab", "crosscheck", "devices", "cluster", "power", "estimate", "models", "profile", "doctor",
    "completion",
)  # fmt: skip


class Commands(click.Group):
    """Imports a command's file when that command is asked for, so that `--help` costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return importlib.import_module(f"edgebench.commands.{name}").command if name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise unknown_name("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:  # `| head` closed the pipe: click ends quietly
                raise
            where = f"{error.filename}: " if error.filename else ""
            fix = {
                errno.EACCES: "choose a folder that you may write to (--workspace or --out), or mend its permissions",
                errno.EPERM: "choose a folder that you may write to (--workspace or --out), or mend its permissions",
                errno.ENOENT: "no folder can be made there: choose another --workspace or --out",
                errno.EROFS: "choose a folder on a disk that is not read-only (--workspace or --out)",
                errno.ENOSPC: "free some space, or choose another disk (--workspace or --out)",
                errno.EEXIST: "a file is where a folder should be: choose another --workspace or --out",
                errno.ENOTDIR: "a part of the path is a file: choose another --workspace or --out",
            }.get(error.errno or 0, "")
            raise EdgebenchError(f"{where}{error.strerror or error}", fix) from error


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: edgebench train; edgebench export --target onnx; edgebench run; edgebench report",
)
@click.version_option(__version__, prog_name="edgebench")
def cli() -> None:
    """Which vision backbone, exported how, run by what, goes on this robot?

    Trains a backbone on few images, exports it to ONNX, OpenVINO and TensorRT, proves that the export still gives the
    right answers, and measures it on the device it is meant for.
    """


def main() -> None:
    """The `edgebench` program. Exit codes: 0 done; 1 a job, a gate or the machine failed; 2 wrong usage."""
    cli(prog_name="edgebench")
