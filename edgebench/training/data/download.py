"""Downloads a dataset's official archive, checks its checksum and unpacks it safely: the whole folder or nothing."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from edgebench.errors import BadFile, EdgebenchError
from edgebench.records import replacing

TIMEOUT_S = 60
UNFINISHED = ".download-"
MOST_BYTES = 1 << 30  # unpacked; the real archives have 170 MB packed


@dataclass(frozen=True)
class Archive:
    """A gzipped tar file at `url` (http, https or file) with one flat folder, `folder`. sha256: of the archive."""

    url: str
    sha256: str
    folder: str


# https://www.cs.toronto.edu/~kriz/cifar.html names the archives; their sha256 are those that others pin too.
ARCHIVES = {
    "cifar10": Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        "cifar-10-batches-bin",
    ),
    "cifar100": Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        "cifar-100-binary",
    ),
}


def fetch(archive: Archive, into: Path, on_progress: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Download and unpack an archive. Returns its folder in `into`, immediately if it is already there.

    `on_progress(done, total)` counts bytes; total is 0 if the server does not tell it. Raises EdgebenchError if the
    download fails, BadFile if the archive is not the expected one; either way nothing is left behind.
    """
    folder = into / archive.folder
    if folder.is_dir():
        return folder
    into.mkdir(parents=True, exist_ok=True)
    with replacing.unfinished(into, UNFINISHED, partial(tempfile.mkdtemp, dir=into, prefix=UNFINISHED)) as scratch:
        packed, unpacked = scratch / "archive.tar.gz", scratch / archive.folder
        found = _download(archive.url, packed, on_progress)
        if found != archive.sha256:
            raise BadFile(
                f"{archive.url} has the checksum {found}, not {archive.sha256}: it is truncated or was changed",
                "try again; if there is a proxy, check that it does not change the file",
            )
        unpacked.mkdir()
        _unpack(packed, unpacked)
        try:
            os.rename(unpacked, folder)
        except OSError:
            if not folder.is_dir():  # if it is there, another process was faster
                raise
    return folder


def _download(url: str, path: Path, on_progress: Callable[[int, int], None]) -> str:
    """Download `url` to `path` and return its sha256 in hex."""
    digest, done = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, path.open("wb") as file:
            total = int(response.headers.get("Content-Length") or 0)
            while block := response.read(1 << 18):
                file.write(block)
                digest.update(block)
                done += len(block)
                on_progress(done, total)
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
        raise EdgebenchError(
            f"{url} could not be fetched: {getattr(error, 'reason', None) or error}",
            f"check the network, or download it elsewhere and unpack it into {path.parent.parent}",
        ) from None
    return digest.hexdigest()


def _unpack(packed: Path, folder: Path) -> None:
    """Extract the plain files directly into `folder`. Raises BadFile for a link, a device or any other path."""
    left = MOST_BYTES
    try:
        with tarfile.open(packed, "r:gz") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                if member.isdir() and parts in ((folder.name,), ()):
                    continue
                left -= member.size
                inside = len(parts) == 2 and parts[0] == folder.name and parts[1] != ".."
                if not (member.isreg() and inside and left >= 0):
                    raise BadFile(f"the archive holds {member.name!r}, which does not belong in {folder.name}/")
                content = archive.extractfile(member)
                assert content is not None
                with content, (folder / parts[-1]).open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadFile(f"the archive cannot be unpacked: {error}", "try again") from None
