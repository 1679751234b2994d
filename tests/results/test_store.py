"""Results on disk: what is saved loads again, and no bad file hides a good one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from factories import CREATED, make_artifact, make_result, make_samples
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.records.workspace import now
from edgebench.results import store
from edgebench.specs import SCHEMA

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def moment(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def test_nothing_there(tmp_path: Path) -> None:
    assert store.read_all(tmp_path / "none") == ([], [])
    assert store.read_all(tmp_path) == ([], [])


@pytest.mark.parametrize("status", ["ok", "failed", "timeout", "out_of_memory", "crashed", "unsupported"])
def test_what_is_saved_loads_again(status: str, tmp_path: Path) -> None:
    result = make_result(
        status=status, message="line one\nline two “☃” \x1b[31m", before={"load": [0.5, None], "k": {}}
    )
    path = store.save(result, tmp_path / "results")
    assert path.parent == tmp_path / "results" and path.suffix == ".json"
    assert store.read_all(tmp_path / "results") == ([result], [])


def test_a_result_does_not_need_the_folder_of_its_artifact(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "artifact")
    store.save(make_result(artifact), tmp_path / "results")
    text = next((tmp_path / "results").iterdir()).read_text()
    assert str(tmp_path) not in text
    (loaded,), _ = store.read_all(tmp_path / "results")
    assert loaded.artifact == artifact and loaded.artifact.path == Path()


def test_a_second_result_of_the_same_job_keeps_the_first(tmp_path: Path) -> None:
    for second in (0, 0.000001, 1):
        store.save(make_result(created=moment(second)), tmp_path)
    loaded, problems = store.read_all(tmp_path)
    assert [result.created for result in loaded] == [moment(0), moment(0.000001), moment(1)] and not problems


@settings(max_examples=20)
@given(st.sets(st.floats(0, 1e8).map(lambda seconds: round(seconds, 6)), max_size=8))
def test_names_sort_by_time(tmp_path_factory: pytest.TempPathFactory, seconds: set[float]) -> None:
    folder = tmp_path_factory.mktemp("results")
    runtimes = ["torch", "openvino", "onnxruntime"]
    paths = {}
    for i, second in enumerate(sorted(seconds)):
        paths[store.save(make_result(created=moment(second), runtime=runtimes[i % 3]), folder).name] = moment(second)
    assert [paths[name] for name in sorted(paths)] == [moment(second) for second in sorted(seconds)]
    assert [result.created for result in store.read_all(folder)[0]] == [moment(second) for second in sorted(seconds)]


def test_the_present_moment_sorts_too(tmp_path: Path) -> None:
    times = [now() for _ in range(3)]
    names = [store.save(make_result(created=time), tmp_path).name for time in times]
    assert names == sorted(names)


BAD = {
    "empty": lambda text: "",
    "truncated": lambda text: text[: len(text) // 2],
    "not JSON": lambda text: "median 3 ms",
    "not text": lambda text: text[:10] + "\udcff" + text[10:],
    "a list": lambda text: f"[{text}]",
    "null": lambda text: "null",
    "another kind of JSON": lambda text: json.dumps({"model": "resnet50", "fps": 0.0}),
    "newer": lambda text: json.dumps(json.loads(text) | {"schema": SCHEMA + 1}),
    "newer, with a key of the future": lambda text: json.dumps(json.loads(text) | {"schema": SCHEMA + 1, "watts": 3.5}),
    "a status of the future": lambda text: json.dumps(json.loads(text) | {"status": "melted"}),
    "a key missing": lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "job"}),
}


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_file_is_reported_and_hides_no_good_one(bad: str, tmp_path: Path) -> None:
    for second in (0, 1, 2):
        path = store.save(make_result(created=moment(second)), tmp_path)
        if second == 1:
            path.write_text(BAD[bad](path.read_text()), errors="surrogateescape")
            spoilt = path
    loaded, problems = store.read_all(tmp_path)
    assert [result.created for result in loaded] == [moment(0), moment(2)]
    (problem,) = problems
    assert str(spoilt) in problem.message
    if "newer" in bad:
        assert "upgrade" in problem.fix


def test_folders_links_and_half_written_files_hide_no_good_one(tmp_path: Path) -> None:
    good = make_result()
    store.save(good, tmp_path)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".20260101-x.json.abc.partial").write_text("{")
    (tmp_path / "notes.txt").write_text("mine")
    loaded, problems = store.read_all(tmp_path)
    assert loaded == [good]
    assert sorted(Path(problem.message.split()[0]).name for problem in problems) == ["folder.json", "link.json"]


def test_a_thousand_results_load(tmp_path: Path) -> None:
    text = store.save(make_result(samples=make_samples(tuple(range(1000, 1050)))), tmp_path).read_text()
    for second in range(1, 1000):
        (tmp_path / f"{second:04}.json").write_text(text.replace(CREATED, moment(second)))
    loaded, problems = store.read_all(tmp_path)
    assert [result.created for result in loaded] == [moment(second) for second in range(1000)]
    assert not problems
