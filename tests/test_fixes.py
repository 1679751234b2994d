"""Every fix that a message prints names commands and options that exist: read from the source, message by message."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import click
from conftest import REPOSITORY

from edgebench import errors
from edgebench.cli import COMMANDS, cli
from edgebench.records import notices

SOURCES = [REPOSITORY / folder for folder in ("edgebench", "exporters", "runtimes")]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
COMMAND = re.compile(r"\bedgebench ([a-z]+)((?: [a-z-]+)*)")
MODULE = re.compile(r"python -m (edgebench[\w.]*)")
FIX_NAMES = re.compile(r"(^|_)(fix|remedy|hint)$")
# Options of other programs that fixes name, and those programs.
FOREIGN = {
    "--address": "ray start", "--resources": "ray start", "--head": "ray start", "--verbose": "nvpmodel",
    "--show": "jetson_clocks", "--security-opt": "docker run",
    "--nproc-per-node": "torchrun",
}  # fmt: skip


@cache
def commands() -> dict[str, click.Command]:
    """Every command by its words, those inside groups too."""
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        made = cli.get_command(click.Context(cli), name)
        assert made is not None
        found[name] = made
        if isinstance(made, click.Group):
            found |= {f"{name} {sub}": inside for sub, inside in made.commands.items()}
    return found


def options(command: click.Command) -> set[str]:
    return {each for p in command.params if isinstance(p, click.Option) for each in (*p.opts, *p.secondary_opts)}


@cache
def all_options() -> set[str]:
    return set().union(*(options(command) for command in commands().values()), {"--help", "--version"})


def text(node: ast.AST | None, names: Mapping[str, str]) -> Iterator[str]:
    """The texts that an expression may become, with "…" for what is filled in. `names`: the file's constants."""
    if isinstance(node, ast.Name) and node.id in names:
        yield names[node.id]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
        yield "".join(next(text(part, names), "…") for part in parts)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from text(part.value, names)
    elif isinstance(node, ast.BinOp):
        lefts, rights = (list(text(side, names)) or ["…"] for side in (node.left, node.right))
        yield from (left + right for left in lefts for right in rights)
    elif isinstance(node, ast.IfExp):
        yield from text(node.body, names)
        yield from text(node.orelse, names)
    elif isinstance(node, (ast.List, ast.Tuple)):
        for each in node.elts:
            yield from text(each, names)


def constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a file gives a name."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def error_names(sources: tuple[Path, ...]) -> set[str]:
    """The classes of errors that take a fix, as the source defines them."""
    bases: dict[str, set[str]] = {}
    for path in sources:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}
    found, size = {errors.EdgebenchError.__name__}, 0
    while len(found) > size:
        size = len(found)
        found |= {name for name, parents in bases.items() if parents & found}
    return found


@cache
def fixes() -> list[tuple[str, str]]:
    """(where, text) of every fix: the second argument of an error, and what is called a fix or a remedy."""
    paths = tuple(sorted(path for folder in SOURCES for path in folder.rglob("*.py")))
    classes, found = error_names(paths), []
    for path in paths:
        tree = parsed(path)
        names = constants(tree)
        for node in ast.walk(tree):
            given: list[ast.AST] = []
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                given += node.args[1:2] if called in classes else []
                given += [keyword.value for keyword in node.keywords if FIX_NAMES.search(keyword.arg or "")]
            elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(t, ast.Name) and FIX_NAMES.search(t.id.lower()) for t in targets):
                    given += [node.value] if node.value else []
            elif isinstance(node, ast.FunctionDef) and FIX_NAMES.search(node.name):
                given += [r.value for r in ast.walk(node) if isinstance(r, ast.Return) and r.value]
            for one in given:
                found += [(f"{path.relative_to(REPOSITORY)}:{node.lineno}", each) for each in text(one, names)]
    return found + [(f"the notice {kind}", facts.remedy) for kind, facts in notices.KINDS.items()]


def test_the_source_has_fixes() -> None:
    """So many that none of the ways in which they are written is missed."""
    assert len(fixes()) > 400 and sum(bool(OPTION.search(each)) for _, each in fixes()) > 80


def test_each_option_in_a_fix_exists() -> None:
    wrong = [
        f"{where}: {option} in {fix!r}"
        for where, fix in fixes()
        for option in OPTION.findall(fix)
        if option not in all_options() and FOREIGN.get(option, "\0") not in fix
    ]
    assert not wrong, "\n".join(wrong)


def test_each_command_in_a_fix_exists_and_has_the_options_that_follow_it() -> None:
    wrong = []
    for where, fix in fixes():
        for quoted, line in re.findall(r"(`?)(edgebench [^`;,]*)", fix):
            match = COMMAND.match(line)
            if not match or not (quoted or match[1] in commands()):  # a sentence about edgebench, or the name alone
                continue
            words = [match[1], *match[2].split()]
            name = next((n for n in (" ".join(words[:2]), words[0]) if n in commands()), None)
            if name is None:
                wrong.append(f"{where}: there is no `{line}`")
                continue
            unknown = set(OPTION.findall(line)) - options(commands()[name]) - {"--help", "--json", "--workspace"}
            wrong += [f"{where}: `edgebench {name}` has no {option}" for option in sorted(unknown)]
    assert not wrong, "\n".join(wrong)


def test_each_module_in_a_fix_exists() -> None:
    modules = {module for _, fix in fixes() for module in MODULE.findall(fix)}
    assert modules and all(REPOSITORY.joinpath(*name.split(".")).with_suffix(".py").is_file() for name in modules)
