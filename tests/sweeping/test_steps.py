"""The identities of a sweep's steps: they change with what an outcome depends on, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

from edgebench.measuring.options import RunOptions
from edgebench.records import jsonio
from edgebench.records.jobs import Policy
from edgebench.records.recipe import TrainConfig
from edgebench.sweeping.steps import Export, Measure, StepOutcome, Train

TRAIN = Train(
    config=TrainConfig(dataset="/data/a"), folder="net-a-0123", contents={"dataset": "d" * 64}, tools={"torch": "2.9"}
)
EXPORT = Export(source=TRAIN.identity, target="onnx", precision="fp32", tools={"onnx": "1"})
OPTIONS = RunOptions(runtimes=("fake",), duration_s=2, policy=Policy(1, 0))
MEASURE = Measure(source=EXPORT.identity, device="cpu", machine="a machine", options=OPTIONS, tools={"fake": "1"})


def test_a_step_read_back_from_json_is_the_same_step() -> None:
    for step in (TRAIN, EXPORT, MEASURE, replace(MEASURE, options=RunOptions(runtimes=("fake",), scenario="evaluate"))):
        kept = StepOutcome(step=step, status="ok", since="then", began="now")
        back = jsonio.decode(StepOutcome, jsonio.encode(kept), "record")
        assert back.step.identity == step.identity and back.step.kind == step.kind and back == kept


def test_what_an_outcome_depends_on_changes_the_identity() -> None:
    others = [
        replace(TRAIN, config=replace(TRAIN.config, seed=1)), replace(TRAIN, contents={"dataset": "e" * 64}),
        replace(TRAIN, contents={**TRAIN.contents, "distill": "e" * 64}),
        replace(TRAIN, contents={**TRAIN.contents, "unlabelled": "e" * 64}),
        replace(TRAIN, config=replace(TRAIN.config, distill_weight=0.5)),
        replace(TRAIN, tools={"torch": "3.0"}), EXPORT, replace(EXPORT, source="0" * 64),
        replace(EXPORT, precision="int8"), MEASURE, replace(MEASURE, machine="another"),
        replace(MEASURE, options=replace(OPTIONS, duration_s=3.0)), replace(MEASURE, tools={"fake": "2"}),
        replace(MEASURE, options=replace(OPTIONS, policy=Policy(2, 0))),
    ]  # fmt: skip
    assert len({TRAIN.identity, *(step.identity for step in others)}) == len(others) + 1


def test_where_the_files_lie_does_not() -> None:
    moved = replace(
        TRAIN.config, dataset="/elsewhere/a", data_dir="/elsewhere", distill="/elsewhere/t", unlabelled="/f"
    )
    assert replace(TRAIN, config=moved, folder="net-a-4567").identity == TRAIN.identity
