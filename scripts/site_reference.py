"""Writes the reference pages of the site into a folder: each command with its flags, and the functions of the API.

python scripts/site_reference.py FOLDER
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import edgebench
from edgebench.cli import cli


def commands(group: click.Command = cli, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command and its words, groups before what is in them."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        yield " ".join((*words, name)), found
        if isinstance(found, click.Group):
            yield from commands(found, (*words, name))


def page(words: str, command: click.Command) -> str:
    """The page of a command: what it does, its usage, and a line for each argument and option."""
    context = click.Context(command, info_name=f"edgebench {words}")
    lines = [
        f"# edgebench {words}",
        "",
        *_text(command.help or ""),
        "",
        "```text",
        command.get_usage(context),
        "```",
        "",
    ]
    options = [p for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
    for option in options:
        names, meaning = option.get_help_record(context)
        lines += [f"`{names}`", f": {_escaped(' '.join(meaning.split()))}", ""]
    if command.epilog:
        lines += ["", "```text", inspect.cleandoc(command.epilog.replace("\b", "")), "```"]
    return "\n".join(lines) + "\n"


def _text(told: str) -> list[str]:
    return [_escaped(line) for line in inspect.cleandoc(told.replace("\b", "")).splitlines()]


def _escaped(told: str) -> str:
    return told.replace("<", "&lt;").replace("*", "\\*")


def api() -> str:
    """The functions of edgebench with their parameters."""
    lines = ["# The functions", "", "How to use them is in [the API's page](../api.md).", ""]
    for name in sorted(edgebench.__all__):
        found = getattr(edgebench, name)
        if not inspect.isfunction(found):
            continue
        lines += [f"## {name}", "", "```python", f"edgebench.{name}{_signature(found)}", "```", ""]
        lines += [_escaped(line) for line in (inspect.getdoc(found) or "").splitlines()] + [""]
    return "\n".join(lines)


def _signature(function: object) -> str:
    signature = inspect.signature(function)
    told = [str(parameter) for parameter in signature.parameters.values()]
    if len(", ".join(told)) <= 80:
        return f"({', '.join(told)})"
    return "(\n" + "".join(f"    {each},\n" for each in told) + ")"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for words, command in commands():
        names.append(words.replace(" ", "-"))
        (folder / f"{names[-1]}.md").write_text(page(words, command), encoding="utf-8")
    (folder / "functions.md").write_text(api(), encoding="utf-8")
    listed = "\n".join(["functions", *names])
    intro = "Made from the flags and signatures of the code.\n"
    (folder / "README.md").write_text(f"# Reference\n\n{intro}\n```{{toctree}}\n{listed}\n```\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
