"""Results over time: which belong together, what is told of a change, and what the commands make of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from simulated import CREATED, launch, result

import edgebench
from edgebench.cli import cli
from edgebench.comparing.history import CellHistory, history
from edgebench.comparing.judging import compare
from edgebench.errors import BadFile, UsageError
from edgebench.machine.yardstick import Yardstick
from edgebench.records.notices import Notice
from edgebench.records.race import Raced
from edgebench.records.result import Result
from edgebench.report import history as shown
from edgebench.results import store

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
HOSTILE = '<b>|`x`](http://e)\x1b[31m"'


def results(
    scales: Sequence[float], *, days: float = 1.0, stick: Sequence[float] = (), noise: float = 0.004, launches: int = 2,
    **changes,
) -> list[Result]:  # fmt: skip
    """One result every so many days, about 1 ms times its scale; `stick`: of the machine's yardstick."""
    random = np.random.default_rng(0)
    made = []
    for i, scale in enumerate(scales):
        ns = int(1e6 * scale * np.exp(random.normal(0, noise)))
        some = [launch([ns + j for j in range(20)]) for _ in range(launches)]
        if stick:
            one = Yardstick(int(2e6 * stick[i]), int(7e5 * stick[i]))
            some = [replace(each, yardsticks=(one, one)) for each in some]
        made.append(result(some, created=(START + timedelta(days=days * i)).isoformat(), **changes))
    return made


def with_machine(found: Result, **before) -> Result:
    """The same result of a machine that differs in this."""
    return replace(found, launches=tuple(replace(one, before=one.before | before) for one in found.launches))


def only(found: Sequence[Result], **options) -> CellHistory:
    (cell,) = history(found, **options).cells
    return cell


def test_a_step_is_dated_and_told_with_what_changed() -> None:
    found = results([1.0] * 12 + [1.06] * 8)
    before, after = found[:12], [with_machine(r, libraries={"onnxruntime": "1.21"}) for r in found[12:]]
    cell = only([*before, *after])
    (change,) = cell.changes
    assert (cell.outcome, change.kind, change.created) == ("slower", "step", after[0].created)
    assert change.low < 1.06 < change.high and change.differs == ("library onnxruntime 1.20 → 1.21",)
    assert cell.ratio == pytest.approx(change.ratio) and cell.lowest == before[0].created


def test_a_creep_of_a_percent_a_week_is_seen_and_no_neighbours_comparison_sees_it() -> None:
    found = results([1.01 ** (i / 7) for i in range(28)], launches=5)
    cell = only(found)
    (change,) = cell.changes
    assert (cell.outcome, change.kind) == ("slower", "creep")
    assert change.per_week == pytest.approx(0.01, abs=0.004)
    (plain,) = compare(found[:-1], found[-1:]).cells
    (gated,) = compare(found[:-1], found[-1:], with_history=True).cells
    assert plain.outcome != "slower" and gated.outcome == "slower" and "by its history" in gated.reason
    (accepted,) = compare(found[:-1], found[-1:], with_history=True, since=START + timedelta(days=20)).cells
    assert accepted.outcome != "slower" and accepted.history.outcome == "steady"


def test_a_time_that_is_none_is_a_bad_file(tmp_path: Path) -> None:
    path = store.save(result([launch([1] * 20)]), tmp_path)
    path.write_text(path.read_text().replace(CREATED, "yesterday"))
    with pytest.raises(BadFile, match='created: expected a time in UTC, found "yesterday"'):
        store.read(path)


@pytest.mark.parametrize(
    ("scales", "outcome", "changes"),
    [([1.0] * 20, "steady", 0), ([1.05] * 10 + [1.0] * 10, "steady", 1), ([1.0] * 7, "too few", 0),
     ([1.0] * 12 + [1.05] * 12 + [1.0] * 30, "steady", 2), ([1.0] * 10 + [1.012] * 10, "steady", 1)],
)  # fmt: skip
def test_what_is_not_slower_now_is_steady(scales: list[float], outcome: str, changes: int) -> None:
    cell = only(results(scales, noise=0.002))
    assert (cell.outcome, len(cell.changes)) == (outcome, changes)


def test_a_machine_that_became_slower_itself_explains_it() -> None:
    scales = [1.0] * 10 + [1.05] * 10
    explained = only(results(scales, stick=scales))
    assert explained.outcome == "inconclusive" and "the machine itself became 5" in explained.reason
    assert explained.changes[0].machine == pytest.approx(1.05, abs=0.01)
    assert only(results(scales, stick=[1.0] * 20)).outcome == "slower"


def test_what_does_not_belong_together_is_kept_apart_and_copies_count_once() -> None:
    one = results([1.0] * 10)
    other_cpu = [with_machine(r, cpu={"model": "other"}) for r in one]
    cells = history(
        [*one, *one, *other_cpu, *results([1.0] * 10, batch=4), *results([1.0], status="failed", batch=8)]
    ).cells
    assert [len(cell.points) for cell in cells] == [10, 10, 10]


def test_disturbed_launches_do_not_count() -> None:
    loaded = launch([2_000_000] * 20, "foreign_load")
    good = [replace(r, launches=(*r.launches, loaded)) for r in results([1.0] * 9)]
    lost = [replace(r, launches=(loaded,), created=f"2026-03-0{i + 1}T00:00:00+00:00") for i, r in enumerate(good[:3])]
    cell = only([*good, *lost])
    assert len(cell.points) == 9 and cell.left_out == 3 and max(p.median_ns for p in cell.points) < 1.1e6


def test_a_race_beside_other_load_does_not_count_and_nothing_left_is_told_with_the_reason(tmp_path: Path) -> None:
    found = results([1.0] * 9)
    part = Raced(
        race="r", effects=(0.0,), settings=2, scatter=0.0, fastest=None, next=None, median_ns=None, rounds=9,
        disturbed=0,
    )  # fmt: skip
    loaded = [replace(r, race=part, notices=(Notice("foreign_load", "seen", "stop it"),)) for r in found]
    assert history(loaded).cells == () and len(only([replace(r, race=part) for r in found]).points) == 9
    for one in loaded:
        store.save(one, tmp_path / "results")
    told = CliRunner().invoke(cli, ["history", str(tmp_path)])
    assert (
        told.exit_code == 1
        and "9 results, and each of their 18 launches was disturbed: foreign_load (18)" in told.output
    )


def test_a_clock_that_stood_still_does_no_harm() -> None:
    rise = results(np.linspace(1, 1.1, 12))
    zones = [START.astimezone(timezone(timedelta(hours=i))).isoformat() for i in range(12)]  # one moment
    still = [replace(r, created=at) for r, at in zip(rise, zones, strict=True)]
    (change,) = only(still).changes
    assert change.kind == "creep" and change.per_week is None and change.ratio == pytest.approx(1.1, abs=0.02)


def test_every_format_shows_hostile_names_harmlessly(tmp_path: Path) -> None:
    found = results([1.0] * 10 + [1.1] * 10)
    artifact = replace(found[0].artifact, model=replace(found[0].artifact.model, name=HOSTILE))
    made = history([replace(r, artifact=artifact) for r in found])
    for text in (shown.markdown(made), str(shown.terminal(made).caption), shown.as_json(made)):
        assert "\x1b" not in text
    assert json.loads(shown.as_json(made))["cells"][0]["outcome"] == "slower"


def test_the_commands_gate_and_say_what_is_wrong(tmp_path: Path) -> None:
    def run(*words: str):
        return CliRunner().invoke(cli, [*words])

    folder = tmp_path / "runs" / "results"
    found = results([1.0] * 10 + [1.1] * 10, launches=5)
    for one in found:
        store.save(one, folder)
    told = run("history", str(tmp_path / "runs"), "--fail-on", "slower")
    assert told.exit_code == 1 and "slower" in told.output and "a step to" in told.output
    assert run("history", str(tmp_path / "runs")).exit_code == 0
    since = run("history", str(folder), "--since", "2026-01-11", "--fail-on", "slower", "--format", "markdown")
    assert since.exit_code == 0 and "steady" in since.output
    data = json.loads(run("history", "--workspace", str(tmp_path / "runs"), "--json").stdout)
    assert data["cells"][0]["changes"][0]["kind"] == "step"
    (tmp_path / "new").mkdir()
    store.save(found[-1], tmp_path / "new")
    gate = run("compare", str(folder), str(tmp_path / "new"), "--history", "--fail-on", "slower")
    assert gate.exit_code == 1 and "by its history" in gate.output
    for words, fix in (
        (("history", str(tmp_path / "none")), "does not exist"),
        (("history", str(folder), "--model", "resnet5"), "model in the results"),
        (("history", str(folder), "--since", "2030-01-01"), "no timed result since 2030-01-01"),
        (("history", str(folder), "--band", "2"), "--band is 2"),
        (("compare", str(folder), str(tmp_path / "new"), "--since", "2026-01-01"), "add --history"),
    ):
        failed = CliRunner().invoke(cli, words)
        assert failed.exit_code in (1, 2) and fix in str(failed.exception) + failed.output, words


def test_the_function_does_what_the_command_does(tmp_path: Path) -> None:
    found = results([1.0] * 10 + [1.1] * 10)
    assert edgebench.history(found).slower and not edgebench.history(found, since=START + timedelta(days=10)).slower
    with pytest.raises(UsageError, match="band"):
        edgebench.history(found, band=-1)
