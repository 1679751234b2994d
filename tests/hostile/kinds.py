"""What is tried, kind by kind: a function that makes hostile inputs by a seed, shows them to edgebench, and returns how
many there were; it fails if something went wrong. `scripts/fuzz` runs them for an hour, the test beside this file for
seconds. Every input is our own writing, changed: none is meant for anybody else's library.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import board_kinds
import numpy as np
import odd_results
import own_figures as own
from click.testing import CliRunner
from factories import make_artifact, make_result
from generated import places, replaced
from mutated import TOGETHER, changed

from edgebench import artifact as folder
from edgebench.cli import cli
from edgebench.errors import BadFile, EdgebenchError
from edgebench.measuring import testset
from edgebench.records import onnx_file, onnx_walk, recipe, toml
from edgebench.records.declared import is_plain
from edgebench.records.terminal import printable
from edgebench.records.workspace import Workspace
from edgebench.results import index, rows, store

GOOD = "the-good-model"  # one word, which no table breaks


def result_files(chance: random.Random, place: Path) -> int:
    """Odd results beside a good one: each command that reads them shows the good one, and never a traceback."""
    results = place / "results"
    results.mkdir(parents=True)
    store.save(make_result(make_artifact(model=GOOD)), results)
    for i in range(TOGETHER):
        (results / f"odd{i}.json").write_text(odd_results.odd(chance))
    command = chance.choice(
        [
            ["report"], ["report"], ["report", "--format", "csv"], ["report", "--format", "json"],
            ["report", "--format", "markdown"], ["report", "--html"], ["select"], ["history"],
            ["compare", place, place],
        ]
    )  # fmt: skip
    where = [] if command[0] == "compare" else ["--workspace", place]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, [str(each) for each in (*command, *where)])
    assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exc_info)
    text = done.output + ((place / "report.html").read_text() if "--html" in command else "")
    assert command[0] != "report" or GOOD in text, (command, text[-500:])
    assert text == printable(text) or "csv" in command, command
    return TOGETHER


def manifests(chance: random.Random, place: Path) -> int:
    """A manifest with an odd value: it is refused, or every path that is made of it stays in the workspace."""
    made = make_artifact(place / "artifacts" / "net")
    manifest = made.path / "artifact.json"
    good = json.loads(manifest.read_text())
    home = Workspace(place)
    for _ in range(TOGETHER):
        bad = replaced(good, chance.choice(places(good)), chance.choice(odd_results.VALUES))
        manifest.write_text(json.dumps(bad))
        try:
            found = folder.read(made.path)
            paths = [home.test_set(found), home.validation_set(found), home.tuned(found, "cpu", "latency")]
            paths += [folder.file_in(found, name) for name in found.files]
        except EdgebenchError as error:
            assert str(error) == printable(str(error))
            continue
        assert all(path.resolve().is_relative_to(place.resolve()) for path in paths), paths
    return TOGETHER


def indices(chance: random.Random, place: Path) -> int:
    """A cache that was changed: the table is what the files say."""
    results = place / "results"
    for i in range(3):
        made = make_result(threads=i + 1, created=f"2026-01-01T00:00:0{i}.000000+00:00")
        store.save(made, results)
    truth = rows.rows(store.read_all(results)[0])
    index.load(results)
    cache_file = results / index.NAME
    whole, plugins = cache_file.read_bytes(), index._plugins()
    for _ in range(TOGETHER):
        cache_file.write_bytes(changed(whole, chance))
        with mock.patch.object(index, "_plugins", return_value=plugins):  # looking for them takes longer than all else
            assert rows.merged(index.load(results)[0]) == truth
            assert not index.load(results)[1], "told once"
    return TOGETHER


def onnx_models(chance: random.Random, place: Path) -> int:
    """A damaged ONNX file: refused, or the names of its files of weights."""
    path = place / "model.onnx"
    place.mkdir(parents=True)
    for _ in range(TOGETHER * 5):
        path.write_bytes(changed(_onnx(), chance))
        with contextlib.suppress(ValueError, IndexError):
            assert all(isinstance(name, str) for name in onnx_walk.external_files(str(path)))
    with contextlib.suppress(BadFile):  # in a process of its own, which takes longer than all these
        onnx_file.external_files(path)
    return TOGETHER * 5


def references(chance: random.Random, place: Path) -> int:
    """A damaged file of reference answers: refused, or as long as it says."""
    made = make_artifact(place / "net")
    path = made.path / folder.REFERENCE
    whole = path.read_bytes()
    for _ in range(TOGETHER):
        path.write_bytes(changed(whole, chance))
        try:
            found = folder.read_reference(made)
        except BadFile:
            continue
        assert len(found.images) == len(found.logits) and np.isfinite(found.logits).all()
    return TOGETHER


def test_sets(chance: random.Random, place: Path) -> int:
    """A damaged file of test pictures: refused, or pictures of the size that it says."""
    place.mkdir()
    path = place / "test.npz"
    facts = testset.SetFacts(dataset="d", classes=("a", "b"), sha256="0" * 64)
    testset.write(path, np.zeros((3, 4, 4, 3), np.uint8), np.array([0, 1, 0]), np.eye(3)[:, :2], "x", facts)
    whole = path.read_bytes()
    for _ in range(TOGETHER):
        path.write_bytes(changed(whole, chance))
        with contextlib.suppress(BadFile), testset.opened(path) as found:
            assert sum(map(len, found.images)) == len(found.labels)
    return TOGETHER


def toml_files(chance: random.Random, place: Path) -> int:
    """A damaged file of settings: an error that is meant for the user, or settings that can be used."""
    path = place / "config.toml"
    place.mkdir(parents=True)
    good = recipe.to_toml(recipe.TrainConfig(model="net", dataset="digits")).encode()
    for _ in range(TOGETHER):
        path.write_bytes(changed(good, chance))
        try:
            assert isinstance(toml.read(path, example="x = 1"), dict)
        except BadFile as error:
            assert str(error) == printable(str(error))
    return TOGETHER


def terminals(chance: random.Random, place: Path) -> int:
    """Any text, in any place where text comes from outside, is printable in an error."""
    for _ in range(TOGETHER * 10):
        text = "".join(chr(chance.choice((chance.randrange(0xD800), chance.randrange(0x100)))) for _ in range(20))
        told = str(BadFile(text, text))
        assert "\x1b" not in told and "\x9b" not in told and told == printable(told)
        assert not is_plain(text) or (place / text).parent == place
    return TOGETHER * 10


def own_figures(chance: random.Random, place: Path) -> int:
    """Odd readings of meters, launches that have nothing in common, shares of none and all: what is made of them can
    be read again."""
    found = [(kind, value) for kind, value in (*own.made(chance), *own.shares(chance)) if value is not None]
    for kind, value in found:
        own.read_again(kind, value)
    return len(found)


KINDS: dict[str, Callable[[random.Random, Path], int]] = {
    each.__name__.replace("_", " "): each
    for each in (
        result_files, manifests, indices, onnx_models, references, test_sets, toml_files, board_kinds.answers,
        board_kinds.requests, board_kinds.conversations, terminals, own_figures,
    )
}  # fmt: skip


@cache
def _onnx() -> bytes:
    """A model with weights in other files, in a graph and in a graph within a node."""
    entry = _field(13, _field(1, b"location") + _field(2, b"weights.bin"))
    graph = _field(1, _field(5, _field(5, entry))) + _field(5, entry)
    return b"\x08\x08" + _field(7, graph + _field(1, _field(5, _field(6, graph))))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content
