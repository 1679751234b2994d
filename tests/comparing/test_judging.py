"""Pairing, refusing and gating: who is compared with whom, and what each outcome does to the exit code."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from factories import make_artifact
from rich.console import Console
from simulated import ARTIFACT, launch, result

from edgebench.cli import cli
from edgebench.comparing.judging import ComparedCell, compare
from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine.yardstick import Yardstick
from edgebench.records import jsonio
from edgebench.records.energy import Energy
from edgebench.records.notices import DISTURBING_LATENCY
from edgebench.records.result import Result
from edgebench.report.comparison import markdown, terminal

HOSTILE = '<b>|`x`](http://e)\x00\x1b[31m\u202e&"]]>\ud800\n'


def launches(n: int = 6, scale: float = 1.0, *codes: str, **changes) -> list:
    """Launches of 50 requests about 1 ms, which differ by half a percent."""
    return [
        launch([int(scale * (1_000_000 + 1000 * i + 100 * j)) for j in range(50)], *codes, **changes)
        for i in (0, 3, 1, 5, 2, 4, 1, 3, 0, 2, 5, 4)[:n]
    ]


def only(base: list[Result], new: list[Result]) -> ComparedCell:
    (cell,) = compare(base, new).cells
    return cell


@pytest.mark.parametrize(("scale", "outcome"), [(1.06, "slower"), (0.94, "faster"), (1.0, "equivalent")])
def test_a_plain_verdict(scale: float, outcome: str) -> None:
    cell = only([result(launches())], [result(launches(scale=scale))])
    assert (cell.outcome, cell.reason, cell.launches) == (outcome, "", (6, 6))
    assert cell.ratio == pytest.approx(scale, rel=1e-3)


@pytest.mark.parametrize("code", sorted(DISTURBING_LATENCY))
def test_disturbed_launches_are_left_out_or_leave_nothing_to_say(code: str) -> None:
    base = [result(launches())]
    kept = only(base, [result([*launches(5, 1.06), *launches(3, 3.0, code)])])
    assert (kept.outcome, kept.launches, kept.disturbed) == ("slower", (6, 5), (0, 3))
    lost = only(base, [result([*launches(4, 1.06), *launches(3, 1.06, code)])])
    assert lost.outcome == "inconclusive" and lost.ratio == pytest.approx(1.06, rel=0.01) and lost.low is None
    assert f"{code} (3)" in lost.reason and "4 of 7 in new" in lost.reason and "edgebench ab" in lost.remedy


@pytest.mark.parametrize(
    ("copy", "loop", "outcome"), [(1.0, 1.0, "slower"), (1.2, 1.0, "inconclusive"), (1.0, 1.07, "inconclusive"),
                                  (0.8, 0.8, "slower")],
)  # fmt: skip
def test_a_machine_that_was_slower_itself_explains_a_slowdown(copy: float, loop: float, outcome: str) -> None:
    def side(scale: float, copy: float, loop: float, **changes) -> list[Result]:
        stick = Yardstick(round(2_000_000 * copy), round(700_000 * loop))
        return [result([replace(one, yardsticks=(stick, stick)) for one in launches(scale=scale)], **changes)]

    cell = only(side(1, 1, 1), side(1.06, copy, loop))
    assert cell.outcome == outcome and ("the machine itself was" in cell.reason) == (outcome == "inconclusive")
    on_card = [side(*what, compute="cuda") for what in ((1, 1, 1), (1.06, copy, loop))]
    assert only(*on_card).outcome == "slower", "what the processor takes longer for does not slow a card"


def test_few_launches_are_inconclusive() -> None:
    cell = only([result(launches(4))], [result(launches(9, 2.0))])
    assert cell.outcome == "inconclusive" and "4 launches in base" in cell.reason and "--launches" in cell.remedy


def test_many_cells_ask_for_more_launches() -> None:
    sides = [[result(launches(5, scale), batch=n) for n in range(1, 11)] for scale in (1.0, 1.1)]
    cells = compare(*sides).cells
    assert {cell.outcome for cell in cells} == {"inconclusive"}, "ten tests of five launches prove nothing"
    assert all("Holm" in cell.reason and "more launches" in cell.remedy for cell in cells)


NANO = {"cpu": {"model": "Cortex-A57", "logical_cores": 4}}


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (result(launches(before=NANO)), ["CPU model", "Cortex-A78AE", "Cortex-A57"]),
        (result(launches(before={"nvpmodel": "15W"})), ["nvpmodel", "unknown", "15W"]),
        (result(launches(precision="bf16")), ["effective precision", "fp32", "bf16"]),
        (result(launches(threads=4)), ["effective threads", "1 → 4"]),
        (result(launches(), device="jetson_orin"), ["device cpu → jetson_orin"]),
        (result(launches(), compute="cuda"), ["compute cpu → cuda"]),
        (result(launches(), batch=8), ["batch 1 → 8"]),
        (result(launches(), streams=2), ["streams 1 → 2"]),
        (result(launches(), threads=2), ["threads 1 → 2"]),
        (result(launches(), precision="int8"), ["precision fp32 → int8"]),
        (result(launches(), evidence="scripted"), ["evidence measured → scripted"]),
        (result(launches(), rate_hz=30.0), ["rate_hz unknown → 30.0"]),
        (
            result(launches(), make_artifact(model=replace(ARTIFACT.model, parameters=7))),
            ["parameters 4214842 → 7"],
        ),
    ],
)
def test_unlike_runs_are_refused_naming_the_key_and_both_values(new: Result, says: list[str]) -> None:
    for pair in (([result(launches())], [new]), ([new], [result(launches())])):
        cell = only(*pair)
        assert cell.outcome == "refused" and cell.ratio is None
    cell = only([result(launches())], [new])
    for text in says:
        assert text in cell.reason


def test_what_may_differ_is_listed() -> None:
    libraries = {"libraries": {"onnxruntime": "1.27"}}
    other = make_artifact(content=b"another export")
    new = result(launches(before=libraries, version="1.27"), other, options={"graph": "off"})
    cell = only([result(launches())], [new])
    assert cell.outcome == "equivalent"
    text = "\n".join(cell.changed)
    assert "library onnxruntime 1.20 → 1.27" in text and "option graph unknown → off" in text and "artifact " in text


def test_the_newest_ok_result_of_a_cell_stands_for_it() -> None:
    old = result(launches(scale=3.0), created="2026-01-01T00:00:00.000000+00:00")
    newer = result(launches(), created="2026-01-02T00:00:00.000000+00:00")
    broken = result(status="failed", created="2026-01-03T00:00:00.000000+00:00")
    assert only([old, newer, broken], [newer, old]).outcome == "equivalent"


def test_options_tell_cells_apart_where_both_sides_have_them() -> None:
    sides = [[result(launches(scale=s), options={"k": k}) for k, s in pairs.items()] for pairs in (
        {"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0},
    )]  # fmt: skip
    assert [cell.outcome for cell in compare(*sides).cells] == ["equivalent"] * 2


def test_one_sided_and_failed_cells() -> None:
    base = [result(launches()), result(launches(), batch=2), result(launches(), runtime="openvino")]
    new = [result(launches()), result(status="crashed", message="killed by SIGSEGV", batch=2)]
    new += [result(launches(), runtime="torch")]
    made = compare(base, new)
    assert sorted(cell.outcome for cell in made.cells) == ["equivalent", "failed", "only in base", "only in new"]
    assert [cell.outcome for cell in made.failing(["slower"])] == ["failed"]
    assert [cell.outcome for cell in made.failing(["inconclusive"])] == ["only in base"]
    assert "SIGSEGV" in made.failing(["slower"])[0].reason


def test_nothing_in_common_is_an_error_that_lists_both_sides() -> None:
    with pytest.raises(EdgebenchError) as caught:
        compare([result(launches())], [result(launches(), runtime="openvino")])
    assert "on onnxruntime" in str(caught.value) and "on openvino" in str(caught.value)


def test_a_band_that_is_no_share_is_refused() -> None:
    with pytest.raises(UsageError, match="--band"):
        compare([result(launches())], [result(launches())], band=2)


def energy(mj: float | None, **changes) -> Energy:
    return replace(
        Energy(source="ina", scope="module", mean_power_mw=9000.0, mj_per_inference=mj, mj_per_image=mj), **changes
    )


def test_energy_of_one_kind_is_compared_without_a_verdict() -> None:
    cell = only(
        [result(launches(), energy=energy(20.0))], [result(launches(), energy=energy(25.0, source="tegrastats"))]
    )
    assert (cell.outcome, cell.energy.ratio, cell.energy.reason) == ("equivalent", 1.25, "")
    assert cell.energy.of == "ina, module in base, tegrastats, module in new"


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (energy(20.0, scope="system"), ["ina, module in base", "ina, system in new"]),
        (energy(20.0, source="model", modelled=True), ["ina, module in base", "MODELLED, model, module in new"]),
        (energy(None, reason="ina told nothing"), ["new has no energy: ina told nothing"]),
        (None, ["new has no energy: it was measured without a meter"]),
    ],
)
def test_energy_of_another_kind_is_refused_naming_both_and_the_latency_is_judged(
    new: Energy | None, says: list[str]
) -> None:
    cell = only([result(launches(), energy=energy(20.0))], [result(launches(), energy=new)])
    assert cell.outcome == "equivalent" and cell.energy.ratio is None
    assert all(words in cell.energy.reason for words in says)


def test_energy_is_shown_where_there_is_any() -> None:
    pairs = {mj: compare([result(launches(), energy=mj and energy(mj))], [result(launches())]) for mj in (None, 20.0)}
    assert "mJ/image" not in markdown(pairs[None]) and "| 20 → – |" in markdown(pairs[20.0])
    sides = [[result(launches(), energy=energy(20.0, scope=scope))] for scope in ("module", "system")]
    assert "| refused |" in markdown(compare(*sides))


def test_throughput_compares_the_time_of_an_image() -> None:
    slow = result(launches(scale=1.1), scenario="throughput", batch=4, streams=1)
    cell = only([result(launches(), scenario="throughput", batch=4, streams=1)], [slow])
    assert cell.outcome == "slower" and cell.base_ms == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("scenario", ["offline", "sustained"])
def test_what_has_one_launch_or_no_samples_is_inconclusive(scenario: str) -> None:
    made = launches(1) if scenario == "sustained" else [replace(launches(1)[0], samples=None)]
    cell = only([result(made, scenario=scenario)], [result(made, scenario=scenario)])
    assert cell.outcome == "inconclusive" and cell.remedy


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Workspaces: base; slow, 10 % slower; few, with too few launches; far, of another CPU; hostile, of bad names."""
    artifact = make_artifact(model=replace(ARTIFACT.model, name=HOSTILE.replace("\ud800", "\uffff")))
    for name, made in {
        "base": result(launches()), "slow": result(launches(scale=1.1)), "few": result(launches(2)),
        "far": result(launches(before=NANO)), "hostile": result(launches(), artifact),
        "worse": result(launches(scale=1.1), artifact),
    }.items():  # fmt: skip
        jsonio.write(tmp_path / name / "results" / "one.json", made)
    return tmp_path


def invoke(folders: Path, base: str, new: str, *arguments: str):
    return CliRunner().invoke(cli, ["compare", str(folders / base), str(folders / new), *arguments])


@pytest.mark.parametrize(
    ("new", "arguments", "code"),
    [
        ("slow", [], 0),
        ("slow", ["--fail-on", "slower"], 1),
        ("slow", ["--fail-on", "inconclusive"], 0),
        ("slow", ["--fail-on", "inconclusive,slower"], 1),
        ("slow", ["--fail-on", "slower", "--band", "0.2"], 0),
        ("few", ["--fail-on", "slower"], 0),
        ("few", ["--fail-on", "slower", "--fail-on", "inconclusive"], 1),
        ("far", [], 1),
        ("slow", ["--fail-on", "slowr"], 2),
        ("base", [], 2),
        ("slow", ["--out", "x.doc"], 2),
        ("nowhere", [], 1),
    ],
)
def test_exit_codes(folders: Path, new: str, arguments: list[str], code: int) -> None:
    done = invoke(folders, "base", new, *arguments)
    assert done.exit_code == code, done.output


def test_a_folder_a_workspace_and_a_file_are_all_taken(folders: Path) -> None:
    for base in ("base", "base/results", "base/results/one.json"):
        assert json.loads(invoke(folders, base, "slow", "--json").stdout)["cells"][0]["outcome"] == "slower"


def test_the_table_fits_eighty_columns_and_cuts_nothing_off() -> None:
    out = io.StringIO()
    made = compare([result(launches()), result(launches(), batch=2)], [result(launches(scale=1.1))])
    Console(file=out, width=80).print(terminal(made))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "…" not in out.getvalue() and "slower" in out.getvalue() and "only in base" in out.getvalue()


def test_junit_is_valid_and_hostile_names_do_no_harm(folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "compare.xml"
    assert invoke(folders, "hostile", "worse", "--out", str(out), "--fail-on", "slower").exit_code == 1
    suite = ElementTree.parse(out).getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    failure = suite.find("testcase/failure")
    assert failure.get("type") == "slower" and "1.1" in failure.get("message")
    assert "\x1b" not in out.read_text() and "\x00" not in out.read_text()
    skipped = ElementTree.fromstring(invoke(folders, "base", "far", "--format", "junit").stdout.split("\nnothing")[0])
    assert skipped.find(".//skipped") is not None and skipped.find(".//failure") is None


def test_markdown_and_the_table_keep_their_shape_with_hostile_names(folders: Path) -> None:
    text = invoke(folders, "hostile", "worse", "--format", "markdown").stdout
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3 and "<b>" not in text
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1
    assert "\x1b" not in text and "\x1b" not in invoke(folders, "hostile", "worse").stdout
