"""The one table of figures: whatever is shown, limited or documented follows from it."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re

import click
import pytest
from conftest import REPOSITORY
from factories import make_result, make_samples

import edgebench
from edgebench.choosing.limits import ORDER, Limits, highest_percentile
from edgebench.choosing.selecting import select
from edgebench.cli import cli
from edgebench.errors import UsageError
from edgebench.report import formats, written
from edgebench.report.page import latency, pareto
from edgebench.results.figures import COLUMNS, CRITERIA, LIMITS, PERCENTILES, TABLE, Row
from edgebench.results.recalls import BY_CLASS
from edgebench.results.rows import rows
from edgebench.results.stats import min_samples

GUIDE = REPOSITORY / "docs" / "guide"


def lines_of(page: str, heading: str) -> list[str]:
    """The body of the table in a page of the guide that begins with this line."""
    after = (GUIDE / page).read_text().split(f"{heading}\n", 1)[1].splitlines()[1:]
    return list(itertools.takewhile(lambda line: line.startswith("|"), after))


@pytest.mark.parametrize("command", ["select", "report", "pick"])
def test_every_limit_is_an_option_in_the_order_of_the_limits(command: str) -> None:
    options = [p for p in cli.get_command(click.Context(cli), command).params if p.name in LIMITS]
    assert [(p.name, p.help) for p in options] == [(name, c.limit.help) for name, c in LIMITS.items()]
    assert [field.name for field in dataclasses.fields(Limits)] == [*LIMITS, *BY_CLASS]


def test_every_limit_is_an_argument_of_select_and_in_its_help() -> None:
    parameters = inspect.signature(edgebench.select).parameters
    assert [name for name in parameters if name in LIMITS] == list(LIMITS)
    assert all(f"{name}: {c.limit.help}" in edgebench.select.__doc__ for name, c in LIMITS.items())
    with pytest.raises(UsageError, match="max_p9_ms") as told:
        edgebench.select([], max_p9_ms=3)
    assert "max_p99_ms" in told.value.fix


def test_the_guide_has_the_limits_of_the_table() -> None:
    expected = [
        f"| `--{name.replace('_', '-')}{' CLASS=SHARE' * (name in BY_CLASS)}` | `{name}` | {c.limit.help} | "
        f"{c.limit.unit} |"
        for name, c in (LIMITS | BY_CLASS).items()
    ]
    assert lines_of("select.md", "| option | in Python | limit | unit |") == expected


def test_the_guide_has_the_order_of_the_criteria() -> None:
    expected = [f"| `{prefer}` | {', '.join(names)} |" for prefer, names in ORDER.items()]
    assert lines_of("select.md", "| `--prefer` | criteria, in this order |") == expected


def test_the_guide_has_every_column_of_the_table() -> None:
    told: dict[str, list[str]] = {}
    for line in lines_of("report.md", "| table | CSV, JSON | unit | definition |"):
        headings, names, *rest = (part.strip() for part in line.strip("|").split(" | ", 3))
        for name in re.findall(r"`([a-z0-9_]+)`", " ".join([names, *rest])):
            told.setdefault(name, []).append(headings)
    for column in COLUMNS.values():
        assert not column.written or column.name in told, f"docs/guide/report.md: {column.name}"
        headings = ", ".join(told.get(column.name, [])).split(", ")
        assert not column.heading or column.heading in headings, f"docs/guide/report.md: {column.heading}"


def test_every_written_column_is_in_csv_and_every_heading_in_a_table() -> None:
    (row,) = rows([make_result()])
    assert list(written.record(row)) == [c.name for c in COLUMNS.values() if c.written]
    headings = formats.markdown([row]).splitlines()[0].strip("| ").split(" | ")
    assert headings == [c.heading for c in TABLE if not c.optional or getattr(row, c.name)]


def test_a_criterion_knows_its_figure_or_says_how_to_get_it() -> None:
    (failed,) = rows([make_result(status="crashed")])
    for criterion in CRITERIA.values():
        known = criterion.known(failed)
        assert known.value is None and known.reason and known.fix, criterion.name


@pytest.mark.parametrize("column", [c for c in PERCENTILES if c.criterion and c.percentile > 0.5], ids=lambda c: c.name)
def test_a_percentile_is_known_from_as_many_requests_as_it_takes(column) -> None:
    criterion, needed = CRITERIA[column.criterion.name], min_samples(column.percentile)
    below, enough = rows(
        [make_result(samples=make_samples(tuple(range(10**6, 10**6 + n))), batch=n) for n in (needed - 1, needed)]
    )
    assert getattr(below, column.name) is None and getattr(enough, column.name) is not None
    assert f"{needed:,} requests, {needed - 1:,} were made" in criterion.known(below).reason
    decision = select([below], Limits(**{criterion.limit.name: 5}), batch=below.batch)
    assert [c.outcome for c in decision.candidates] == ["unknown"]
    decision = select([enough], Limits(**{criterion.limit.name: 5}), batch=enough.batch)
    assert decision.chosen is not None and decision.chosen.checks[0].metric == criterion.name
    assert highest_percentile(decision.limits) == column.percentile
    assert f"{criterion.tip} 1" in pareto.tip(enough) and criterion.tip not in pareto.tip(below)


def test_the_page_shows_the_percentiles_of_the_table() -> None:
    result = make_result(samples=make_samples(tuple(range(10**6, 10**6 + 3000))))
    (row,) = rows([result])
    page = latency.distributions([(1, row, latency.distribution(result))])
    shown = re.findall(r'<th scope="col" class="n">([^<]+)</th>', page)
    assert shown == [*(c.heading for c in PERCENTILES), "requests"]
    assert page.count('class="quantile"') == len(PERCENTILES)


def test_a_row_carries_data() -> None:
    assert {f.name: f.type for f in dataclasses.fields(Row) if f.type.startswith("tuple")} == {
        "layers": "tuple[tuple[str, float], ...]", "warnings": "tuple[str, ...]", "machine": "tuple[str, ...]",
            "settings": "tuple[str, ...]",
        "class_counts": "tuple[tuple[str, int, int], ...]", "race_effects": "tuple[float | None, ...]",
    }  # fmt: skip


def test_p999_stands_in_tables_where_it_is_known_and_always_in_csv() -> None:
    few, many = (rows([make_result(samples=make_samples((10**6,) * n))]) for n in (2994, 2995))
    assert "p99.9 ms" not in formats.markdown(few) and "p99.9 ms" in formats.markdown(many)
    assert "p999_ms" in formats.as_csv(few) and many[0].p999_ms == 1.0
