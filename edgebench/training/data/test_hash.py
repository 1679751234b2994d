"""The hash of a test split: which images it holds, under which classes, whatever their order, names and place."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgebench.records import digests, jsonio
from edgebench.training.data.decoding import File, cache_folder
from edgebench.training.data.pixels import in_threads


def of(classes: Sequence[str], labels: np.ndarray, contents: Sequence[bytes]) -> str:
    """sha256 of the class names, and of the label and the digest of the content of each test image."""
    digest = hashlib.sha256(repr(tuple(classes)).encode())
    for line in sorted(b"%d:%s" % (label, content) for label, content in zip(labels.tolist(), contents, strict=True)):
        digest.update(b"|" + line)
    return digest.hexdigest()


def of_files(root: Path, files: Sequence[File]) -> list[bytes]:
    """A digest of each file's content, in hexadecimal. They are kept in EDGEBENCH_CACHE for as long as no file has
    another name, size or time: reading all again would take longer than opening the decoded images."""
    key = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape"))
    for file in files:
        line = f"\n{file.name}\0{file.size_bytes}\0{file.mtime_ns}"
        key.update(line.encode("utf-8", "surrogateescape"))
    path = cache_folder().parent / "contents" / key.hexdigest()[:32]
    if (kept := _kept(path, len(files))) is not None:
        return kept
    found = [b""] * len(files)

    def read(i: int) -> None:
        digest = hashlib.blake2b(digest_size=16)
        try:
            with (root / files[i].name).open("rb") as content:
                while block := content.read(1 << 20):
                    digest.update(block)
        except OSError:  # it could be decoded a moment ago: its name stands for it
            digest.update(files[i].name.encode("utf-8", "surrogateescape"))
        found[i] = digest.hexdigest().encode()

    in_threads(read, len(files))
    text = b"\n".join(found).decode()
    with contextlib.suppress(OSError):  # where nothing can be kept, they are read again next time
        jsonio.write_text(path, f"{digests.of_bytes(text.encode())}\n{text}")
    return found


def _kept(path: Path, count: int) -> list[bytes] | None:
    """The digests in the file; None if there is none or it is damaged."""
    try:
        sha256, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    found = text.split(b"\n")
    return found if sha256.decode("latin-1") == digests.of_bytes(text) and len(found) == count else None
