"""Processes that evaluate: one for all artifacts of a runtime, and what ends one costs a single row."""

from __future__ import annotations

import gc
import weakref
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from conftest import PATIENCE_S, PLUGINS
from factories import make_artifact, make_job, make_result

from edgebench import artifact as folder
from edgebench.measuring import process, serving, testset
from edgebench.measuring.evaluators import Evaluators
from edgebench.measuring.options import RunOptions
from edgebench.records import jsonio
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact
from edgebench.training import evaluating

ORIGIN = "3" * 64


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of each worker that was started."""
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.syspath_prepend(PLUGINS)
    made: list[list[str]] = []
    start = process.start_worker

    def counted(arguments: list[str], *given, **named) -> object:
        made.append(arguments)
        return start(arguments, *given, **named)

    monkeypatch.setattr(process, "start_worker", counted)
    return made


@pytest.fixture
def artifacts(tmp_path: Path) -> list[Artifact]:
    return [make_artifact(tmp_path / name, content=b"\x08" + bytes([i])) for i, name in enumerate("abc", 7)]


@pytest.fixture
def images(tmp_path: Path, artifacts: list[Artifact]) -> Path:
    found = folder.read_reference(artifacts[0])
    path = tmp_path / "test.npz"
    testset.write(path, np.ascontiguousarray(found.images), found.labels, found.logits, ORIGIN)
    return path


def evaluate(artifacts: list[Artifact], images: Path, *runtimes: str, **options) -> list[Result]:
    asked = RunOptions(runtimes=runtimes, batch=1, time_limit_s=options.pop("time_limit_s", PATIENCE_S), **options)
    files = {each.identity: images for each in artifacts}
    return evaluating.evaluate(artifacts, files, Workspace(images.parent / "runs"), asked, device="cpu")


def test_all_artifacts_of_a_runtime_are_judged_in_one_process_as_each_would_be_alone(
    artifacts: list[Artifact], images: Path, started: list[list[str]]
) -> None:
    done = evaluate(artifacts, images, "faulty", "fake")
    assert [(each.artifact.identity, each.job.runtime, each.status) for each in done] == [
        (each.identity, name, "ok") for each in artifacts for name in ("faulty", "fake")
    ]
    assert [words[0] for words in started] == ["evaluate", "evaluate"]
    for result, artifact in zip(done[::2], artifacts, strict=True):
        alone = process.run_job(result.job, artifact, images=images)
        assert (result.evaluation, result.parity) == (alone.evaluation, alone.parity)
        assert result.evaluation.agreement == 1.0
        (launch,) = result.launches  # what the others left in the process is not this one's
        assert launch.load_ns is launch.first_ns is launch.memory.peak_bytes is None and launch.memory.reason


@pytest.mark.parametrize(
    ("fault", "status", "tries", "limits"),
    [
        ("segfault", "crashed", 2, {}),
        ("exit", "crashed", 2, {}),
        ("memory_error", "out_of_memory", 2, {}),
        ("hang", "timeout", 1, {"time_limit_s": 30}),
        ("raise", "failed", 1, {}),
    ],
)
def test_an_artifact_that_ends_its_process_costs_its_own_row_alone(
    artifacts: list[Artifact], images: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch,
    fault: str, status: str, tries: int, limits: dict,
) -> None:  # fmt: skip
    """One that may have failed because of those before it is tried once more, in a process of its own."""
    monkeypatch.setenv("FAULTY_FAULT", fault)
    monkeypatch.setenv("FAULTY_ONLY", "b")
    done = evaluate(artifacts, images, "faulty", **limits)
    assert [result.status for result in done] == ["ok", status, "ok"]
    assert len(started) == 1 + tries
    assert fault != "exit" or (done[1].log_tail == "I leave you\n" and done[2].log_tail == "")


def test_a_runtime_that_nothing_is_evaluated_on_has_no_process(images: Path, started: list[list[str]]) -> None:
    workers = Evaluators()
    try:
        found = workers.ask(["fake", "no_such_runtime"], 1, None)
        assert (found[0].computes, found[0].error) == (("cpu", "cuda"), "") and found[1].error
        one = workers._of["fake"]
        workers.keep({"no_such_runtime"})
        assert not one.alive and list(workers._of) == ["no_such_runtime"]
    finally:
        workers.close()


def test_a_session_is_gone_before_the_next_is_opened(tmp_path: Path, artifacts: list[Artifact]) -> None:
    class Session:
        """One that refers to itself, as a library's may: counting references alone does not free it."""

        def __init__(self) -> None:
            self.me = self

    alive: list[weakref.ref[Session]] = []

    def run_job(job: object, artifact: Artifact, **given: object) -> Result:
        assert not [each for each in alive if each()]
        alive.append(weakref.ref(Session()))
        return make_result(artifact=artifact)

    ours, theirs = Pipe()
    gc.disable()
    try:
        thread = Thread(target=serving.serve, args=(theirs, run_job, lambda phase: None))
        thread.start()
        jsonio.write(tmp_path / "job.json", make_job(artifacts[0]))
        for artifact in artifacts:
            asked = {
                "job": str(tmp_path / "job.json"), "artifact": str(artifact.path), "images": "", "answers": "",
                "cores": None, "result": str(tmp_path / "result.json"),
            }  # fmt: skip
            ours.send_bytes(jsonio.dumps(asked).encode())
            assert ours.poll(PATIENCE_S) and ours.recv_bytes() == b""
        ours.close()
        thread.join(PATIENCE_S)
    finally:
        gc.enable()
    assert len(alive) == len(artifacts) and not thread.is_alive()
