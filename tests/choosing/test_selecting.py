"""Choosing under limits: what is measured decides, what is not known passes nothing, and what is near is told."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from factories import make_artifact, make_result, make_samples
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgebench.choosing.limits import Limits
from edgebench.choosing.selecting import select
from edgebench.cli import cli
from edgebench.errors import EdgebenchError, UsageError
from edgebench.records.answers import Evaluation
from edgebench.report.choice import checked, headline, markdown, terminal
from edgebench.results import store
from edgebench.results.figures import Row
from edgebench.results.rows import rows
from edgebench.results.stats import wilson

(PLAIN,) = rows([make_result()])
IMAGES = 1000


def row(model: str = "m", median_ms: float | None = 5.0, accuracy: float | None = 0.9, **changes: Any) -> Row:
    """A measured row whose median is known to ± 2 % and whose accuracy was judged on 1,000 images."""
    low, high = wilson(round(accuracy * IMAGES), IMAGES) if accuracy is not None else (None, None)
    made = replace(
        PLAIN, model=model, median_ms=median_ms, p99_ms=median_ms and 2 * median_ms,
        median_low_ms=median_ms and 0.98 * median_ms, median_high_ms=median_ms and 1.02 * median_ms,
        deployed_accuracy=accuracy, deployed_low=low, deployed_high=high, requests=1000, model_size_mib=4.0,
    )  # fmt: skip
    return replace(made, **changes)


def outcomes(found: list[Row], limits: Limits | None = None, **asked: Any) -> dict[str, str]:
    return {c.row.model: c.outcome for c in select(found, limits, **asked).candidates}


def test_the_most_accurate_that_fits_is_chosen() -> None:
    decision = select([row("fast", 2, 0.8), row("good", 9, 0.9), row("slow", 12, 0.99)], Limits(max_p99_ms=20))
    assert decision.chosen.row.model == "good"
    assert [(c.row.model, c.outcome) for c in decision.candidates] == [
        ("good", "chosen"), ("fast", "fits"), ("slow", "broken"),
    ]  # fmt: skip
    (check,) = decision.candidates[2].broken
    assert (check.metric, check.value, check.by, check.by_share) == ("p99", 24, 4, pytest.approx(0.2))
    assert checked(decision.candidates[2], [check]) == ["p99 24.0 ms, 20.0 % over the limit of 20 ms"]
    assert decision.changes[0].startswith("--max-p99-ms 24: slow")


def test_every_limit_is_checked_in_its_own_unit() -> None:
    one = row("m", 5, 0.9, peak_memory_mib=100.0, model_size_mib=10.0, throughput_per_s=200.0)
    limits = Limits(
        max_median_ms=4, max_p99_ms=9, max_memory_mb=104, max_size_mb=10, min_accuracy=0.95, min_images_per_s=201
    )
    (candidate,) = select([one], limits).candidates
    by = {check.metric: check.by for check in candidate.broken}
    assert by == {
        "latency": pytest.approx(1), "p99": pytest.approx(1), "memory": pytest.approx(104.8576 - 104),
        "size": pytest.approx(10.48576 - 10), "accuracy": pytest.approx(0.05), "throughput": pytest.approx(1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "limits", "reason", "fix"),
    [
        (
            row(p99_ms=None, requests=120),
            Limits(max_p99_ms=20),
            "needs 299 requests, 120 were made",
            "edgebench run … --runtime onnxruntime",
        ),
        (row(peak_memory_mib=None), Limits(max_memory_mb=1e6), "could not be read", "result"),
        (row(accuracy=None), Limits(min_accuracy=0.01), "only the checkpoint's 94.0 %", "edgebench evaluate"),
        (row(), Limits(max_power_w=1e6), "power was not measured", "--power"),
        (row(), Limits(max_energy_mj=1e6), "energy was not measured", "--power"),
        (row(model_size_mib=None), Limits(max_size_mb=1e6), "size of the artifact is not recorded", "edgebench export"),
    ],
)
def test_what_was_not_measured_passes_no_limit(one: Row, limits: Limits, reason: str, fix: str) -> None:
    decision = select([one], limits)
    assert decision.chosen is None
    (check,) = decision.candidates[0].unknown
    assert reason in check.reason and fix in check.fix
    assert f"might fit: m (onnx) on onnxruntime, fp32, 1 thr.: {check.reason}: {check.fix}" in headline(decision)[1]


def test_the_command_that_makes_requests_enough_is_named() -> None:
    one = row(p99_ms=None, requests=127, throughput_per_s=25.4, launches=5)
    (check,) = select([one], Limits(max_p99_ms=20)).candidates[0].unknown
    assert check.fix == "edgebench run … --runtime onnxruntime --duration 3", "5 launches of 3 s at 25.4 a second: 381"
    one = replace(one, batch=4, scenario="camera", launches=2)
    (check,) = select([one], Limits(max_p99_ms=20), scenario="camera").candidates[0].unknown
    assert check.fix.endswith("--runtime onnxruntime --scenario camera --batch 4 --launches 2 --duration 29")


@pytest.mark.parametrize(
    ("accuracy", "limits", "text"),
    [
        (0.9, {"min_accuracy": 0.8}, "accuracy 90.0 % ≥ 80 %"),
        (0.9, {"min_accuracy": 0.89}, "accuracy 90.0 % ≥ 89 %, but its 95 % interval (88.0 to 91.7 %) reaches below"),
        (0.9, {"min_accuracy": 0.95}, "accuracy 90.0 %, 5.0 points short of 95 %"),
        (0.9, {"min_accuracy": 0.91}, "accuracy 90.0 %, 1.0 points short of 91 %, but its 95 % interval (88.0 to "
         "91.7 %) reaches above"),
        (0.9, {"max_median_ms": 5.05}, "latency 5.00 ms ≤ 5.05 ms, but its 95 % interval (4.90 to 5.10 ms) reaches "
         "above"),
        (0.9, {"min_images_per_s": 1e6}, "throughput 200 images/s, 100.0 % short of 1,000,000 images/s"),
        (0.9, {"max_p99_ms": 0.003}, "p99 10.0 ms, 3,300 × the limit of 0.003 ms"),
        (0.9, {"min_images_per_s": 400}, "throughput 200 images/s, 50.0 % short of 400 images/s"),
    ],
)  # fmt: skip
def test_a_check_in_words(accuracy: float, limits: dict[str, float], text: str) -> None:
    (candidate,) = select([row("m", 5, accuracy, throughput_per_s=200.0)], Limits(**limits)).candidates
    assert checked(candidate, candidate.checks) == [text]


def test_a_limit_that_is_broken_counts_more_than_one_that_is_unknown() -> None:
    (candidate,) = select([row(p99_ms=None)], Limits(max_p99_ms=20, max_median_ms=1)).candidates
    assert candidate.outcome == "broken" and candidate.unknown


def test_overlapping_accuracies_are_decided_by_the_median() -> None:
    found = [row("slow", 9, 0.905), row("fast", 3, 0.9), row("bad", 1, 0.7)]
    decision = select(found)
    assert decision.chosen.row.model == "fast"
    slow = next(c for c in decision.candidates if c.row.model == "slow")
    assert slow.outcome == "fits" and slow.reason == (
        "accuracy is not distinguishable from the best, but latency 9.00 ms, the best has 3.00 ms"
    )


def test_what_nothing_tells_apart_ties() -> None:
    assert outcomes([row("a", 3.00, 0.9), row("b", 3.01, 0.9), row("c", 3.00, 0.5)]) == {
        "a": "chosen", "b": "tie", "c": "fits",
    }  # fmt: skip


def test_a_device_without_results_is_told_how_to_get_some() -> None:
    with pytest.raises(EdgebenchError, match="there are no results of jetson_orin, but of cpu") as told:
        select([row("one")], device="jetson_orin")
    assert "edgebench run --device jetson_orin" in told.value.fix


def test_sizes_that_are_shown_alike_decide_nothing() -> None:
    """A few bytes of a manifest are no reason; nobody could see it in the table."""
    found = select([row("one", model_size_mib=1.43001), row("other", model_size_mib=1.43002)], prefer="latency")
    assert [c.outcome for c in found.candidates] == ["chosen", "tie"]
    found = select([row("one", model_size_mib=1.43), row("other", model_size_mib=1.44)], prefer="latency")
    assert found.chosen.row.model == "one" and "size 1.51 MB, the best has 1.50 MB" in found.candidates[1].reason


def test_a_median_without_an_interval_decides_only_what_is_far_apart() -> None:
    bare = {"median_low_ms": None, "median_high_ms": None}
    assert outcomes([row("a", 3, 0.9, **bare), row("b", 4, 0.9, **bare)])["b"] == "tie"
    assert outcomes([row("a", 3, 0.9, **bare), row("b", 6, 0.9, **bare)])["b"] == "fits"


def test_preferences() -> None:
    found = [row("good", 9, 0.95), row("fast", 2, 0.8), row("small", 5, 0.7, model_size_mib=1.0)]
    for prefer, best in (("accuracy", "good"), ("latency", "fast"), ("size", "small")):
        assert select(found, prefer=prefer).chosen.row.model == best
    with pytest.raises(UsageError, match="preference"):
        select(found, prefer="speed")


def test_what_was_not_judged_is_not_chosen_for_its_accuracy() -> None:
    assert outcomes([row("judged", 9, 0.5), row("not", 1, None)]) == {"judged": "chosen", "not": "unknown"}
    decision = select([row("a", 9, None), row("b", 1, None)])
    assert decision.chosen.row.model == "b" and "accuracy decides nothing" in decision.notes[0]


def test_measured_is_never_ranked_with_emulated_or_scripted() -> None:
    found = [row("measured", 9), row("emulated", 1, evidence="emulated"), row("scripted", 1, evidence="scripted")]
    decision = select(found)
    assert [c.row.model for c in decision.candidates] == ["measured"] and decision.evidence == "measured"
    assert {aside.row.model: aside.reason for aside in decision.aside} == {
        "emulated": "emulated, not measured", "scripted": "scripted, not measured",
    }  # fmt: skip
    decision = select(found[1:], device="cpu")
    assert decision.chosen.row.model == "emulated" and decision.evidence == "emulated"
    assert "EMULATED, not measured on cpu" in markdown(decision)


def test_an_emulated_device_beside_the_measured_one_is_no_reason_to_ask() -> None:
    mine, other = row("mine", 5, 0.8), row("other", 4, 0.9, device="raspberry_pi_4", evidence="emulated")
    decision = select([other, mine])
    assert (decision.device, decision.chosen.row.model) == (mine.device, "mine")
    assert decision.notes[-1] == "raspberry_pi_4 has no measured results: --device raspberry_pi_4"
    assert select([other, mine], device="raspberry_pi_4").chosen.row.model == "other"
    failed = replace(mine, status="failed", message="it crashed")
    assert select([failed, other]).device == "raspberry_pi_4", "what failed is no evidence"
    with pytest.raises(UsageError, match=f"several devices: {mine.device}, jetson_orin"):
        select([mine, other, row("third", 3, 0.9, device="jetson_orin")])


def test_power_of_different_scopes_is_never_compared() -> None:
    watts = {"mean_power_w": 5.0, "energy_mj": 20.0, "power_source": "rapl"}
    found = [
        row("a", **watts, power_scope="package"), row("b", **watts, power_scope="package"),
        row("whole", **watts, power_scope="system"), row("model", **watts, power_scope="system", power_modelled=True),
        row("none", power_reason="the meter was stuck"),
    ]  # fmt: skip
    decision = select(found, Limits(max_power_w=10))
    assert decision.power_scope == "package"
    why = {c.row.model: c.unknown[0].reason for c in decision.candidates if c.outcome == "unknown"}
    assert why == {
        "whole": "its power covers the system, the others' the package",
        "none": "power is unknown: the meter was stuck",
        "model": "its power covers the system, modelled, the others' the package",
    }  # fmt: skip
    decision = select(found[3:], Limits(max_energy_mj=19))
    assert (decision.power_scope, decision.power_modelled) == ("system", True) and decision.nearest.row.model == "model"
    assert "power and energy cover: system, modelled" in markdown(decision)
    assert select(found[:3], prefer="energy").chosen.row.model in "ab"


def test_another_machine_batch_or_failure_is_set_aside() -> None:
    found = [
        row("here", machine=("new",), created="2026-02-02"),
        row("there", 1, machine=("old",)), row("eight", 1, batch=8),
        row("failed", None, status="crashed", message="SIGSEGV"),
        row("wrong", 1, warnings=("foreign_load", "unverified")),
    ]  # fmt: skip
    decision = select(found)
    assert decision.machine == ("new",) and [c.row.model for c in decision.candidates] == ["here"]
    reasons = {aside.row.model: aside.reason for aside in decision.aside}
    assert set(reasons) == {"there", "eight", "failed", "wrong"} and "SIGSEGV" in reasons["failed"]
    assert outcomes(found, batch=8) == {"eight": "chosen"}


def test_the_nearest_miss() -> None:
    decision = select([row("far", 50), row("near", 11), row("maybe", None, p99_ms=None)], Limits(max_p99_ms=20))
    assert decision.chosen is None and decision.nearest.row.model == "near"
    assert decision.changes[0].startswith("--max-p99-ms 22: near")
    assert not decision.notes and "might fit: maybe" in markdown(decision)


def test_what_would_change_the_answer_is_what_choosing_again_chooses() -> None:
    small, big = {"peak_memory_mib": 10.0}, {"peak_memory_mib": 100.0}
    found = [row("slow", 9, 0.9, **small), row("fast", 3, 0.9, **big), row("worse", 12, 0.9, **big)]
    limits = Limits(max_memory_mb=50)
    (change,) = select(found, limits).changes
    assert change.startswith("--max-memory-mb 105: fast (onnx)"), "its accuracy ties, but it is faster"
    assert not select(found[::2], limits).changes
    found = [row("fast", 2, 0.9), row("slow", 11, 0.9), row("slower", 12, 0.9)]
    assert not select(found, Limits(max_p99_ms=20), prefer="energy").changes, "energy is known of none"


def test_a_limit_in_another_unit_is_hinted_at() -> None:
    (note,) = select([row("a", 5), row("b", 9)], Limits(max_p99_ms=0.02)).notes
    assert "--max-p99-ms 0.02" in note and "is it in ms?" in note


def test_the_pareto_set() -> None:
    found = [row("a", 1, 0.7), row("b", 5, 0.9), row("dominated", 6, 0.8), row("unknown", 1, None)]
    assert {c.row.model: c.pareto for c in select(found).candidates} == {
        "a": True, "b": True, "dominated": False, "unknown": None,
    }  # fmt: skip


SHARES = st.integers(0, IMAGES).map(lambda n: n / IMAGES)
POINTS = st.lists(st.tuples(st.none() | st.floats(0.1, 100), st.none() | SHARES), min_size=1, max_size=8)


@given(POINTS, st.floats(0.1, 300), st.floats(0.01, 1), st.sampled_from(["accuracy", "latency", "size", "energy"]))
def test_nothing_that_breaks_or_cannot_show_a_limit_is_chosen(points, p99: float, accuracy: float, prefer: str) -> None:
    found = [row(f"m{i}", *point) for i, point in enumerate(points)]
    decision = select(found, Limits(max_p99_ms=p99, min_accuracy=accuracy), prefer=prefer)
    assert len(decision.candidates) == len(found)

    def keeps(one: Row) -> bool:
        known = one.p99_ms is not None and one.deployed_accuracy is not None
        return known and one.p99_ms <= p99 and one.deployed_accuracy >= accuracy

    assert {c.row.model for c in decision.candidates if c.outcome in ("chosen", "tie", "fits")} == {
        one.model for one in found if keeps(one)
    }
    assert sum(c.outcome == "chosen" for c in decision.candidates) == any(map(keeps, found))
    again = select(found[::-1], Limits(max_p99_ms=p99, min_accuracy=accuracy), prefer=prefer)
    assert [c.outcome for c in again.candidates] == [c.outcome for c in decision.candidates]


@given(POINTS)
def test_the_pareto_set_is_what_nothing_dominates(points) -> None:
    found = [row(f"m{i}", *point) for i, point in enumerate(points)]
    for one in select(found).candidates:
        a = one.row
        beaten = any(
            b.median_ms <= a.median_ms and b.deployed_accuracy >= a.deployed_accuracy
            and (b.median_ms, b.deployed_accuracy) != (a.median_ms, a.deployed_accuracy)
            for b in found if None not in (a.median_ms, b.median_ms, a.deployed_accuracy, b.deployed_accuracy)
        )  # fmt: skip
        if None not in (a.median_ms, a.deployed_accuracy):
            assert one.pareto is not beaten


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
def test_a_limit_that_cannot_be_meant(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="--m") as error:
        Limits(**{name: value}).check()
    assert "give a positive number" in error.value.fix


def saved(folder: Path) -> None:
    """Two artifacts with an evaluation each, of 5 and 1.05 ms."""
    for name, factor, right in (("slow", 5, 0.9), ("fast", 1, 0.8)):
        artifact = make_artifact(model=name, content=name.encode(), size_bytes=4_000_000)
        samples = [tuple(range(1_000_000 * factor, 1_100_000 * factor, 1_000 * factor))] * 5
        store.save(make_result(artifact, samples=[make_samples(s) for s in samples]), folder)
        judged = Evaluation(
            images=1000,
            accuracy=right,
            accuracy_ci95=wilson(int(right * 1000), 1000),
            torch_accuracy=right,
            torch_agreement=1.0,
            non_finite=0,
            classes=(),
        )
        store.save(make_result(artifact, scenario="evaluate", evaluation=judged), folder)


def test_the_command(tmp_path: Path) -> None:
    saved(tmp_path / "results")

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["select", "--workspace", str(tmp_path), *arguments])

    done = run("--max-p99-ms", "20", "--out", str(tmp_path / "decision.md"))
    assert done.exit_code == 0 and done.stdout.startswith("chosen for cpu: slow (onnx) on onnxruntime")
    assert "# What to deploy on cpu" in (tmp_path / "decision.md").read_text()
    done = run("--max-p99-ms", "2", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["chosen"]["model"] == "fast"
    done = run("--max-p99-ms", "2", "--min-accuracy", "0.95")
    assert done.exit_code == 1 and "nearest miss: fast" in done.stdout
    done = run("--max-power-w", "10")
    assert done.exit_code == 1 and "power was not measured: edgebench run --power auto" in done.stdout
    for arguments, text in (
        (("--max-p99-ms", "20ms"), "give milliseconds, without the unit"), (("--min-accuracy", "90"), "0.9 for 90 %"),
        (("--max-size-mb", "0"), "give a positive number"), (("--max-power-w", "nan"), "give a positive number"),
        (("--device", "cqu"), "did you mean cpu?"), (("--model", "slw"), "did you mean slow?"),
        (("--out", "decision.txt"), "end it in .md or .json"),
    ):  # fmt: skip
        done = run(*arguments)
        assert done.exit_code == 2 and text in done.stderr, done.stderr


def test_nothing_to_choose_from(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["select", "--workspace", str(tmp_path)])
    assert done.exit_code == 1 and "there are no results to choose from" in done.stderr


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_parts_no_word_of_the_table_and_names_what_it_has_no_place_for(width: int) -> None:
    """At 80 columns twelve figures were three letters wide each, and a network took fifteen lines."""
    figures = {"p99_ms": 9.5, "throughput_per_s": 812.0, "peak_memory_mib": 82.8, "mean_power_w": 4.5, "energy_mj": 4.4}
    found = select([row("mobilenetv3_small_050", 0.978, **figures), row("resnet_mini", 1.29, **figures)], Limits())
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal(found, width))
    shown = console.export_text()
    assert all(len(line) <= width for line in shown.splitlines())
    assert "mobilenetv3_small_050" in shown and "resnet_mini" in shown and "0.978" in shown and "1.29" in shown
    assert ("too narrow for: " in shown) == (width < 200)
