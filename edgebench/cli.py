"""The command line: finds a command by its name and shows errors. The commands are in commands/, one file each."""

from __future__ import annotations

import codecs
import errno
import importlib
import io
import os
import sys
from typing import Any

import click

from edgebench import __version__
from edgebench.errors import EdgebenchError, unknown_name
from edgebench.records.terminal import settle

COMMANDS = {  # the line of each in `--help`, without importing it; a test checks that the command's own help begins so
    "data": "Show how edgebench understands a folder of pictures, and what becomes of each file in it",
    "train": "Train a backbone and keep the checkpoint that is best on validation",
    "probe": "Fit classifiers to the frozen features of backbones, and show accuracy beside latency",
    "study": "Train several times and show the effect of the epochs, the number of images or the batch size",
    "sweep": "Train, export, verify, evaluate and measure every combination of a matrix",
    "adopt": "Make an artifact of a model that edgebench did not train, so that it can be measured like any other",
    "export": "Export a checkpoint or model (the newest) and prove that the artifact still gives the right answers",
    "lint": "Ask each target's own parser whether it takes a model, and tell what is known to go wrong",
    "evaluate": "Count the right answers of artifacts (by default the newest) on their runtimes",
    "tune": "Find the fastest setting of a network on a device",
    "run": "Measure artifacts (by default the newest) on a device: latency, throughput and peak memory",
    "fleet": "Measure artifacts (by default the newest) on all the boards that a file lists, at the same time",
    "report": "Show the newest result of every measurement",
    "select": "Choose what to deploy under limits",
    "pick": "Find out what to deploy for these images on this device, inside a time budget",
    "push": "Publish a folder that `edgebench pick` made on the Hugging Face hub, with its model card",
    "compare": "Compare the results in NEW with those in BASE",
    "history": "Show each measurement over time",
    "ab": "Is B slower than A? For differences that separate runs cannot see on a noisy machine",
    "crosscheck": "Compare our figures with those of the vendors' own tools",
    "devices": "List the device profiles and say which one this machine is",
    "cluster": "Check the Ray cluster that `edgebench sweep --engine ray` uses",
    "power": "List the power meters and which of them work here; with --seconds, print what one of them reads",
    "estimate": "Say how long ARTIFACT takes at least on a device",
    "models": "List the short names of the backbones in groups, and with --all every timm model",
    "profile": "Show what each MODEL costs: parameters, GMACs, GFLOPs, activations, size, peak memory",
    "doctor": "Load every adapter and say what works, what does not, and the fix",
    "completion": "Print the completion script for a shell",
}


class Commands(click.Group):
    """Imports a command's file only when that command is used, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        from edgebench.records.collecting import paused

        with paused():
            return importlib.import_module(f"edgebench.commands.{name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise unknown_name("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # of a command that has nothing to tell
            click.echo("Interrupted.", err=True)
            ctx.exit(130)  # as shells do after SIGINT
        except OSError as error:
            if error.errno == errno.EPIPE:  # `| head` closed the pipe: click ends quietly
                raise
            where = f"{_place(str(error.filename))}: " if error.filename else ""
            fix = {
                errno.EACCES: "choose a folder that you may write to (--workspace or --out), or change its permissions",
                errno.EPERM: "choose a folder that you may write to (--workspace or --out), or change its permissions",
                errno.ENOENT: "no folder can be made there: choose another --workspace or --out",
                errno.EROFS: "choose a folder on a disk that is not read-only (--workspace or --out)",
                errno.ENOSPC: "free some space, or choose another disk (--workspace or --out)",
                errno.EEXIST: "a file is where a folder should be: choose another --workspace or --out",
                errno.ENOTDIR: "a part of the path is a file: choose another --workspace or --out",
            }.get(error.errno or 0, "")
            raise EdgebenchError(f"{where}{error.strerror or error}", fix) from error


def _place(path: str) -> str:
    """The path that the user knows: of what is not finished, the folder that it is in."""
    from edgebench.records.replacing import OLD, PARTIAL

    return os.path.dirname(path) if path.endswith((PARTIAL, OLD)) else path


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: edgebench train; edgebench export --target onnx; edgebench run; edgebench report",
)
@click.version_option(__version__, prog_name="edgebench")
def cli() -> None:
    """Which vision backbone, exported how and run by which runtime, should go on this robot?

    Trains a backbone on few images, exports it to ONNX, OpenVINO and TensorRT, proves that the export still gives the
    right answers, and measures it on the device that will run it.
    """


# What stands for these characters on a terminal that is not UTF-8.
PLAIN = {"±": "+-", "×": "x", "–": "-", "…": "...", "≤": "<=", "≥": ">=", "µ": "u", "°": " deg ", "✓": "yes"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


def main() -> None:
    """The `edgebench` program. Exit codes: 0 success; 1 a job, a gate or the machine failed; 2 wrong usage."""
    codecs.register_error("edgebench-plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="edgebench-plain")
    settle()
    cli(prog_name="edgebench")
