"""What a person and `select` see of a race."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_artifact, make_job, make_result

from edgebench.choosing.selecting import select
from edgebench.records.race import Lag, Raced
from edgebench.records.result import Result
from edgebench.report import formats, ranking
from edgebench.report.page import latency, pareto
from edgebench.results.rows import rows

ARTIFACT = make_artifact()


def raced(threads: int, effects: tuple[float, ...], lag: Lag | None, race: str = "one", **changes) -> Result:
    result = make_result(job=make_job(ARTIFACT, threads=threads), artifact=ARTIFACT)
    launches = tuple(
        replace(one, effective=replace(one.effective, threads=threads)) for one in result.launches
    )  # fmt: skip
    known = Raced(
        race=race, effects=effects, settings=2, scatter=1e-5, fastest=lag, next=lag, rounds=100, disturbed=3,
        median_ns=round(1e6 * (lag.ratio if lag else 1)),
    )  # fmt: skip
    return replace(result, launches=launches, race=replace(known, **changes))


def pair(other: tuple[float, ...], standing: str, race: str = "one") -> list[Result]:
    first = raced(1, (0.0, 0.001, 0.0, -0.001, 0.0), None)
    lag = Lag(job=first.job.identity, ratio=1.12, low=1.10, high=1.14, standing=standing)
    return [raced(2, other, lag, race), first]


SLOWER = (0.113, 0.114, 0.112, 0.113, 0.114)


@pytest.mark.parametrize(
    ("standing", "cell", "line"),
    [
        ("slower", "1.12 (1.10–1.14)", "1.12 × (1.10 to 1.14) as slow as"),
        ("tie", "1.12 (1.10–1.14) tie", "a tie with"),
        ("undecided", "1.12 (1.10–1.14) ?", "not told apart from"),
    ],
)
def test_the_table_and_the_lines_say_what_is_certain(standing: str, cell: str, line: str) -> None:
    found = pair(SLOWER, standing)
    table = formats.markdown(rows(found))
    assert f"| {cell} |" in table and "| fastest |" in table
    head, second = ranking.lines(found)
    assert head.startswith("race of 2 settings; the fastest is") and "1 thr." in head
    assert line in second and "2 thr." in second.partition(":")[0]
    assert ranking.lines([replace(one, race=None) for one in found]) == []


def test_the_plots_of_the_page_order_by_the_race_and_tell_the_ratio() -> None:
    slower, first = rows(pair(SLOWER, "slower"))[::-1]
    assert "1.12 (1.10–1.14) × the fastest of its race" in pareto.tip(slower) and "fastest" not in pareto.tip(first)
    spread = latency.Distribution(1.0, 2.0, (1.0,), 10)
    told = str(latency.distributions([(0, slower, spread), (1, replace(first, median_ms=99.0), spread)]))
    assert told.index("#row-1") < told.index("#row-0"), "its own median does not count"


def test_a_race_that_ended_before_anything_could_be_certain_says_what_it_takes() -> None:
    _, second = ranking.lines(pair(SLOWER[:4], "undecided"))
    assert "1.12 × (1.10 to 1.14) as slow as" in second and "4 of the 5 launches" in second
    assert "raise --max-seconds" in second and "not told apart" not in second


def test_rows_stand_in_the_order_of_the_race_and_carry_its_identity() -> None:
    first, second = rows(pair(SLOWER, "slower"))
    assert (first.standing, second.standing) == ("fastest", "slower") and first.race == second.race == "one"
    assert first.median_ms == second.median_ms and second.race_median_ms == pytest.approx(1.12)
    assert second.to_fastest == 1.12 and first.to_fastest == 1.0


def test_select_tells_rows_of_one_race_apart_by_their_ratio() -> None:
    """Their medians and intervals are the same: alone, or in two races, nothing would distinguish them."""
    outcomes = {
        name: [candidate.outcome for candidate in select(rows(found), prefer="latency").candidates]
        for name, found in {
            "one race": pair(SLOWER, "slower"), "two races": pair(SLOWER, "slower", "two"),
            "a tie": pair((0.001, 0.0, -0.001, 0.0, 0.0), "tie"),
        }.items()
    }  # fmt: skip
    assert outcomes == {
        "one race": ["chosen", "fits"], "two races": ["chosen", "tie"], "a tie": ["chosen", "tie"]
    }  # fmt: skip
    assert select(rows(pair(SLOWER, "slower")), prefer="latency").chosen.row.threads == 1
