"""Looks into ONNX files without the onnx library, which a board lacks. Nothing loads a file before this check."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from edgebench.errors import BadFile

# By message of onnx.proto: the numbers of the fields that lead to a tensor, and the message in each.
PATHS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
NUMBER = -1  # instead of the end of a field's content: it is a number
DEEPEST = 64  # messages within messages: no exporter nests graphs this deep


def external_files(path: Path) -> set[str]:
    """The names of the files with weights that the ONNX file refers to. Raises BadFile if it is not an ONNX file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return set(_locations(data, 0, len(data), "model", 0))
    except (ValueError, IndexError) as error:
        _refuse_what_is_no_file(path)
        raise BadFile(
            f"{path} is not an ONNX file, or damaged: {error}", "export the model again, or get the file again"
        ) from None


def _refuse_what_is_no_file(path: Path) -> None:
    """Raise BadFile for what often stands in a model's place."""
    with path.open("rb") as file:
        begin = file.read(100)
    if not begin:
        raise BadFile(f"{path} is empty", "fetch the file again")
    if begin.startswith(b"version https://git-lfs"):
        raise BadFile(f"{path} is not the model but where Git LFS finds it", "fetch the file: git lfs pull")
    if begin.lstrip()[:1] == b"<":
        raise BadFile(f"{path} is not a model but a web page", "fetch the file again")


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise ValueError(f"its messages are nested more than {DEEPEST} deep")
    for number, begin, stop in fields(data, start, end):
        inner = PATHS[message].get(number) if stop != NUMBER else None
        if inner == "entry":
            pair = {field: bytes(data[a:b]) for field, a, b in fields(data, begin, stop) if b != NUMBER}
            if pair.get(1) == b"location":
                yield pair.get(2, b"").decode(errors="replace")
        elif inner:
            yield from _locations(data, begin, stop, inner, depth + 1)


def fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a protobuf message, and where its content begins and ends; floats are left out.

    Of a field that is an integer: its value, and NUMBER. Raises ValueError where the message is damaged.
    """
    while at < end:
        tag, at = varint(data, at, end)
        if not 8 <= tag < 1 << 32:  # parsers differ in what they make of such a one
            raise ValueError("it has a field without a number, or with too large a one")
        kind = tag & 7
        if kind == 2:
            length, at = varint(data, at, end)
            if at + length > end:
                raise ValueError("a field reaches beyond its end")
            yield tag >> 3, at, at + length
            at += length
        elif kind == 0:
            value, at = varint(data, at, end)
            yield tag >> 3, value, NUMBER
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"it has a field of the unknown kind {kind}")
    if at > end:
        raise ValueError("a field reaches beyond its end")


def varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """The integer that begins there, and where the next thing does."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError("it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                raise ValueError("it has a number of more than 64 bits")
            return value, at
    raise ValueError("it has a number of more than ten bytes")
