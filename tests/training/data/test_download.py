"""The download: checked against its checksum, unpacked into its own folder alone, there whole or not at all."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from datasets import CLASSES, write_cifar

from edgebench.errors import BadFile, EdgebenchError
from edgebench.training import data
from edgebench.training.data import download
from edgebench.training.data.download import Archive

FOLDER = "cifar-10-batches-bin"


def packed(
    path: Path, folder: Path | None = None, members: dict[str, tarfile.TarInfo | bytes] | None = None
) -> Archive:
    with tarfile.open(path, "w:gz") as archive:
        if folder:
            archive.add(folder, folder.name)
        for name, content in (members or {}).items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return Archive(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest(), FOLDER)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    (tmp_path / "served").mkdir()
    return packed(tmp_path / "served" / "cifar.tar.gz", write_cifar(tmp_path / "made" / FOLDER))


@pytest.fixture
def server(tmp_path: Path, archive: Archive) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Nothing: pytest's output is read by people."""

    handler = functools.partial(Quiet, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def left_behind(into: Path) -> list[str]:
    return sorted(path.name for path in into.iterdir()) if into.exists() else []


def test_a_dataset_is_fetched_only_if_asked_and_only_once(
    server: str, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Archive(f"{server}/cifar.tar.gz", archive.sha256, FOLDER)
    monkeypatch.setitem(download.ARCHIVES, "cifar10", served)
    into, told = tmp_path / "data", []
    with pytest.raises(BadFile, match="not on this machine"):
        data.find("cifar10", into)
    assert not into.exists()
    found = data.find("cifar10", into, download=True, on_progress=lambda done, total: told.append((done, total)))
    size = (tmp_path / "served" / "cifar.tar.gz").stat().st_size
    assert told[-1] == (size, size) and found.classes == CLASSES
    assert left_behind(into) == [FOLDER]
    assert data.load(found, "full", 32, 0).info == data.load(str(tmp_path / "made" / FOLDER), "full", 32, 0).info
    (tmp_path / "served" / "cifar.tar.gz").unlink()
    assert data.find("cifar10", into, download=True).classes == CLASSES


def test_the_official_archives_are_known_by_url_and_checksum() -> None:
    for name, folder in (("cifar10", FOLDER), ("cifar100", "cifar-100-binary")):
        archive = download.ARCHIVES[name]
        assert archive.url.startswith("https://www.cs.toronto.edu/") and len(archive.sha256) == 64
        assert archive.folder == folder


def test_another_checksum_is_refused_and_nothing_stays(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=f"has the checksum {archive.sha256}, not {'0' * 64}"):
        download.fetch(Archive(archive.url, "0" * 64, FOLDER), tmp_path / "data")
    assert left_behind(tmp_path / "data") == []


@pytest.mark.parametrize("path", ["missing.tar.gz", "", "cifar.tar.gz/x"])
def test_what_cannot_be_fetched_is_one_message(path: str, server: str, tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match=r"could not be fetched|has the checksum"):
        download.fetch(Archive(f"{server}/{path}", "0" * 64, FOLDER), tmp_path / "data")
    with pytest.raises(EdgebenchError, match="could not be fetched") as caught:
        download.fetch(Archive("http://127.0.0.1:1/cifar.tar.gz", "0" * 64, FOLDER), tmp_path / "data")
    assert str(tmp_path / "data") in caught.value.fix
    assert left_behind(tmp_path / "data") == []


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        "../outside", "/tmp/outside", f"{FOLDER}/../outside", f"{FOLDER}/..", f"{FOLDER}/deeper/file", "outside", "",
        link(f"{FOLDER}/link", "/etc/passwd"), link(f"{FOLDER}/link", "../outside", tarfile.LNKTYPE),
        link(f"{FOLDER}/device", "", tarfile.CHRTYPE), link(f"{FOLDER}/pipe", "", tarfile.FIFOTYPE),
    ],
    ids=lambda member: getattr(member, "name", member),
)  # fmt: skip
def test_a_member_that_does_not_belong_there_is_refused(member: str | tarfile.TarInfo, tmp_path: Path) -> None:
    name = member if isinstance(member, str) else member.name
    content = b"content" if isinstance(member, str) else member
    made = packed(tmp_path / "bad.tar.gz", members={name: content})
    with pytest.raises(BadFile, match="does not belong in"):
        download.fetch(made, tmp_path / "data")
    assert left_behind(tmp_path / "data") == [] and not (tmp_path / "outside").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(archive: Archive, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 100)
    with pytest.raises(BadFile, match="does not belong"):
        download.fetch(archive, tmp_path / "data")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\0\0\0\0\0\0\0rubbish"])
def test_what_is_no_archive(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BadFile, match="cannot be unpacked"):
        download.fetch(Archive(path.as_uri(), hashlib.sha256(content).hexdigest(), FOLDER), tmp_path / "data")
    assert left_behind(tmp_path / "data") == []


def test_an_end_in_the_middle_leaves_nothing_behind(archive: Archive, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(archive, tmp_path / "data", stop)
    assert left_behind(tmp_path / "data") == []
