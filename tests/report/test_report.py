"""Tables: what is in a row, what was not measured, and names from outside that break no table and run no code."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from factories import make_adopted, make_artifact, make_result, make_samples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from edgebench.records.notices import Notice
from edgebench.records.result import Camera, MemoryPeaks, Result, SearchPoint, Sustained
from edgebench.records.terminal import printable
from edgebench.report import formats, written
from edgebench.report.headline import headline
from edgebench.results.figures import COLUMNS, Row
from edgebench.results.rows import rows
from edgebench.specs import Effective, ModelInfo

EARLY, LATE = "2026-01-01T00:00:00.000000+00:00", "2026-01-02T00:00:00.000000+00:00"
FAST, SLOW = make_samples((1_000_000,) * 40), make_samples((2_000_000,) * 40)
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "a|b",
    "a\\|b",
    "a\\",
    "`code`",
    "**bold** _it_",
    "[click](https://example.org)",
    "![x](https://example.org/x.png)",
    "<https://example.org>",
    "line\nbreak\r\n| new | row |",
    "&lt;b&gt; &amp;",
    "# heading",
    "- item",
    "[red]rich[/red]",
    "[/]",
    "=1+1",
]


def named(name: str, **changes: Any) -> Result:
    return make_result(make_artifact(model=name), **changes)


def parsed(markdown: str) -> tuple[list[list[str]], list[Any]]:
    """The cells of the table as a Markdown reader sees them, and everything that is not plain text."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    table: list[list[str]] = []
    other = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "tr_open":
            table.append([])
        if token.type == "inline":
            other += [child for child in token.children if child.type not in ("text", "text_special", "softbreak")]
            if before.type in ("td_open", "th_open"):
                table[-1].append("".join(child.content for child in token.children))
        elif token.type.startswith(("html", "code", "fence", "heading", "blockquote")):
            other.append(token)
    return table, other


def shown(made: list[Row]) -> dict[str, str]:
    """Heading → cell of the first row of the Markdown table."""
    (headings, cells, *_), _ = parsed(formats.markdown(made))
    return dict(zip(headings, cells, strict=True))


def printed(results: list[Result], width: int = 300) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(formats.terminal(rows(results), width))
    return console.file.getvalue()


# rows


def test_the_newest_result_of_a_cell_stands_for_it() -> None:
    old, new = make_result(samples=SLOW, created=EARLY), make_result(samples=FAST, created=LATE)
    for order in ([old, new], [new, old]):
        (row,) = rows(order)
        assert (row.median_ms, row.created) == (1.0, LATE)


def test_what_was_cut_short_stands_only_where_there_is_nothing_whole() -> None:
    cut = make_result(created="2026-02-01", stop="interrupted")
    whole = make_result(created="2026-01-01", stop="precision")
    assert [row.stop for row in rows([cut])] == ["interrupted"]
    assert [row.stop for row in rows([whole, cut])] == ["precision"]


def test_a_later_failure_hides_no_figure_and_is_told_too() -> None:
    results = [make_result(created=EARLY), make_result(created=LATE, status="timeout", message="too slow")]
    for order in (results, results[::-1]):
        good, bad = rows(order)
        assert (good.status, good.median_ms) == ("ok", 1.049)
        assert (bad.status, bad.message, bad.median_ms) == ("timeout", "too slow", None)


def test_a_failure_that_was_mended_is_forgotten() -> None:
    (row,) = rows([make_result(created=EARLY, status="crashed"), make_result(created=LATE)])
    assert (row.status, row.created) == ("ok", LATE)


def test_of_failures_of_one_cell_the_newest_stands() -> None:
    (row,) = rows([make_result(created=EARLY, status="crashed"), make_result(created=LATE, status="timeout")])
    assert row.status == "timeout"


def test_what_failed_has_no_evidence() -> None:
    assert rows([make_result(status="crashed")])[0].evidence == ""


@pytest.mark.parametrize(
    "change",
    [
        {"runtime": "openvino"}, {"device": "jetson_orin"}, {"compute": "cuda"}, {"batch": 2}, {"precision": "fp16"},
        {"threads": 2}, {"evidence": "emulated"}, {"options": {"key": "value"}},
    ],
)  # fmt: skip
def test_what_is_another_measurement_has_a_row_of_its_own(change: dict[str, Any]) -> None:
    assert len(rows([make_result(created=EARLY), make_result(created=LATE, **change)])) == 2


def searched(batches: tuple[int, ...], flights: tuple[int, ...], **changes: Any) -> Result:
    points = tuple(SearchPoint(b, s, 100.0) for b in batches for s in flights)
    return make_result(scenario="throughput", search=points, **changes)


def test_a_search_is_one_measurement_wherever_it_ends() -> None:
    free = [searched((1, 2), (1, 2), batch=b, streams=s, created=c) for b, s, c in ((1, 2, EARLY), (2, 1, LATE))]
    (row,) = rows(free)
    assert (row.batch, row.streams) == (2, 1)


def test_a_search_that_was_not_free_is_another_measurement() -> None:
    results = [
        searched((1, 2), (1, 2), batch=2, streams=2),
        searched((1,), (1, 2), batch=1, streams=2),
        searched((2,), (1, 2), batch=2, streams=2),
        searched((1, 2), (1,), batch=2, streams=1),
    ]
    assert len(rows(results)) == 4
    assert len(rows([*results, searched((1,), (1, 2), batch=1, streams=1, created=LATE)])) == 4


@pytest.mark.parametrize(
    "change",
    [{"scenario": "camera"}, {"streams": 2}, {"scenario": "camera", "rate_hz": 30.0, "deadline_ms": 20.0}],
)
def test_another_question_has_a_row_of_its_own(change: dict[str, Any]) -> None:
    assert len(rows([make_result(created=EARLY), make_result(created=LATE, **change)])) == 2


def test_launches_and_how_well_the_median_is_known() -> None:
    launches = [make_samples((ns,) * 20) for ns in (1_000_000, 1_000_000, 1_000_000, 1_100_000, 1_100_000)]
    (row,) = rows([make_result(samples=launches, stop="max_seconds")])
    assert (row.launches, row.requests, row.median_ms, row.stop) == (5, 100, 1.0, "max_seconds")
    assert 0.05 < row.half_width < 0.1, "half of 1.0 to 1.1 ms, and wider since there are five"
    assert f"{row.half_width:.1%}" in formats.markdown([row])
    (row,) = rows([make_result(samples=launches[:4])])
    assert row.half_width is None and "±" not in shown([row])


def test_the_notices_of_a_result_are_its_warnings() -> None:
    notices = (Notice("steal_time", "3 %", "move"), Notice("foreign_load", "30 %", "stop them"))
    (row,) = rows([make_result(notices=notices)])
    assert row.warnings == ("steal_time", "foreign_load") and shown([row])["warnings"] == "steal_time, foreign_load"
    (read,) = json.loads(formats.as_json([row]))
    assert read["warnings"] == "steal_time, foreign_load"


def test_camera_and_sustained_figures() -> None:
    summary = make_result().summary
    seen = replace(
        summary, camera=Camera(rate_hz=30, deadline_ms=33.3, frames=200, missed=3, miss_rate=0.015, jitter_ns=250_000.0)
    )
    (row,) = rows([make_result(summary=seen)])
    assert (row.miss_rate, row.jitter_ms) == (0.015, 0.25) and shown([row])["missed"] == "1.50%"
    slowed = replace(
        summary,
        sustained=Sustained(
            first_median_ns=10, last_median_ns=12, slowdown=1.2, slowdown_ci95=(1.1, 1.3), verdict="slowed"
        ),
    )
    (row,) = rows([make_result(scenario="sustained", summary=slowed)])
    assert shown([row])["verdict"] == "slowed"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"samples": [make_samples((1_000_000,) * 20)] * 5}, "median 1.000 ms ± 0.0% (5 launches, 100 requests)"),
        ({"samples": FAST}, "median 1.000 ms (1 launch, 40 requests)"),
        ({"samples": make_samples((7,) * 5)}, "median – (1 launch, 5 requests)"),
        ({"samples": FAST, "stop": "max_seconds"}, "; the time was up first)"),
        ({"samples": FAST, "stop": "interrupted"}, "; INTERRUPTED)"),
        ({"samples": FAST, "scenario": "throughput", "streams": 4}, "1,000.0 images/s at batch 1 with 4 in flight; "),
        ({"status": "crashed"}, "nothing was measured"),
    ],
)
def test_a_result_in_one_sentence(changes: dict[str, Any], text: str) -> None:
    assert text in headline(make_result(**changes))


def test_another_artifact_has_a_row_of_its_own() -> None:
    assert len(rows([make_result(), make_result(make_artifact(files={"model.onnx": "9" * 64}))])) == 2


def test_emulated_and_scripted_come_after_measured() -> None:
    made = rows(
        [
            make_result(evidence="emulated", samples=FAST),
            make_result(evidence="scripted", samples=FAST, runtime="fake"),
            make_result(evidence="measured", samples=SLOW),
            named("zzz", evidence="measured", samples=SLOW),
        ]
    )
    assert [row.evidence for row in made] == ["measured", "measured", "emulated", "scripted"]


def test_the_fastest_of_a_model_comes_first_and_what_failed_last() -> None:
    made = rows(
        [
            make_result(runtime="torch", status="crashed"),
            make_result(runtime="openvino", samples=SLOW),
            make_result(runtime="onnxruntime", samples=FAST),
        ]
    )
    assert [row.runtime for row in made] == ["onnxruntime", "openvino", "torch"]


def test_the_figures_of_a_row() -> None:
    artifact = make_artifact(
        model=ModelInfo(name="resnet50", timm_name="resnet50", arguments={}, parameters=25_557_032, macs=4_089_184_256)
    )
    result = make_result(artifact, batch=4, threads=2, samples=make_samples((4_000_000,) * 400))
    (row,) = rows([result])
    assert row.parameters_m == pytest.approx(25.557032)
    assert row.gmacs == pytest.approx(4.089184256)
    assert row.gflops == 2 * row.gmacs
    assert (row.median_ms, row.p90_ms, row.p99_ms) == (4.0, 4.0, 4.0)
    assert row.throughput_per_s == pytest.approx(1000)
    assert row.peak_memory_mib == 100.0
    assert (row.model, row.batch, row.threads, row.format) == ("resnet50", 4, 2, "onnx")
    assert (row.test_accuracy, row.relative_error) == (0.94, 1e-6)


def test_the_precision_is_the_effective_one_or_doubted() -> None:
    ran = Effective(provider="GPU", precision="fp16", threads=1, version="1")
    assert rows([make_result(effective=ran)])[0].precision == "fp16"
    for unknown in (make_result(effective=replace(ran, precision=None)), make_result(status="crashed")):
        (row,) = rows([unknown])
        assert (row.precision, row.precision_reported, row.precision_told) == ("fp32", False, "fp32?")


def test_no_results_make_an_empty_table() -> None:
    assert rows([]) == []
    assert formats.as_json([]) == "[]\n"
    assert len(formats.as_csv([]).splitlines()) == 1
    assert "| model |" in formats.markdown([])
    assert "model" in printed([])


# what was not measured

UNMEASURED = ("median_ms", "p90_ms", "p99_ms", "throughput_per_s", "peak_memory_mib", "threads", "relative_error")


def test_what_was_not_measured_is_a_dash_and_never_zero() -> None:
    made = rows([make_result(status="timeout", message="stopped")])
    for name in UNMEASURED:
        assert getattr(made[0], name) is None
    cells = shown(made)
    for heading in ("median ms", "p90 ms", "p99 ms", "images/s", "peak MiB", "thr."):
        assert cells[heading] == "–"
    assert not {"0", "0.00", "0.0%"} & set(cells.values())
    (read,) = csv.DictReader(io.StringIO(formats.as_csv(made)))
    assert all(read[name] == "" for name in UNMEASURED)
    (read,) = json.loads(formats.as_json(made))
    assert all(read[name] is None for name in UNMEASURED)
    assert " 0 " not in printed([make_result(status="timeout")])


def test_a_percentile_without_samples_enough_is_a_dash() -> None:
    (row,) = rows([make_result(samples=make_samples((1_000_000,) * 28))])
    assert (row.median_ms, row.p90_ms, row.p99_ms) == (1.0, None, None)


def test_memory_that_could_not_be_read_is_a_dash() -> None:
    (row,) = rows(
        [
            make_result(
                memory=MemoryPeaks(
                    load_bytes=None, first_inference_bytes=None, steady_bytes=None, source="VmHWM", reason="no /proc"
                )
            )
        ]
    )
    assert row.peak_memory_mib is None
    (row,) = rows(
        [
            make_result(
                memory=MemoryPeaks(
                    load_bytes=None,
                    first_inference_bytes=2**20,
                    steady_bytes=None,
                    source="VmHWM",
                    reason="reset forbidden",
                )
            )
        ]
    )
    assert row.peak_memory_mib == 1.0


def test_a_failure_says_what_and_why_in_each_table_for_people() -> None:
    failed = make_result(status="out_of_memory", message="stopped at 512 MB", runtime="torch")
    for text in (formats.markdown(rows([failed])), printed([failed])):
        flat = " ".join(text.replace("\\", "").split())
        assert "out_of_memory: mobilenetv3 (onnx) on torch: stopped at 512 MB" in flat


# figures as text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(1_234_567, "1.23"), (12_345_678, "12.3"), (123_456_789, "123"), (1_234_567_890, "1,235"), (1_234, "0.00123")],
)
def test_three_digits_count(nanoseconds: int, text: str) -> None:
    made = rows([make_result(samples=make_samples((nanoseconds,) * 6))])
    assert shown(made)["median ms"] == text


@given(st.floats(1e-5, 1e9))
def test_a_shown_figure_is_the_figure_to_three_digits(value: float) -> None:
    told = written.text(COLUMNS["median_ms"], value)
    assert float(told.replace(",", "")) == pytest.approx(value, rel=0.006, abs=6e-7)


def test_the_tables_say_what_a_flop_is() -> None:
    made = rows([make_result()])
    assert made[0].gflops == 2 * made[0].gmacs
    assert (shown(made)["GMACs"], shown(made)["GFLOPs"]) == ("0.217", "0.433")
    assert "GFLOPs = 2 × GMACs" in formats.markdown(made)


# Markdown


@settings(max_examples=100)
@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30))
@example("")
def test_any_name_is_one_cell_of_plain_text(name: str) -> None:
    check_markdown(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_one_cell_of_plain_text(name: str) -> None:
    check_markdown(name)


def check_markdown(name: str) -> None:
    table, other = parsed(formats.markdown(rows([named(name), named(name, status="failed", message=name, batch=2)])))
    assert len(table) == 3 and len({len(line) for line in table}) == 1
    for line in table[1:]:
        assert line[0] == (printable(" ".join(name.split())) if name else "–")
    assert other == [], "a name became something else than text"


def test_html_in_a_name_stays_text_for_a_browser() -> None:
    text = formats.markdown(rows([named("<img src=x onerror=alert(1)>", status="failed", message="<b onclick=x>")]))
    assert "<" not in text and "&lt;img" in text
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<img" not in html and "<b " not in html and "<img src=x onerror=alert(1)>" in unescape(html)


# CSV


@pytest.mark.parametrize("first", list("=+-@\t\r\n"))
def test_a_spreadsheet_takes_no_name_for_a_formula(first: str) -> None:
    name = f"{first}cmd|'/c calc'!A1"
    made = rows([named(name, status="failed", message=f"{first}HYPERLINK(1)", device=name, runtime=name)])
    (read,) = csv.DictReader(io.StringIO(formats.as_csv(made), newline=""))
    for field in ("model", "message", "device", "runtime"):
        assert read[field].startswith("'" + first.replace("\r", "\n"))


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_no_name_begins_a_new_line_of_csv(end: str) -> None:
    text = formats.as_csv(rows([named(f"a{end}=1+1")]))
    (read,) = csv.DictReader(io.StringIO(text, newline=""))
    assert read["model"] == "a\n=1+1"
    assert "\r" not in text


@settings(max_examples=100)
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), max_size=20))
def test_any_name_reads_back_from_csv(name: str) -> None:
    (read,) = csv.DictReader(io.StringIO(formats.as_csv(rows([named(name)])), newline=""))
    assert read["model"].removeprefix("'") == name.removeprefix("'")
    assert list(read) == [column.name for column in written.WRITTEN] and None not in read


def test_numbers_in_csv_are_whole_and_unrounded() -> None:
    made = rows([make_result(samples=make_samples((1_234_567,) * 29))])
    (read,) = csv.DictReader(io.StringIO(formats.as_csv(made)))
    assert float(read["median_ms"]) == 1.234567
    assert float(read["gmacs"]) == made[0].gmacs and read["batch"] == "1"


# JSON


@settings(max_examples=50)
@given(st.text(max_size=20))
def test_json_reads_back_as_the_rows(name: str) -> None:
    made = rows([named(name), named(name, status="failed", message=name, batch=2)])
    assert json.loads(formats.as_json(made)) == [written.record(row) for row in made]


# terminal


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\n" not in name])
def test_a_terminal_shows_a_name_as_it_is(name: str) -> None:
    assert name in printed([named(name), named("other")])


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "[link=https://example.org]x[/link]", "[bold"])
def test_rich_markup_is_shown_and_not_obeyed(text: str) -> None:
    # Different devices have a column; the same device in each row goes into the caption.
    for devices in ((text, "cpu"), (text, text)):
        results = [make_result(device=device, batch=n, created=EARLY) for n, device in enumerate(devices, 1)]
        assert text in printed(results)
    assert text in printed([make_result(status="failed", message=text)])


@pytest.mark.parametrize("control", ["\x1b[31m", "\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "\r", "\b\b\b", "\x00"])
def test_a_name_sends_no_control_characters_to_the_terminal(control: str) -> None:
    text = f"a{control}b"
    for results in ([named(text), named("other")], [named("x", status="failed", message=text, device=text)]):
        text = printed(results)
        assert not {character for character in text if not (character.isprintable() or character == "\n")}


def test_what_is_the_same_in_every_row_is_told_once() -> None:
    text = printed([make_result(device="jetson_orin", batch=n) for n in (1, 2, 3)])
    assert text.count("jetson_orin") == 1
    text = printed([make_result(device=device) for device in ("jetson_orin", "cpu")])
    assert "device" in text and text.count("jetson_orin") == 1


def test_eighty_columns_are_enough_for_what_differs_between_models() -> None:
    text = printed([named(f"m{n}") for n in range(5)], width=80)
    assert all(f"m{n}" in text for n in range(5))
    assert text.count(" 1.05 ") == text.count(" 1.09 ") == 5


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_cuts_nothing_off(width: int) -> None:
    """A figure that is cut from 953 to 9… would be read as another one."""
    results = [
        make_result(make_artifact(model="convnext_v2_tiny"), device="jetson_orin_nano", evidence="emulated"),
        named("mobilenetv3", runtime="tensorrt", status="timeout", message="too slow"),
    ]
    text = printed(results, width)
    assert "…" not in text
    columns = zip(*(line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")), strict=True)
    texts = ["".join("".join(parts).split()) for parts in columns]
    assert any("convnext_v2_tiny" in text and "mobilenetv3" in text for text in texts)
    for whole in ("1.05", "onnxruntime", "tensorrt", "emulated"):
        assert any(whole in text for text in texts), whole
    assert "timeout: mobilenetv3" in text
    (left_out,) = re.findall(r"too narrow for: (.*);", " ".join(text.split()))
    for heading, whole in {"p90 ms": "1.09", "images/s": "953", "device": "jetson_orin_nano"}.items():
        assert (heading in left_out) != any(whole in text for text in texts), whole
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 300])
def test_whose_answers_count_for_an_adopted_model_is_told_at_any_width(width: int) -> None:
    made = [make_result(make_adopted(name)) for name in ("320n", "magika")]
    assert " ".join(printed(made, width).split()).count("synthetic inputs, reference: onnxruntime 1.32.0") == 1
    text = " ".join(printed([*made, make_result()], width).split())  # one of our own differs
    assert "synthetic inputs, reference: onnxruntime 1.32.0: 320n, magika" in text or width == 300
