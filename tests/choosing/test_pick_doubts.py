"""What speaks against a pick's answer is in its decision, and so in the folder that is deployed."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from factories import make_artifact, make_result, make_samples
from test_selecting import row

from edgebench.choosing import confidence, pick_doubts, picking, ready_pick
from edgebench.choosing.limits import Limits
from edgebench.choosing.picked import Picked
from edgebench.choosing.selecting import select
from edgebench.cli import cli
from edgebench.commands import pick as command
from edgebench.errors import EdgebenchError
from edgebench.records.notices import notice
from edgebench.records.probe import Probe
from edgebench.report import choice, deploy
from edgebench.results.rows import rows


def ready(**changes: Any) -> SimpleNamespace:
    told = {"untimed": {}, "unavailable": {}, "site": SimpleNamespace(notice=""), "began": 0.0}
    return SimpleNamespace(asked=SimpleNamespace(runtimes=("onnxruntime", "openvino")), **told | changes)


def test_each_doubt_is_in_the_notes_of_the_decision() -> None:
    busy = notice("foreign_load", cores=1.0, who="")
    seen = make_result(make_artifact(), runtime="onnxruntime", notices=(busy,))
    failed = make_result(make_artifact(), runtime="openvino", status="crashed", message="the worker was killed")
    results = [seen, failed]
    asked = ready(
        site=SimpleNamespace(notice="EMULATED"), untimed={"ncnn": "it is missing"},
        unavailable={"m": "offline"},
    )  # fmt: skip
    told = pick_doubts.of(select(rows(results)), asked, results, {"a": "too slow", "b": "too slow"}, ["no time"])
    text = "\n".join(told)
    for part in (
        "was not counted", "other processes used 100% of a core", "EMULATED", "ncnn was not timed: it is missing",
        "what was chosen was not timed on openvino: crashed: the worker was killed", "no time",
        "left out: a, b: too slow", "because their weights cannot be had: m (m: offline)",
    ):  # fmt: skip
        assert part in text
    assert "not timed on openvino: no time was left for it" in "\n".join(
        pick_doubts.of(select(rows([seen])), ready(), [seen], {}, [])
    )


def test_few_launches_and_a_floor_that_is_not_beaten_are_doubts() -> None:
    few = select([row(launches=3, beside_floor="unclear", floor_accuracy=0.9)])
    text = choice.markdown(few)
    assert "it was measured in 3 launches only" in text and "without a network, at 90.0 %" in text
    assert not any("launches" in note for note in select([row(launches=5)]).notes)


def test_the_folder_holds_what_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were printed and then gone."""
    artifact = make_artifact(tmp_path / "made")
    result = make_result(artifact, samples=make_samples((1_000_000,) * 40))
    decision = replace(select(rows([result])), notes=("a doubt of the pick",))
    monkeypatch.setattr(deploy, "_runnable", lambda scratch, decision, chosen: {})
    monkeypatch.setattr(deploy.card, "card", lambda *told: "card")

    def fails(folder: Path) -> tuple:
        raise EdgebenchError("infer.py did not answer")

    written = deploy.write(tmp_path / "picked", decision, artifact, [], fails)
    markdown, data = ((tmp_path / "picked" / f"decision.{end}").read_text() for end in ("md", "json"))
    for note in ("a doubt of the pick", "no threshold was calibrated: infer.py did not answer"):
        assert note in markdown and note in json.loads(data)["decision"]["notes"] and note in written.notes


def test_a_runtime_that_is_not_measured_on_is_named_with_the_reason() -> None:
    probes = (
        Probe(name="onnxruntime", accepts=("onnx",), computes=("cpu",)),
        Probe(name="openvino", error="openvino is not installed", fix="pip install openvino"),
    )
    here = SimpleNamespace(probes=probes, compute="cpu")
    found = ready_pick._working(["onnxruntime", "openvino"], here)
    assert found == (("onnxruntime",), {"openvino": "openvino is not installed (pip install openvino)"})
    with pytest.raises(EdgebenchError, match="openvino is not installed"):
        ready_pick._working(["openvino"], here)


def test_the_time_that_is_told_is_that_of_the_whole_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It left out the start, and the calibration at the end."""
    clock = itertools.count(1000.0, 50.0)  # each look at it is 50 s later
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    decision = select([row()], Limits(max_size_mb=1))  # nothing fits
    picked = Picked(decision=decision, artifact=None, results=(), files=(), left_out={}, seconds=60.0)
    monkeypatch.setattr(ready_pick, "prepare", lambda *a, **k: ready(began=1010.0))
    monkeypatch.setattr(command, "_say_what_is_ahead", lambda ready: None)
    monkeypatch.setattr(picking, "pick", lambda *a, **k: picked)
    monkeypatch.setattr(deploy, "write", lambda *a, **k: decision)
    monkeypatch.setattr(deploy, "runtimes", lambda *a: ["onnxruntime"])
    monkeypatch.setattr(confidence, "calibrating", lambda *a: None)
    monkeypatch.setattr("rich.console.Console.status", lambda *a, **k: Silent())
    done = CliRunner().invoke(cli, ["pick", "--data", str(tmp_path), "--out", str(tmp_path / "picked")])
    assert done.exit_code == 1, done.output
    assert "picked in 2:00" in done.stderr  # 10 s before, 60 s of the budget, 50 s after


class Silent:
    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *told: object) -> None:
        pass

    def update(self, *told: object) -> None:
        pass
