"""The page as HTML: no name becomes markup, every command can be pasted, nothing is lost or counted twice."""

from __future__ import annotations

import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from factories import make_adopted, make_artifact, make_result, make_samples
from furnished import BREAKOUT, measurements
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.choosing.decision import Decision
from edgebench.choosing.selecting import select
from edgebench.cli import cli
from edgebench.records.result import Result
from edgebench.records.terminal import printable
from edgebench.report import page as pages
from edgebench.report.page import chart, latency, pareto, reproduce
from edgebench.report.page.markup import VOID, Html, el
from edgebench.results import store
from edgebench.results.rows import entry, merged


class Read(HTMLParser):
    """All elements with their attributes, the text of each kind of element, and whether all were closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), f"an attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def rendered(found: list[Result], folder: Path, decisions: tuple[Decision, ...] = ()) -> str:
    for result in found:
        store.save(result, folder)
    return pages.render(
        pages.Content(folder=folder, rows=merged([entry(result) for result in found]), decisions=decisions)
    )


def at(second: int) -> str:
    return f"2026-01-01T00:{second // 60:02}:{second % 60:02}.000000+00:00"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Result]]:
    found = [replace(result, created=at(n)) for n, result in enumerate(measurements())]
    rows = merged([entry(result) for result in found])
    decisions = tuple(select(rows, device=device) for device in ("cpu", BREAKOUT))
    return rendered(found, tmp_path_factory.mktemp("results"), decisions), found


def test_no_name_becomes_markup(furnished: tuple[str, list[Result]]) -> None:
    read = Read(furnished[0])
    assert not read.tags() & {"img", "iframe", "object", "embed", "base", "foreignobject", "image", "use"}
    assert [tag for tag, _ in read.elements].count("script") == 1 and [t for t, _ in read.elements].count("style") == 1
    for tag, attributes in read.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")], tag
        assert attributes.get("href", "#").startswith(("#", "data:,")), tag
    assert BREAKOUT in read.texts and any(f"killed at 512 MiB: {BREAKOUT}" in text for text in read.texts)


def test_the_policy_names_the_style_and_the_script_and_nothing_else(furnished: tuple[str, list[Result]]) -> None:
    metas = [attributes for tag, attributes in Read(furnished[0]).elements if tag == "meta"]
    (policy,) = [meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"].startswith("'sha256-") and rules["style-src"].startswith("'sha256-")
    assert "unsafe" not in policy and "http" not in policy


@settings(max_examples=60)
@given(st.text(max_size=30), st.text(max_size=30))
def test_text_and_attributes_come_back_as_they_were(text: str, attribute: str) -> None:
    read = Read(el("p", text, title=attribute, data_x=True, class_=None))
    assert read.elements == [("p", {"title": printable(attribute), "data-x": None})]
    assert "".join(read.texts) == printable(text)
    assert el("p", Html("<b>1</b>")) == "<p><b>1</b></p>"


def test_every_measurement_is_there_once_and_leads_to_its_entry(furnished: tuple[str, list[Result]]) -> None:
    text, found = furnished
    read, rows = Read(text), merged([entry(result) for result in found])
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) and sum(name.startswith("row-") for name in ids) == len(rows)
    targets = {a["href"][1:] for t, a in read.elements if t == "a" and len(a["href"]) > 1}
    assert targets <= set(ids), "no link leads nowhere"
    assert f"{len(rows)} measurements" in text


def test_more_than_a_page_holds_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ROWS", 3)
    found = [make_result(batch=n + 1, created=at(n), samples=make_samples(((9 - n) * 10**6,) * 40)) for n in range(6)]
    rows = merged([entry(result) for result in found])
    decision = select(rows, batch=1)  # the slowest, which comes last
    text = rendered(found, tmp_path, (decision,))
    assert "3 of 6 measurements" in text and text.count('class="entry"') == 3
    assert f'id="row-{rows.index(decision.chosen.row) + 1}"' in text, "what was chosen is shown in any case"


def test_a_result_that_is_gone_leaves_its_row(tmp_path: Path) -> None:
    (path,) = [store.save(make_result(), tmp_path)]
    rows = merged([entry(store.read(path))])
    path.unlink()
    text = pages.render(pages.Content(folder=tmp_path, rows=rows))
    assert "1 file could not be read" in text and "mobilenetv3" in text


def test_what_was_not_measured_is_no_number(tmp_path: Path) -> None:
    text = rendered([make_result(status="crashed", message="signal 11")], tmp_path)
    texts = {part.strip().lower() for part in Read(text).texts}
    assert "signal 11" in texts and not texts & {"0.00", "0.000", "nan", "none"}
    assert "What accuracy costs" not in text, "nothing was timed"


ARGUMENTS = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)


@settings(max_examples=60)
@given(ARGUMENTS, st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), ARGUMENTS, max_size=2))
def test_a_command_is_split_by_a_shell_as_it_was_meant(model: str, options: dict[str, str]) -> None:
    lines = reproduce.commands(make_result(make_artifact(model=model), options=options)).splitlines()
    if not (model + "".join(options.values())).isprintable():
        return  # in Bash's own quotes: test_quotes_of_what_cannot_be_printed
    words = [shlex.split(line) for line in lines]
    assert [line[:2] for line in words] == [["edgebench", "train"], ["edgebench", "export"], ["edgebench", "run"]]
    assert f"--model={model}" in words[0]
    for name, value in options.items():
        assert f"{name}={value}" in words[2]


def test_quotes_of_what_cannot_be_printed() -> None:
    assert reproduce.quote("a\nb\u202e'\\") == r"$'a\U0000000ab\U0000202e\U00000027\U0000005c'"
    assert reproduce.quote("plain") == "plain" and reproduce.quote("$(rm)") == "'$(rm)'"


def test_the_commands_are_those_of_the_command_line() -> None:
    """Every option of theirs exists."""
    import click

    result = make_result(scenario="camera", rate_hz=30.0, deadline_ms=33.3, options={"a": "b"}, strict=True)
    for line in reproduce.commands(result).splitlines():
        _, name, *words = shlex.split(line)
        parameters = cli.get_command(click.Context(cli), name).params
        known = {option for p in parameters for option in (*p.opts, *p.secondary_opts)}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


@settings(max_examples=60)
@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=8), st.sampled_from([True, False, None]))
def test_a_scale_holds_its_values_and_has_ticks(values: list[float], log: bool | None) -> None:
    scale = chart.spanning(values, 10, 400, log=log)
    assert all(10 <= scale(value) <= 400 for value in values)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 9 and ticks == sorted(ticks)
    assert all(9.9 <= scale(tick) <= 400.1 for tick in ticks)


def test_twice_as_many_models_as_colours_all_look_different() -> None:
    assert len({chart.colour(i) for i in range(2 * chart.COLOURS)}) == 2 * chart.COLOURS


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12))
def test_the_front_goes_through_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    """In pixels: left is faster, and up, which is less, more accurate."""
    best = {p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}
    path = pareto.front(
        points, chart.Scale(low=0, high=1, start=0, end=20), chart.Scale(low=0, high=1, start=20, end=0)
    )
    corners, x = set(), None
    for step in path.replace("H", " H").replace("V", " V").split():
        if step.startswith(("H", "M")):
            x = float(step[1:])
        elif step.startswith("V"):
            corners.add((x, float(step[1:])))
    assert corners == {(float(a), float(b)) for a, b in best}


def test_a_distribution_weighs_each_launch_the_same() -> None:
    few, many = make_samples((1_000_000,) * 10), make_samples((4_000_000,) * 990)
    found = latency.distribution(make_result(samples=[few, many]))
    assert found.n == 1000 and sum(found.shares) == pytest.approx(1.0)
    assert found.shares[0] == found.shares[-1] == pytest.approx(0.5)
    assert latency.distribution(make_result(status="crashed")) is None


def test_models_that_do_another_task_are_not_set_against_each_other(tmp_path: Path) -> None:
    slow, fast = make_samples((9_000_000,) * 40), make_samples((1_000_000,) * 40)
    found = [make_result(make_adopted("detector"), samples=slow, runtime=name) for name in ("onnxruntime", "openvino")]
    found.append(make_result(make_adopted("voice"), samples=fast))
    rows = merged([entry(result) for result in found])
    chosen = tuple(select([row for row in rows if row.model == name]) for name in ("detector", "voice"))
    text = rendered(found, tmp_path, chosen)
    for name in ("detector", "voice"):
        assert f"What to deploy on cpu: adopted:{name}, whose accuracy is unknown" in text
    spread = text[text.index('id="latency"') : text.index('id="measurements"')]
    assert spread.index(">detector<") < spread.index(">voice<"), "not the fastest of all first"


def report(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["report", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_command(tmp_path: Path) -> None:
    code, said = report("--html", "--workspace", tmp_path)
    assert code == 1 and "edgebench run" in said
    store.save(make_result(), tmp_path / "results")
    assert report("--html", "--workspace", tmp_path) == (0, f"report: {tmp_path / 'report.html'}\n")
    asked = ("--out", tmp_path / "own.html", "--max-p99-ms", "20", "--prefer", "latency")
    code, said = report(*asked, "--workspace", tmp_path)
    assert code == 0 and "--max-p99-ms 20" in (tmp_path / "own.html").read_text()
    for bad, says in (
        (("--html", "--max-p99-ms", "20ms"), "without the unit"), (("--max-p99-ms", "20"), "--html"),
        (("--html", "--trainings"), "--trainings"), (("--html", "--min-accuracy", "90"), "share"),
    ):  # fmt: skip
        code, said = report(*bad, "--workspace", tmp_path)
        assert code == 2 and says in said, said
