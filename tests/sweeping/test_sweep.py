"""Working off steps: order, failures, what is done already, the records, and how long it will take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_artifact, make_result

from edgebench.errors import EdgebenchError, NewerFile
from edgebench.exporting.pipeline import PlannedExport
from edgebench.measuring.options import RunOptions
from edgebench.records import jsonio, replacing
from edgebench.records.jobs import Policy
from edgebench.records.recipe import TrainConfig
from edgebench.records.workspace import Workspace, now
from edgebench.results import store
from edgebench.specs import Artifact
from edgebench.sweeping import perform, records, sweep
from edgebench.sweeping.estimate import Durations
from edgebench.sweeping.matrix import Cell, Matrix
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Export, Measure, Step, StepOutcome, Train, alone, race_together
from edgebench.sweeping.sweep import ReadySweep
from edgebench.sweeping.work import SweepState, settled, work

OPTIONS = RunOptions(runtimes=("fake",), policy=Policy(max_seconds=30))


def chain(seed: int) -> list[Step]:
    """A training, its export, and two measurements of that."""
    train = Train(config=TrainConfig(seed=seed), folder=f"net-{seed}", contents={"dataset": "d"}, tools={})
    export = Export(source=train.identity, target="onnx", precision="fp32")
    measured = [
        Measure(source=export.identity, device="cpu", machine="m", options=replace(OPTIONS, batch=batch))
        for batch in (1, 2)
    ]
    return [train, export, *measured]


class Stub:
    """An engine that does steps at once, by writing what they would have made; fails those it is told to."""

    def __init__(self, kept: Records, failing: dict[str, str] | None = None, at_once: int = 2) -> None:
        self.kept, self.failing, self.at_once = kept, failing or {}, at_once
        self.started: list[Step] = []
        self.together: list[int] = []
        self.running: list[StepOutcome] = []
        self.closed = 0

    def has_room(self, step: Step) -> bool:
        if alone(step):
            return not self.running
        return len(self.running) < self.at_once and not any(alone(each.step) for each in self.running)

    def start(self, steps: Sequence[Step]) -> list[StepOutcome]:
        self.started += steps
        self.together.append(len(steps))
        begun = [self.kept.begin(step) for step in steps]
        self.running += begun
        return begun

    def ended(self, timeout_s: float) -> list[StepOutcome]:
        begun = self.running.pop(0)
        return [self.kept.end(self.outcome(begun))]

    def outcome(self, begun: StepOutcome) -> StepOutcome:
        step, root = begun.step, self.kept.workspace.root
        if step.title in self.failing:
            return replace(begun, status="failed", message=self.failing[step.title], seconds=1.0)
        source = self.kept.read(step.needs[0]) if step.needs else None
        made_from = source.product if source else ""
        if isinstance(step, Measure):
            path = store.save(replace(make_result(), created=now()), root / "results")
            return replace(begun, status="ok", path=str(path.relative_to(root)), made_from=made_from, seconds=2.0)
        folder = root / step.identity[:8]
        made = make_artifact(folder, format="checkpoint" if step.kind == "train" else "onnx")
        return replace(
            begun, status="ok", path=folder.name, product=made.identity, made_from=made_from, seconds=4.0
        )  # fmt: skip

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def kept(tmp_path: Path) -> Records:
    with Records(Workspace(tmp_path / "runs")) as records:
        yield records


def test_every_step_is_done_once_and_then_never_again(kept: Records) -> None:
    steps = [*chain(0), *chain(1)]
    engine = Stub(kept)
    outcomes = work(steps, kept, engine)
    assert {o.status for o in outcomes.values()} == {"ok"} and len(engine.started) == len(steps)
    assert [s.kind for s in engine.started[:4]] == ["train", "train", "export", "export"], "what shares comes first"
    again = Stub(kept)
    assert work(steps, kept, again) == outcomes and not again.started and again.closed


def test_measurements_that_may_race_begin_together_once_all_are_ready(kept: Records) -> None:
    steps = [*chain(0), *chain(1)]
    engine = Stub(kept)
    work(steps, kept, engine)
    assert engine.together == [1, 1, 1, 1, 2, 2], "those of one batch size"
    alike, other_batch = steps[2], steps[3]
    assert race_together(alike, steps[6]) and not race_together(alike, other_batch)
    for changes in ({"race": False}, {"scenario": "evaluate"}, {"threads": 2}):
        other = replace(steps[6], options=replace(steps[6].options, **changes))
        assert not race_together(other, alike)
    assert not race_together(replace(steps[6], device="raspberry_pi_4"), alike)


def test_what_a_failed_step_leads_to_is_given_up_and_the_rest_goes_on(kept: Records) -> None:
    steps = [*chain(0), *chain(1)]
    bad = steps[0].title
    outcomes = work(steps, kept, Stub(kept, {bad: "no memory"}))
    assert [outcomes[s.identity].status for s in steps] == ["failed"] * 4 + ["ok"] * 4
    assert outcomes[steps[3].identity].message == f"[{bad}] no memory"
    retried = Stub(kept)
    work(steps, kept, retried)
    assert retried.started == steps[:4], "a later sweep tries them again, and them alone"


def test_a_product_that_is_gone_is_made_again_with_what_follows_from_another_one(kept: Records) -> None:
    steps = chain(0)
    outcomes = work(steps, kept, Stub(kept))
    (kept.workspace.root / outcomes[steps[2].identity].path).unlink()
    assert steps[2].identity not in settled(steps, kept) and len(settled(steps, kept)) == 3
    record = kept.read(steps[1].identity)
    kept.end(replace(record, made_from="another checkpoint"))
    assert list(settled(steps, kept)) == [steps[0].identity]


def test_a_record_that_is_damaged_or_of_another_step_counts_as_none(kept: Records) -> None:
    steps = chain(0)
    work(steps, kept, Stub(kept))
    files = [kept.folder / "steps" / f"{step.identity}.json" for step in steps]
    files[0].write_text("{")
    files[1].write_bytes(files[2].read_bytes())
    assert not settled(steps, kept) and len(list(kept.all())) == 2


def test_a_record_of_a_newer_edgebench_is_told_and_not_done_over(kept: Records) -> None:
    steps = chain(0)
    file = kept.folder / "steps" / f"{steps[0].identity}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"schema": 2, "verdict": "done"}')
    with pytest.raises(NewerFile, match="has schema 2, newer than 1"):
        kept.read(steps[0].identity)
    assert file.read_text() == '{"schema": 2, "verdict": "done"}'


def test_a_step_that_was_cut_short_keeps_when_it_first_began(kept: Records) -> None:
    step = chain(0)[0]
    first = kept.begin(step)
    second = kept.begin(step)
    assert (second.since, second.attempts) == (first.since, 2) and second.began > first.began
    kept.end(replace(second, status="failed"))
    assert kept.begin(step).since > first.since


def test_ctrl_c_closes_the_engine_and_keeps_what_is_done(kept: Records) -> None:
    steps, engine = chain(0), Stub(kept)

    def interrupt(state) -> None:
        if len(state.outcomes) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(steps, kept, engine, interrupt)
    assert engine.closed == 1 and len(settled(steps, kept)) == 2


def test_two_sweeps_in_one_workspace_do_not_meet(kept: Records) -> None:
    with pytest.raises(EdgebenchError, match="another sweep is at work") as error, Records(kept.workspace):
        pass
    assert "process" in str(error.value)
    with Records(Workspace(kept.workspace.root.with_name("other"))):
        pass


def test_scratch_folders_of_killed_processes_are_removed_when_a_sweep_begins(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    alive, dead, old = (f".{name}{ending}" for name, ending in (
        ("a-onnx.1", replacing.PARTIAL), ("a-onnx.2", replacing.PARTIAL), ("b-onnx", replacing.OLD),
    ))  # fmt: skip
    for name in (dead, old, alive, ".net.unfinished", "a-onnx", ".holiday.partial"):
        (folder / name).mkdir(parents=True)
    held = os.open(folder / alive, os.O_RDONLY)
    assert replacing.taken(held)
    with Records(Workspace(tmp_path)):
        left = {path.name for path in folder.iterdir()}
    os.close(held)
    assert left == {alive, ".net.unfinished", "a-onnx", "b-onnx", ".holiday.partial"}


def test_the_lock_of_a_killed_sweep_whose_number_is_used_again_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps hold the lock until they are gone; a living process that has its number now is not that sweep."""
    seen = []
    monkeypatch.setattr(records, "taken", lambda handle: seen.append(handle) or len(seen) > 1)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "lock").write_text(f"process {os.getpid()} since then\n{os.getpid()}-1")
    with Records(Workspace(tmp_path)):
        assert len(seen) == 2


def test_the_time_left_rests_on_like_steps_and_says_what_is_unknown(kept: Records) -> None:
    steps = chain(0)
    nothing = Durations().left(steps, {}, 1, now())
    assert nothing.seconds == 60 and nothing.bounded == 2 and nothing.unknown == {"train": 1, "export": 1}
    assert "not known" not in nothing.sentence() and "1 train, 1 export" in nothing.sentence()
    work(steps, kept, Stub(kept))
    known = Durations(kept.all()).left(chain(1), {}, 1, now())
    assert (known.seconds, known.known, known.unknown) == (4 + 4 + 2 + 2, 4, {})
    assert Durations().left([], {}, 1, now()).sentence() == "nothing is left to do"


@pytest.mark.parametrize(
    ("policy", "seconds"), [(Policy(3, 0.01, 90), 90), (Policy(3, 0, 900), 36), (Policy(3, 0, 30), 30)]
)
def test_before_the_first_measurement_one_is_reckoned_as_long_as_it_may_take(policy: Policy, seconds: float) -> None:
    options = replace(OPTIONS, warmup_s=0.5, duration_s=1.5, policy=policy)
    found = Durations().left([replace(chain(0)[-1], options=options)], {}, 1, now())
    assert (found.seconds, found.bounded) == (seconds, 1)


def test_the_log_tells_each_begin_and_end(kept: Records) -> None:
    work(chain(0), kept, Stub(kept))
    lines = (kept.folder / "log.jsonl").read_text().splitlines()
    assert len(lines) == 8 and all('"event": "' in line for line in lines)
    assert all(jsonio.read(StepOutcome, path).status == "ok" for path in (kept.folder / "steps").iterdir())


def ready(kept: Records, steps: list[list[Step]], engine: Stub) -> ReadySweep:
    cells = tuple(
        Cell(
            model="net",
            subset="full",
            seed=seed,
            target="onnx",
            precision="fp32",
            runtime="fake",
            device="cpu",
            steps=tuple(chain[:-1]),
        )
        for seed, chain in enumerate(steps)
    )
    return ReadySweep(
        matrix=Matrix(cells, ("tensorrt: not here",)), sites=(), workspace=kept.workspace, at_once=1,
        engine=lambda kept, say: engine,
    )  # fmt: skip


def test_a_sweep_from_python_says_how_each_cell_ended(tmp_path: Path) -> None:
    kept, good, bad = Records(Workspace(tmp_path / "runs")), chain(0), chain(1)
    engine = Stub(kept, {bad[0].title: "no memory"})
    asked = ready(kept, [good, bad], engine)
    assert not asked.done() and asked.estimate().unknown == {"train": 2, "export": 2}
    moments: list[int] = []
    swept = sweep.sweep(asked, on_change=lambda state: moments.append(len(state.outcomes)))
    first, second = swept.cells
    assert (first.status, first.median_ms, first.accuracy) == ("ok", pytest.approx(1.049), None)
    assert set(first.paths) == {"train", "export", "measure"} and not second.paths
    assert (second.status, second.message) == ("failed", "no memory") and swept.failed == 1
    assert swept.left_out == ("tensorrt: not here",) and not swept.interrupted and moments[-1] == 6
    assert set(asked.done()) == {step.identity for step in good[:-1]}


def test_a_sweep_from_python_that_is_interrupted_keeps_what_is_done(tmp_path: Path) -> None:
    kept = Records(Workspace(tmp_path / "runs"))

    def interrupt(state: SweepState) -> None:
        if len(state.outcomes) == 2:
            raise KeyboardInterrupt

    swept = sweep.sweep(ready(kept, [chain(0)], Stub(kept)), on_change=interrupt)
    assert swept.interrupted and swept.cells[0].status in ("waiting", "running") and swept.failed == 1
    assert sweep.sweep(ready(kept, [chain(0)], Stub(kept))).failed == 0


def test_an_export_is_made_for_the_device_of_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_artifact(tmp_path / "net", format="onnx")
    asked: list[object] = []

    def export(start: Artifact, target: str, where: Workspace, **given: object) -> PlannedExport:
        asked.append(given["device"])
        return PlannedExport(start, None)

    monkeypatch.setattr(perform.pipeline, "export", export)
    for device in ("rtx_a2000", ""):
        step = Export(source="s", target="tensorrt_rtx", precision="fp32", device=device)
        perform._exported(step, source, now(), Records(Workspace(tmp_path / "w")), lambda told: None)
    assert asked == ["rtx_a2000", None]
