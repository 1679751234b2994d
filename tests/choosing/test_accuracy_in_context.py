"""A choice looks at what an accuracy is of, what it has to beat, and which classes it finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from factories import make_artifact, make_result, make_samples
from hypothesis import given
from hypothesis import strategies as st

import edgebench
from edgebench.choosing.limits import Limits, read_recalls
from edgebench.choosing.selecting import select
from edgebench.cli import cli
from edgebench.errors import UsageError
from edgebench.records.answers import ClassAccuracy, Evaluation
from edgebench.report.choice import checked, headline, markdown
from edgebench.results import index, store
from edgebench.results.figures import Row
from edgebench.results.rows import rows
from edgebench.results.stats import wilson

Counts = dict[str, tuple[int, int]]  # by class: its test images, and how many are right
GOOD = {"ok": (340, 338), "defect": (20, 18)}
BLIND = {"ok": (340, 340), "defect": (20, 0)}  # 94.4 %, and no defect found


def results(model: str = "m", counts: Counts | None = GOOD, *, ms: int = 5, **data: Any) -> list[Any]:
    """A measurement of so many ms, and an evaluation with these counts; `data`: changes to the DataSplit."""
    artifact = make_artifact(model=model, content=model.encode(), size_bytes=4_000_000)
    training = artifact.training
    data = {"dataset": "parts", "classes": tuple(counts or GOOD), "test_sha256": "a" * 64} | data
    artifact = replace(artifact, training=replace(training, data=replace(training.data, **data)))
    samples = [make_samples(tuple(range(1_000_000 * ms, 1_100_000 * ms, 1_000 * ms)))] * 5
    made = [make_result(artifact, samples=samples)]
    if counts:
        images, right = (sum(column) for column in zip(*counts.values(), strict=True))
        classes = tuple(ClassAccuracy(name=name, images=n, correct=r) for name, (n, r) in counts.items())
        judged = Evaluation(
            images=images, accuracy=right / images, accuracy_ci95=wilson(right, images), torch_accuracy=right / images,
            torch_agreement=1.0, non_finite=0, classes=classes,
        )  # fmt: skip
        made.append(make_result(artifact, scenario="evaluate", evaluation=judged, summary=None))
    return made


def row(*told: Any, **more: Any) -> Row:
    (made,) = rows(results(*told, **more))
    return made


def run(workspace: Path, *arguments: str) -> Any:
    return CliRunner().invoke(cli, ["select", "--workspace", str(workspace), *arguments])


def saved(folder: Path, *several: list[Any]) -> Path:
    for made in several:
        for result in made:
            store.save(result, folder / "results")
    return folder


def test_what_is_no_better_than_the_majority_is_not_chosen() -> None:
    decision = select([row("blind", BLIND)], Limits(min_accuracy=0.9))
    (only,) = decision.candidates
    assert decision.chosen is None and only.outcome == "no better" and only.checks[0].outcome == "met"
    told = headline(decision)
    assert told[0] == "nothing is known to fit on cpu" and told[1] == (
        "  not chosen: blind (onnx) on onnxruntime, fp32, 1 thr.: its accuracy, 94.4 %, is no better than the 94.4 % "
        "of always answering the most frequent class; never found: defect"
    )
    assert "edgebench train --balance" in told[2] and "no better: than always answering" in markdown(decision)
    decision = select([row("blind", BLIND, ms=1), row("good", GOOD, ms=9)], prefer="latency")
    assert decision.chosen.row.model == "good", "it is not chosen for its speed either"
    assert not decision.notes and not decision.changes


def test_a_limit_that_is_broken_is_told_first_and_none_that_would_help_is_named() -> None:
    decision = select([row("blind", BLIND)], Limits(min_accuracy=0.95))
    assert decision.candidates[0].outcome == "broken" and not decision.changes


def test_the_checkpoints_accuracy_counts_where_the_artifact_was_not_evaluated() -> None:
    artifact = make_artifact()
    classes = tuple(ClassAccuracy(name=name, images=n, correct=r) for name, (n, r) in BLIND.items())
    training = replace(artifact.training, test_classes=classes, test_accuracy=340 / 360)
    (made,) = rows([make_result(replace(artifact, training=training))])
    (only,) = select([made]).candidates
    assert only.outcome == "no better" and only.reason.startswith("the checkpoint's accuracy, 94.4 %, is no better")
    assert (made.balanced_accuracy, made.lowest_recall, made.lowest_class) == (None, None, ""), "it is not its own"


def test_doubts_about_the_chosen_one_are_told() -> None:
    (note,) = select([row("alarms", {"ok": (340, 250), "defect": (20, 19)})]).notes
    assert note == "its accuracy is not clearly above the 94.4 % of always answering the most frequent class"
    (note,) = select([row("blind in one", {"a": (50, 50), "b": (50, 49), "c": (9, 0)})]).notes
    assert note == "it never finds c"


def test_results_without_counts_are_judged_as_before() -> None:
    made = row("old", None)
    assert (made.majority_share, made.beside_majority, made.class_counts, made.test_images) == (None, "", (), 360)
    assert select([made]).chosen.row == made
    (candidate,) = select([made], Limits(min_balanced_accuracy=0.1)).candidates
    assert candidate.outcome == "unknown" and candidate.checks[0].fix == "edgebench evaluate"


def test_limits_on_balanced_accuracy_and_recall() -> None:
    limits = Limits(min_balanced_accuracy=0.97, min_class_recall={"ok": 0.9, "defect": 0.95})
    (candidate,) = select([row()], limits).candidates
    assert candidate.outcome == "broken" and checked(candidate, candidate.checks) == [
        "balanced accuracy 94.7 %, 2.3 points short of 97 %, but its 95 % interval (84.6 to 98.3 %) reaches above",
        "recall of 'ok' 99.4 % ≥ 90 %",
        "recall of 'defect' 90.0 %, 5.0 points short of 95 %, but its 95 % interval (69.9 to 97.2 %) reaches above",
    ]
    decision = select([row("a", GOOD), row("b", {"ok": (340, 300), "defect": (20, 20)}, ms=9)], limits)
    assert "--min-balanced-accuracy 0.941 --min-class-recall ok=0.882: b" in decision.changes[0]
    asked = "asked: --min-balanced-accuracy 0.97, --min-class-recall ok=0.9, --min-class-recall defect=0.95"
    assert any(line.startswith(asked) for line in headline(decision))
    best = select([row("a", GOOD), row("b", {"ok": (340, 300), "defect": (20, 20)}, ms=9)],
                  Limits(min_class_recall={"defect": 0.95}))  # fmt: skip
    assert best.chosen.row.model == "b"


def test_no_looser_limit_makes_a_class_found_that_never_is() -> None:
    counts = {"a": (50, 50), "b": (50, 49), "c": (9, 0)}
    decision = select([row("m", counts)], Limits(min_class_recall={"c": 0.5}))
    assert decision.nearest.row.model == "m" and not decision.changes


def test_a_class_without_a_test_image_is_unknown() -> None:
    (candidate,) = select([row("m", GOOD | {"dent": (0, 0)})], Limits(min_class_recall={"dent": 0.5})).candidates
    assert candidate.outcome == "unknown" and "no test image of the class 'dent'" in candidate.checks[0].reason


def test_a_class_that_nobody_knows_is_named_with_the_near_ones() -> None:
    with pytest.raises(UsageError, match="unknown class for --min-class-recall 'defekt'") as raised:
        select([row()], Limits(min_class_recall={"defekt": 0.9}))
    assert "did you mean defect?" in raised.value.fix


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, 95, float("nan"), float("inf")])
def test_a_share_outside_of_its_bounds_is_refused(share: float) -> None:
    for limits in (Limits(min_balanced_accuracy=share), Limits(min_class_recall={"a=b": share})):
        with pytest.raises(UsageError, match="--min-") as raised:
            limits.check()
        assert raised.value.fix


@given(st.dictionaries(st.text(min_size=1, max_size=6), st.floats(0.001, 1), max_size=3))
def test_a_class_may_have_any_name(asked: dict[str, float]) -> None:
    given = [f"{name}={share!r}" for name, share in asked.items()]
    assert read_recalls("--min-class-recall", given) == asked


@pytest.mark.parametrize("given", [["defect"], ["=0.9"], ["defect="], ["defect=much"], ["a=0.9", "a=0.8"]])
def test_what_is_no_class_with_a_share_is_refused(given: list[str]) -> None:
    with pytest.raises(UsageError, match="--min-class-recall"):
        read_recalls("--min-class-recall", given)


OTHERS = {"dataset": "fruit", "test_sha256": "b" * 64}


def test_accuracies_of_different_test_images_are_not_ranked_together() -> None:
    parts, fruit = row("a"), row("b", {"ok": (300, 299), "defect": (60, 59)}, **OTHERS)
    with pytest.raises(UsageError, match="of 2 test splits, whose accuracies cannot be compared") as raised:
        select([parts, fruit])
    assert "parts (360 test images, aaaaaaaa)" in raised.value.message
    assert raised.value.fix == "say which: --dataset parts or --dataset fruit"
    assert select([parts, fruit], dataset="parts").chosen.row.model == "a"
    assert select([parts, fruit], dataset="fruit@bbbb").judged_on == "fruit (360 test images, bbbbbbbb)"
    with pytest.raises(UsageError, match="unknown dataset in the results 'fruits'") as raised:
        select([parts, fruit], dataset="fruits")
    assert "did you mean fruit" in raised.value.fix
    changed = row("b", test_sha256="c" * 64)
    with pytest.raises(UsageError) as raised:
        select([parts, changed])
    assert raised.value.fix == "say which: --dataset parts@aaaaaaaa or --dataset parts@cccccccc"
    failed = replace(fruit, status="crashed")
    assert select([parts, failed]).chosen.row.model == "a", "only what is ranked has to agree"


def test_another_name_of_the_same_test_images_is_no_other_split() -> None:
    assert len(select([row("a"), row("b", dataset="parts-copy", train=99)]).candidates) == 2


def test_where_the_hash_is_not_known_the_name_and_the_number_decide_and_that_is_told() -> None:
    decision = select([row("a"), row("b", test_sha256="")])
    assert len(decision.candidates) == 2 and "did not record the test images of 1 result:" in decision.notes[-1]
    with pytest.raises(UsageError, match="2 test splits"):
        select([row("a"), row("b", test_sha256="", test=99)])
    assert not select([row("a", test_sha256=""), row("b", test_sha256="")]).notes


def test_the_commands(tmp_path: Path) -> None:
    saved(tmp_path, results("blind", BLIND), results("a", ms=9), results("b", **OTHERS))
    done = run(tmp_path, "--min-accuracy", "0.9")
    assert done.exit_code == 2 and "--dataset parts" in done.output
    done = run(tmp_path, "--min-accuracy", "0.9", "--dataset", "parts")
    assert done.exit_code == 0 and done.stdout.startswith("chosen for cpu: a (onnx)")
    assert "0.0% (defect)" in done.stdout and "accuracy is of: parts (360 test images, aaaaaaaa)" in done.stdout
    done = run(tmp_path, "--dataset", "parts", "--model", "blind", "--min-class-recall", "defect=0.9", "--json")
    (candidate,) = json.loads(done.stdout)["decision"]["candidates"]
    assert done.exit_code == 1 and candidate["checks"][0]["of"] == "defect" and candidate["checks"][0]["value"] == 0
    done = run(tmp_path, "--dataset", "parts", "--min-class-recall", "defect=90")
    assert done.exit_code == 2 and "--min-class-recall of 'defect' is 90" in done.output
    assert "0.9 for 90 %" in done.output
    report = ["report", "--workspace", str(tmp_path)]
    done = CliRunner().invoke(cli, report)
    assert "accuracies are of 2 test splits, and do not compare" in done.stdout
    done = CliRunner().invoke(cli, [*report, "--dataset", "fruit"])
    assert "do not compare" not in done.stdout and "dataset fruit" in done.stdout
    done = CliRunner().invoke(cli, [*report, "--html"])
    page = (tmp_path / "report.html").read_text()
    assert page.count('class="decision') == 2 and page.count("; accuracy on ") == 2, "a decision and plots for each"
    found = edgebench.select(tmp_path, dataset="parts", min_class_recall={"ok": 0.9})
    assert found.chosen.row.model == "a"


def test_the_index_keeps_the_counts(tmp_path: Path) -> None:
    saved(tmp_path, results())
    expected = rows(store.read_all(tmp_path / "results")[0])
    for _ in range(2):
        entries, problems = index.load(tmp_path / "results")
        assert not problems
    kept = next(entry.row for entry in entries if entry.row.class_counts)
    assert kept.class_counts == expected[0].class_counts == (("ok", 340, 338), ("defect", 20, 18))
