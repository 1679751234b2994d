"""The page in a real browser: nothing is fetched, nothing goes wrong, it draws, sorts, filters, and no name runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from browser import Browser, running
from click.testing import CliRunner
from conftest import eventually
from furnished import IMAGE, furnish
from PIL import Image

from edgebench.cli import cli
from edgebench.specs import Artifact

pytestmark = pytest.mark.xdist_group("page")  # one browser
SHOWN = "[...document.querySelectorAll('#table tbody tr')].filter(row => row.getClientRects().length)"
COLUMN = "[...document.querySelectorAll('#table thead th')].findIndex(th => th.textContent === 'median ms')"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, checkpoint: Artifact) -> Path:
    root = furnish(tmp_path_factory.mktemp("page") / "runs", checkpoint.path)
    asked = ["report", "--html", "--workspace", str(root), "--max-median-ms", "80", "--min-accuracy", "0.9"]
    done = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert done.exit_code == 0 and "torn.json" in done.stderr, done.output
    return root / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    return browser


@pytest.fixture(autouse=True)
def nothing_is_fetched_and_nothing_goes_wrong(browser: Browser, page: Path) -> Iterator[None]:
    yield
    assert [url for url in browser.requests if not url.startswith((page.as_uri(), "data:"))] == []
    assert browser.errors == []


def test_every_part_is_drawn(opened: Browser) -> None:
    found = opened.js("[...document.querySelectorAll('main > section[id]')].map(section => section.id)")
    assert found == ["decision", "pareto", "latency", "batch", "sustained", "learning", "measurements", "details"]
    sizes = opened.js(
        "[...document.querySelectorAll('figure svg.chart')].map(svg => { const box = svg.getBoundingClientRect();"
        "return [svg.getAttribute('aria-label'), box.width, box.height, svg.querySelectorAll('.mark, .line').length] })"
    )
    assert len(sizes) >= 8
    for name, width, height, marks in sizes:
        assert width > 300 and height > 200 and marks > 0, name
    marks = opened.js("[...document.querySelectorAll('#pareto a .mark')].map(m => m.getBoundingClientRect().width)")
    assert len(marks) > 50 and min(marks) > 4 and max(marks) > 2 * min(marks), "as large as the parameters are many"
    answer = opened.js("document.querySelector('#decision .answer').textContent")
    assert answer.startswith("efficientnetv2_s (openvino)"), "the fastest of those whose accuracies tie"
    assert opened.js("document.querySelectorAll('#pareto .ring').length") == 2


def test_a_model_named_as_an_image_does_nothing(opened: Browser) -> None:
    assert opened.js(f"[...document.querySelectorAll('#table th a')].some(a => a.firstChild.data === {IMAGE!r})")
    assert opened.js("document.images.length + document.querySelectorAll('[onerror], [onload]').length") == 0
    assert opened.js("document.scripts.length") == 1


def test_the_policy_stops_what_would_slip_through(opened: Browser) -> None:
    """As if escaping had failed: neither the handler nor the request of a planted image comes to anything."""
    opened.js(
        "window.ran = false; document.body.insertAdjacentHTML('beforeend', "
        '\'<img src="https://example.org/x" onerror="ran = true"><a onclick="ran = true" id=bad>x</a>\');'
        "document.getElementById('bad').click(); new Promise(done => setTimeout(done, 300))"
    )
    refused = "Content Security Policy"
    assert eventually(lambda: opened.js("true") and any(refused in error for error in opened.errors))
    assert opened.js("window.ran") is False
    opened.requests.clear()
    opened.errors.clear()


def test_a_click_on_a_heading_sorts(opened: Browser) -> None:
    values = f"{SHOWN}.map(row => row.cells[{COLUMN}].dataset.value)"
    for order in ("ascending", "descending"):
        opened.js(f"document.querySelectorAll('#table thead button')[{COLUMN}].click()")
        told = opened.js(values)
        known = [float(value) for value in told if value]
        assert known == sorted(known, reverse=order == "descending") and len(known) > 30
        assert told[-1] == "" and "" not in told[: len(known)], "what was not measured is last either way"
        assert opened.js("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == order


def test_the_filter_holds_in_the_table_the_plots_and_the_entries(opened: Browser) -> None:
    choose = (
        "var box = document.querySelector('select[name={}]'); box.value = '{}';"
        "box.dispatchEvent(new Event('input', {{bubbles: true}}))"
    )
    every, front = opened.js(f"{SHOWN}.length"), opened.js("document.querySelector('.front').getAttribute('d')")
    opened.js(choose.format("runtime", "openvino"))
    assert set(opened.js(f"{SHOWN}.map(row => row.dataset.runtime)")) == {"openvino"}
    count = opened.js(f"{SHOWN}.length")
    assert opened.js("document.querySelector('output').textContent") == f"{count} of {every} shown"
    seen = "[...document.querySelectorAll('{}')].filter(e => e.getClientRects().length).length"
    assert opened.js(seen.format("#pareto figure:first-of-type a")) < every
    assert opened.js(seen.format("#details > details")) == count
    opened.js(choose.format("model", "resnet50"))
    assert opened.js("document.querySelector('.front').getAttribute('d')") != front
    opened.js("document.querySelector('input[name=search]').value = 'no such thing';"
              "document.querySelector('form').dispatchEvent(new Event('input'))")  # fmt: skip
    assert opened.js(f"{SHOWN}.length") == 0 and opened.js("document.querySelector('.front').getAttribute('d')") == ""
    opened.js("document.querySelector('button[type=reset]').click()")
    assert eventually(lambda: opened.js(f"{SHOWN}.length") == every)
    assert opened.js("document.querySelector('.front').getAttribute('d')") == front, "drawn by Python and here alike"


def test_the_keyboard_reaches_a_mark_its_tip_and_its_entry(opened: Browser) -> None:
    opened.js("document.querySelector('#pareto a').focus()")
    tip = opened.js("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
    assert "median" in tip and "accuracy" in tip and "peak memory" in tip
    goes = opened.js("document.activeElement.getAttribute('href').slice(1)")
    opened.press("Escape", 27)
    assert opened.js("document.getElementById('tip').hidden")
    opened.press("Enter", 13)
    folded = f"document.getElementById('{goes}').closest('details')"
    at_it = f"{folded}.open && document.activeElement === {folded}.querySelector('summary')"
    assert eventually(lambda: opened.js(at_it)), "the entry does not open"
    assert "edgebench run repeat/" in opened.js(f"{folded}.innerText")


def test_a_screen_reader_finds_its_way(opened: Browser) -> None:
    assert opened.js("['header', 'nav', 'main', 'footer'].every(name => document.querySelector(name))")
    assert opened.js("[...document.querySelectorAll('th')].every(th => th.scope)")
    assert opened.js("[...document.querySelectorAll('table')].every(table => table.caption)")
    assert opened.js("[...document.querySelectorAll('svg.chart')].every(s => s.ariaHidden || s.ariaLabel)")
    assert opened.js("[...document.querySelectorAll('select, input')].every(field => field.labels.length)")
    levels = opened.js("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1 and all(after - before <= 2 for before, after in pairwise(levels))
    ids = opened.js("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_axe_finds_nothing(browser: Browser, page: Path) -> None:
    """axe-core where it is installed: `npm install axe-core`, or AXE_CORE names the file axe.min.js."""
    axe = Path(os.environ.get("AXE_CORE") or Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js")
    if not axe.is_file():
        pytest.skip("axe-core is not installed: npm install --no-save axe-core")
    for width in (390, 1440):
        browser.open(page, width=width)
        browser.js("document.querySelectorAll('details').forEach(each => each.open = true)")
        browser.send("Runtime.evaluate", expression=axe.read_text(encoding="utf-8"))
        rules = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
        told = "r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target + ' ' + n.failureSummary))"
        assert browser.js(f"{rules}.then(r => {told})") == []


def test_a_table_that_is_cut_says_so(browser: Browser, page: Path) -> None:
    told = "[...document.querySelectorAll('.scroll')].filter(e => e.getClientRects().length).map(e => "
    told += "[e.scrollWidth > e.clientWidth + 1, !e.previousElementSibling.hidden])"
    for width in (390, 768, 1280, 1440):
        browser.open(page, width=width)
        found = browser.js(told)
        assert found and all(cut == said for cut, said in found)
    browser.open(page, width=1280)
    assert browser.js("(e => e.scrollWidth <= e.clientWidth + 1)(document.querySelector('.contexts').parentNode)")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_screens_of_every_kind(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, height=844, dark=dark)
    assert browser.js("document.documentElement.scrollWidth") <= width, "nothing sticks out to the side"
    shot = page.with_name(f"{width}-{'dark' if dark else 'light'}.png")
    browser.screenshot(shot, whole=False)
    with Image.open(shot) as image:
        paper = image.convert("L").getpixel((2, 2))
        assert paper < 60 if dark else paper > 240
        assert len(image.convert("RGB").getcolors(2**24)) > 50, "more than paper"


def test_without_scripts_every_figure_is_there(browser: Browser, page: Path) -> None:
    browser.open(page, scripts=False)
    assert browser.js("document.getElementById('filters').getClientRects().length") == 0
    assert (
        browser.js(f"{SHOWN}.length") > 30 and browser.js("document.querySelectorAll('svg.chart a title').length") > 50
    )
    assert browser.js("document.querySelector('.front').getAttribute('d')").startswith("M")


def test_on_paper_there_is_what_can_be_read_and_nothing_to_click(opened: Browser) -> None:
    opened.send("Emulation.setEmulatedMedia", media="print")
    gone = opened.js(
        "[...document.querySelectorAll('nav, #filters, .copy')].filter(e => e.getClientRects().length).length"
    )
    assert gone == 0
    opened.js("dispatchEvent(new Event('beforeprint'))")
    assert opened.js("document.querySelectorAll('#details details:not([open])').length") == 0
    opened.js("dispatchEvent(new Event('afterprint'))")
    assert opened.js("document.querySelectorAll('#details details[open]').length") == 0
    opened.send("Emulation.setEmulatedMedia", media="")


def test_a_wide_screen_is_used_and_rows_have_their_lines(browser: Browser, page: Path) -> None:
    """A third of a wide screen was empty; and beside a column that stays, collapsed borders are not drawn."""
    browser.open(page, width=1920)
    assert browser.js("document.querySelector('main').getBoundingClientRect().width") > 0.95 * 1920
    cells = "[...document.querySelectorAll('#table tbody th, #table tbody td')].map(getComputedStyle)"
    assert browser.js(f"{cells}.every(s => s.borderCollapse === 'separate' && parseFloat(s.borderBottomWidth) >= 1)")


def test_no_name_is_broken_within_a_word(browser: Browser, page: Path) -> None:
    browser.open(page, width=390)
    lines = browser.js(
        """(() => { const found = [];
        for (const link of document.querySelectorAll('#table tbody th a')) for (const node of link.childNodes) {
          if (node.nodeType !== 3) continue;
          for (const word of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
            const range = document.createRange();
            range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
            const tops = new Set([...range.getClientRects()].filter(r => r.width > 0).map(r => Math.round(r.top)));
            if (word[0].length < 16) found.push([word[0], tops.size]);
          } }
        return found; })()"""
    )
    assert len(lines) > 50 and [word for word, count in lines if count > 1] == []


def test_a_missing_figure_stands_where_the_figures_stand(opened: Browser) -> None:
    cells = opened.js(
        "[...document.querySelectorAll('#table tbody tr')].flatMap(row => [...row.cells].slice(1).map("
        "(cell, i) => [i, cell.textContent.trim(), getComputedStyle(cell).textAlign]))"
    )
    figures = {i for i, text, _ in cells if text[:1].isdigit()}
    sides = {i: {side for column, text, side in cells if column == i and text} for i in figures}
    dashes = [i for i, text, _ in cells if text == "–" and i in figures]
    assert dashes and all(sides[i] == {"right"} for i in dashes), sides
