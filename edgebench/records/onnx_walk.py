"""Walks through ONNX files without the onnx library, which a board lacks; also a program: `onnx_walk.py FILE`.

It imports as little as can be, and nothing of edgebench, so that a process of its own starts at once: see onnx_file.py.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys

TYPE_CHECKING = False  # typing's takes as long as all else
if TYPE_CHECKING:
    from collections.abc import Iterator

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
MOST_NAMES, LONGEST_NAME = 10_000, 4096
LIMIT_S = 60  # of the CPU; a valid file of 330 MiB takes a hundredth of a second
REFUSED = "no ONNX file: "  # the program prints this, and why
DEEPEST = 64  # messages within messages: no exporter nests graphs this deep


def external_files(path: str) -> set[str]:
    """The names of the files with weights that the ONNX file refers to. Raises ValueError or IndexError if it is none,
    OSError as `open` does."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found: set[str] = set()
        for name in _locations(data, 0, len(data), "model", 0):
            found.add(name)
            if len(found) > MOST_NAMES or len(name) > LONGEST_NAME:
                raise ValueError("it names more files with weights, or longer ones, than there can be")
        return found


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise ValueError(f"its messages are nested more than {DEEPEST} deep")
    for number, begin, stop in fields(data, start, end):
        inner = PATHS[message].get(number) if stop != NUMBER else None
        if inner == "entry":
            pair = {field: _text(data, a, b) for field, a, b in fields(data, begin, stop) if b != NUMBER}
            if pair.get(1) == b"location":
                yield pair.get(2, b"").decode(errors="replace")
        elif inner:
            yield from _locations(data, begin, stop, inner, depth + 1)


def _text(data: mmap.mmap, start: int, end: int) -> bytes:
    if end - start > LONGEST_NAME:  # before it is copied
        raise ValueError(f"it has a name or a value of {end - start:,} bytes")
    return bytes(data[start:end])


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


def main() -> None:
    """Print the names of the files with weights, each in hexadecimal on a line of its own; or why the file is not an
    ONNX file. The kernel ends this process after LIMIT_S, also if its parent has ended meanwhile."""
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]  # a batch system may have set a lower one
    if most == resource.RLIM_INFINITY or most > LIMIT_S + 5:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 5))
    try:
        names = external_files(sys.argv[1])
    except (ValueError, IndexError, OSError) as error:
        print(f"{REFUSED}{error!s:.1000}")
    else:
        print("".join(f"{name.encode().hex()}\n" for name in names), end="")


if __name__ == "__main__":
    main()
