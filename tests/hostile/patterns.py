"""The regular expressions in our source, and texts on which one may take a time that grows with their square."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

if sys.version_info >= (3, 11):
    from re import _constants as sre
    from re import _parser as parser
else:
    import sre_constants as sre
    import sre_parse as parser

CALLS = {"compile", "match", "fullmatch", "search", "sub", "split", "findall", "finditer"}
BEGIN = {"match", "fullmatch"}  # of the calls
FLAGS = {"M": re.M, "MULTILINE": re.M, "DOTALL": re.S, "S": re.S, "ASCII": re.A}


class Pattern(NamedTuple):
    where: str
    text: str
    flags: int
    how: str = "search"


def found(source: Path) -> Iterator[Pattern]:
    """The patterns of a file that are written down as they are; `Like` declares one too."""
    for node in ast.walk(ast.parse(source.read_text())):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        called, pattern = node.func, node.args[0]
        ours = isinstance(called, ast.Attribute) and ast.unparse(called.value) == "re" and called.attr in CALLS
        ours |= isinstance(called, ast.Name) and called.id == "Like"
        if ours and isinstance(pattern, ast.Constant) and isinstance(pattern.value, str):
            words = {word.attr for word in ast.walk(node) if isinstance(word, ast.Attribute)}
            flags = sum({FLAGS[word] for word in words if word in FLAGS})
            how = called.attr if isinstance(called, ast.Attribute) else "fullmatch"
            yield Pattern(f"{source.name}:{node.lineno}", pattern.value, flags, how if how in BEGIN else "search")


def texts(pattern: Pattern, length: int) -> Iterator[str]:
    """Pieces of what the pattern matches, again and again, and then what it does not match."""
    pieces = dict.fromkeys(itertools.chain(_pieces(parser.parse(pattern.text, pattern.flags)), " \n"))
    whole = "".join(pieces)
    for piece in (*pieces, whole, *(a + b for a, b in itertools.pairwise(pieces))):
        yield piece * (length // len(piece)) + "\x00"
    for piece in pieces:
        yield whole + piece * (length // len(piece)) + "\x00"


def _pieces(tree: parser.SubPattern) -> Iterator[str]:
    run = ""
    for kind, value in tree:
        if kind is sre.LITERAL:
            run += chr(value)
            continue
        if run:
            yield run
        run = ""
        yield from _inside(kind, value)
    if run:
        yield run


def _inside(kind: object, value: object) -> Iterator[str]:
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        yield from _pieces(value[2])
    elif kind is sre.SUBPATTERN:
        yield from _pieces(value[3])
    elif kind is sre.BRANCH:
        for branch in value[1]:
            yield from _pieces(branch)
    elif kind in (sre.ASSERT, sre.ASSERT_NOT):
        yield from _pieces(value[1])
    elif kind is sre.ANY:
        yield "a"
    elif kind is sre.IN:
        yield from _of_set(value)
    elif kind is sre.NOT_LITERAL:
        yield "a" if value != ord("a") else "b"


def _of_set(items: list) -> Iterator[str]:
    if items[0][0] is sre.NEGATE:
        yield next((c for c in "a1 -<\"'" if not any(_holds(item, c) for item in items[1:])), "\x7f")
        return
    for kind, value in items[:3]:
        if kind is sre.LITERAL:
            yield chr(value)
        elif kind is sre.RANGE:
            yield chr(value[0])
        elif kind is sre.CATEGORY:
            yield {"DIGIT": "1", "SPACE": " ", "WORD": "a"}.get(str(value).split("_")[-1], "-")


def _holds(item: tuple, c: str) -> bool:
    kind, value = item
    if kind is sre.LITERAL:
        return chr(value) == c
    if kind is sre.RANGE:
        return value[0] <= ord(c) <= value[1]
    name = str(value).split("_")[-1]
    return {"DIGIT": c.isdigit(), "SPACE": c.isspace(), "WORD": c.isalnum()}.get(name, False)
