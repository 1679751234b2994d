"""The cache of results says what the files say, whatever happened to it and to them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from factories import make_artifact, make_result, make_samples

import edgebench
from edgebench.results import index, store
from edgebench.results.rows import merged, rows
from edgebench.specs import SCHEMA


def save(folder: Path, n: int, **changes: Any) -> Path:
    return store.save(make_result(created=f"2026-01-01T00:00:00.{n:06}+00:00", threads=n + 1, **changes), folder)


def truth(folder: Path) -> list:
    return rows(store.read_all(folder)[0])


def shown(folder: Path) -> list:
    return merged(index.load(folder)[0])


def reads(folder: Path) -> list[int]:
    """How many files have to be read for the next table."""
    seen: list[int] = []
    index.load(folder, lambda done, of: seen.append(of))
    return seen


def test_it_says_what_the_files_say(tmp_path: Path) -> None:
    assert index.load(tmp_path / "none") == ([], []) and not (tmp_path / "none").exists()
    for n in range(3):
        save(tmp_path, n)
    save(tmp_path, 4, status="crashed", message="“SIGSEGV”\n\x1b[31m")
    assert reads(tmp_path) == [4] and reads(tmp_path) == []
    assert shown(tmp_path) == truth(tmp_path) and len(shown(tmp_path)) == 4


def test_it_follows_the_files(tmp_path: Path) -> None:
    paths = [save(tmp_path, n) for n in range(3)]
    index.load(tmp_path)
    paths[0].unlink()
    save(tmp_path, 3)
    store.save(make_result(created="2026-01-01T00:00:00.000001+00:00", threads=2, message="anew, longer"), tmp_path)
    paths[2].rename(tmp_path / "renamed.json")
    assert reads(tmp_path) == [3]
    found = shown(tmp_path)
    assert {row.message for row in found} == {"", "anew, longer"} and len(found) == 3
    assert "renamed.json" in {row.file for row in found}


def test_a_file_that_cannot_be_read_is_told_each_time_and_read_once(tmp_path: Path) -> None:
    good, newer, bad = (save(tmp_path, n) for n in range(3))
    newer.write_text(newer.read_text().replace(f'"schema": {SCHEMA}', '"schema": 999'))
    bad.write_text("{")
    first = index.load(tmp_path)
    assert reads(tmp_path) == []
    for entries, problems in (first, index.load(tmp_path)):
        assert [entry.row.file for entry in entries] == [good.name]
        assert [problem.message.split()[0] for problem in problems] == [str(newer), str(bad)]
        assert "schema 999, newer than" in problems[0].message and problems[0].fix == "upgrade edgebench"
    bad.write_text(good.read_text())
    assert len(index.load(tmp_path)[0]) == 2
    assert newer.exists()


def test_folders_and_links_hide_no_result(tmp_path: Path) -> None:
    save(tmp_path, 0)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    for _ in range(2):
        entries, problems = index.load(tmp_path)
        assert len(entries) == 1 and len(problems) == 2


def other_index(path: Path) -> None:
    """A whole one of another folder, whose files are other files."""
    other = path.parent.parent / "other"
    for n in range(20):
        save(other, n, message="not of this folder")
    index.load(other)
    path.unlink()
    shutil.copy(other / index.NAME, path)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def changed(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


# What may happen to the cache, and whether the user is told.
DAMAGE = {
    "no cache": (lambda path: path.write_bytes(b"no cache at all\n" * 100), True),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:5000]), False),  # as by a kill
    "one digit": (lambda path: changed(path, b"onnxruntime", b"onnxruntimf"), True),
    "empty": (lambda path: path.write_bytes(b""), True),
    "another edgebench's": (lambda path: path.write_bytes(b"edgebench index 0000000\n" + b"x" * 99), False),
    "another folder's": (other_index, False),
    "a link": (linked, True),
    "a pipe": (piped, True),
    "gone": (lambda path: path.unlink(), False),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_mended_from_the_files_and_told_once(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    for n in range(20):
        save(folder, n)
    expected = shown(folder)
    spoil, told = DAMAGE[damage]
    spoil(folder / index.NAME)
    entries, problems = index.load(folder)
    assert merged(entries) == expected == truth(folder)
    assert len(problems) == told and all(index.NAME in problem.message for problem in problems)
    assert index.load(folder)[1] == [] and reads(folder) == [] and shown(folder) == expected
    assert (folder / index.NAME).is_file() and not (folder / index.NAME).is_symlink()
    if damage == "a link":
        assert (folder / "elsewhere").read_bytes()[:15] == b"edgebench index", "what it led to is as it was"


def test_an_edit_of_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    path = save(tmp_path, 0)
    before = path.stat()
    index.load(tmp_path)
    changed(path, b'"onnxruntime"', b'"onnxruntimf"')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    assert reads(tmp_path) == [1] and [row.runtime for row in shown(tmp_path)] == ["onnxruntimf"]


def test_entries_of_files_that_are_gone_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SPARE", 3)
    for n in range(30):
        save(tmp_path, n)
        index.load(tmp_path)
    size = (tmp_path / index.NAME).stat().st_size
    for path in sorted(tmp_path.glob("*.json"))[2:]:
        path.unlink()
    save(tmp_path, 40)
    index.load(tmp_path)
    assert (tmp_path / index.NAME).stat().st_size < size / 5 and shown(tmp_path) == truth(tmp_path)


def test_where_it_cannot_be_written_it_is_done_without(tmp_path: Path) -> None:
    save(tmp_path, 0)
    (tmp_path / index.NAME).mkdir()  # nobody can write to that, root neither
    assert shown(tmp_path) == truth(tmp_path)
    (tmp_path / index.NAME).rmdir()
    index.load(tmp_path)
    save(tmp_path, 1)
    (tmp_path / index.NAME).chmod(0o400)
    assert shown(tmp_path) == truth(tmp_path)


def sweep(folder: Path, first: int) -> None:
    for n in range(first, first + 40):
        save(folder, n)
        if n % 4 == 0:
            index.load(folder)


def test_two_sweeps_into_one_folder_lose_nothing(tmp_path: Path) -> None:
    both = [multiprocessing.get_context("fork").Process(target=sweep, args=(tmp_path, n)) for n in (0, 100)]
    for one in both:
        one.start()
    for one in both:
        one.join(timeout=120)
        assert one.exitcode == 0
    assert len(shown(tmp_path)) == 80 and shown(tmp_path) == truth(tmp_path)


def test_a_first_reading_that_is_stopped_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "TOGETHER", 2)
    for n in range(6):
        save(tmp_path, n)

    def stop(done: int, of: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.load(tmp_path, stop)
    assert reads(tmp_path) == [2]


def test_without_its_samples_a_result_is_the_same_but_for_them(tmp_path: Path) -> None:
    hostile = '"latency_ns": [1] "warmup_ns":[2'
    artifact = make_artifact(model=hostile)
    path = store.save(make_result(artifact, samples=[make_samples()] * 2, message=hostile), tmp_path)
    slim, whole = store.read(path, samples=False), store.read(path)
    assert slim.message == hostile and slim.summary == whole.summary and slim.artifact == whole.artifact
    assert [launch.samples.latency_ns for launch in slim.launches] == [(), ()]
    assert rows([slim]) == rows([whole])


def half_width_by(package: Path, folder: Path) -> float | None:
    """As the copy of edgebench in a folder reads it, in a process of its own."""
    code = (
        "import sys, edgebench; from edgebench.results import index\n"
        "print(edgebench.__file__, index.load(__import__('pathlib').Path(sys.argv[1]))[0][0].row.half_width)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=os.environ | {"PYTHONPATH": str(package)}, cwd=package,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, told = done.stdout.split()
    assert Path(file).is_relative_to(package)
    return None if told == "None" else float(told)


def test_a_change_of_any_function_that_a_row_depends_on_makes_it_anew(tmp_path: Path) -> None:
    """Not of rows.py alone: here it is the statistics'."""
    save(tmp_path / "results", 0, samples=[make_samples()] * 5)
    shutil.copytree(Path(edgebench.__file__).parent, tmp_path / "copy" / "edgebench")
    assert half_width_by(tmp_path / "copy", tmp_path / "results") == pytest.approx(0, abs=1e-9)
    changed = tmp_path / "copy" / "edgebench" / "results" / "stats.py"
    changed.write_text(f"{changed.read_text()}\n\ndef half_width(summary):\n    return 0.125\n")
    assert half_width_by(tmp_path / "copy", tmp_path / "results") == 0.125


def test_another_version_of_a_plug_in_with_a_scenario_makes_rows_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "results", 0)
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(version: str, group: str) -> None:
        folder = tmp_path / f"plugged-{version}.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_text(f"[edgebench.{group}]\nname = plugged:Thing\n")

    assert reads(tmp_path / "results") == [1] and reads(tmp_path / "results") == []
    install("0.1", "meters")
    assert reads(tmp_path / "results") == [], "no row calls a meter"
    install("1.0", "scenarios")
    assert reads(tmp_path / "results") == [1] and reads(tmp_path / "results") == []
    shutil.rmtree(tmp_path / "plugged-1.0.dist-info")
    install("1.1", "scenarios")
    assert reads(tmp_path / "results") == [1]


def test_a_complete_cache_is_read_without_the_records(tmp_path: Path) -> None:
    """They take longer to import than a thousand rows take to read."""
    save(tmp_path / "results", 1)
    report = f"['report', '--workspace', {str(tmp_path)!r}]"
    code = (
        f"import sys, edgebench.cli as c\ntry: c.cli({report})\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    loaded = [
        set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split())
        for _ in range(2)
    ]
    records = {"edgebench.specs", "edgebench.records.result", "edgebench.machine.registry", "numpy"}
    assert records <= loaded[0] and not records & loaded[1]


def test_the_search_for_garbage_goes_on_after_a_reading(tmp_path: Path) -> None:
    save(tmp_path, 1)
    seen = []
    index.load(tmp_path, lambda done, of: seen.append(gc.isenabled()))
    assert seen == [False] and gc.isenabled()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (r'{"latency_ns": [1, 2], "a": "\"latency_ns\": [3]"}', r'{"latency_ns": [], "a": "\"latency_ns\": [3]"}'),
        ('{"late_ns":[1,\n 2],"warmup_ns": [-], "late_ns": [7]}', '{"late_ns":[],"warmup_ns": [-], "late_ns": []}'),
        ('{"latency_ns": [1e9], "late_ns": ["x"], "warmup_ns": [[1]]}', None),
        ('{"latency_ns": [1, 2', None),
    ],
)  # fmt: skip
def test_only_whole_lists_of_digits_are_left_out(text: str, left: str | None) -> None:
    assert store._without_samples(text.encode()).decode() == (text if left is None else left)
