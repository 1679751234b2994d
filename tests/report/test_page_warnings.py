"""The page shows warnings where the figures are that they concern, and of the machine what changed."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from factories import make_result

from edgebench.choosing.selecting import select
from edgebench.records.notices import notice
from edgebench.report import page as pages
from edgebench.report.page.markup import parted, table
from edgebench.report.written import MISSING
from edgebench.results import store
from edgebench.results.rows import entry, merged


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of one measurement with a warning, which is what is chosen. Its machine got other governor meanwhile."""
    folder = tmp_path_factory.mktemp("results")
    before = {"kernel": "6.1", "cpu": {"model": "Cortex", "governor": ["schedutil"]}}
    result = make_result(before=before, after=before | {"cpu": {"model": "Cortex", "governor": ["of the test"]}})
    warned = replace(result, notices=(notice("steal_time", share=0.25),))
    store.save(warned, folder)
    rows = merged([entry(warned)])
    decisions = (select(rows, prefer="latency"),)
    return pages.render(pages.Content(folder=folder, rows=rows, decisions=decisions))


def part(page: str, name: str) -> str:
    """A section of the page."""
    return page.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def test_a_warning_stands_with_the_decision_at_the_mark_and_in_the_table(page: str) -> None:
    assert "the hypervisor took 25.0% of this machine's CPU time" in html.unescape(part(page, "decision"))
    assert re.search(r'class="mark[^"]* doubtful"', part(page, "pareto"))
    table, _, below = part(page, "measurements").partition("</table>")
    assert "⚠ steal_time" in table and "steal_time" in below and "Remedy: measure on a machine" in html.unescape(below)


def test_of_the_machine_only_what_changed_is_open(page: str) -> None:
    """45 lines said "the same"."""
    machine = part(page, "details").partition("<h3>Machine</h3>")[2]
    changed, kept, folded = machine.partition("<details>")
    assert kept and changed.count("<tr>") == 2 and "of the test" in changed, "its heading and the governor"
    assert re.search(r"<summary>\d+ values that did not change</summary>", folded) and ">the same<" not in page


def test_dashes_stand_where_the_figures_of_their_column_stand() -> None:
    lines = [["x", "1.5", "word"], ["y", MISSING, MISSING]]
    cells = re.findall(r"<td[^>]*>", table("of figures", ["", "a", "b"], lines))
    assert cells[-4:] == ['<td class="n">', "<td>", '<td class="n">', "<td>"]


def test_a_long_name_goes_on_behind_a_sign() -> None:
    assert parted("net-photos_3.onnx") == "net-<wbr>photos_<wbr>3.<wbr>onnx"
