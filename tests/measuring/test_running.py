"""Planning measurements: which runtimes are started to be asked, and what is refused before that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import make_artifact, make_job

from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import device
from edgebench.machine.children import Ending
from edgebench.measuring import process, running, worker
from edgebench.measuring.options import RunOptions
from edgebench.records.adopted import Adopted
from edgebench.records.probe import Probe
from edgebench.specs import TensorSpec


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runtimes that were asked; none of them opens anything."""
    names: list[str] = []

    def probe_all(given: list[str]) -> list[Probe]:
        names.extend(given)
        return [Probe(name=name, accepts=(), version="1", computes=("cpu",), libraries={}) for name in given]

    monkeypatch.setattr(process, "probe_all", probe_all)
    return names


def plan(tmp_path: Path, format: str, **options) -> None:
    profile = device.detect()
    placement = device.place(profile, require_device=False, environ={})
    running.plan([make_artifact(tmp_path / "made", format=format)], profile, placement, RunOptions(**options))


@pytest.mark.parametrize(
    ("format", "runtimes", "names"),
    [
        ("onnx", (), {"onnxruntime", "openvino"}),
        ("checkpoint", (), {"torch"}),
        ("tflite", (), {"litert", "openvino"}),
        ("onnx", ("torch",), {"torch"}),
        ("unheard-of", (), {"litert", "ncnn", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "torch"}),
    ],
)
def test_only_runtimes_that_say_they_open_it_are_asked(
    tmp_path: Path, asked: list[str], format: str, runtimes: tuple[str, ...], names: set[str]
) -> None:
    with pytest.raises(EdgebenchError, match=f"no runtime here opens {format}"):
        plan(tmp_path, format, runtimes=runtimes)
    assert set(asked) == names


def test_too_many_threads_are_refused_before_any_is_asked(tmp_path: Path, asked: list[str]) -> None:
    with pytest.raises(UsageError, match="--threads is 9999"):
        plan(tmp_path, "onnx", threads=9999)
    assert asked == []


IMAGES = TensorSpec("images", "float32", ("batch", 3, "h", "w"), sizes=(1, 3, 64, 96))
MASK = TensorSpec("a mask", "int64", ("batch", 9), sizes=(1, 9))
FIXED = TensorSpec("images", "float32", (1, 3, 64, 96), sizes=(1, 3, 64, 96))
STATE = TensorSpec("state", "float32", (2, "n", 4), sizes=(2, 1, 4))
NONE = "leave out --batch: no size of its inputs is an open batch"


@pytest.mark.parametrize(
    ("inputs", "known", "fix"),
    [
        ((IMAGES,), {}, "adopt {made}/net.onnx --shape images=4x3x64x96`"),
        ((IMAGES, MASK), {}, "adopt {made}/net.onnx --shape images=4x3x64x96 --shape 'a mask=4x9'`"),
        ((IMAGES,), {"file": "net.pth", "network": "f.py:g"}, "net.pth --model f.py:g --shape images=4x3x64x96`"),
        ((IMAGES,), {"file": "timm:vit", "network": "vit"}, "adopt timm:vit --shape images=4x3x64x96`"),
        ((FIXED,), {}, NONE),
        ((IMAGES, STATE), {}, NONE),
    ],
)
def test_another_batch_of_an_adopted_model_is_refused_before_any_runtime_is_asked(
    tmp_path: Path, asked: list[str], inputs: tuple[TensorSpec, ...], known: dict[str, Any], fix: str
) -> None:
    """The fix is a command to type, with the file, each input and the sizes that were asked for."""
    told = {"file": "net.onnx", "reference": "r", "inputs": "synthetic", "seed": 0, "requests": 8} | known
    made = make_artifact(tmp_path / "made", adopted=Adopted(**told), inputs=inputs)
    made = replace(made, files={"net.onnx": "0" * 64})
    profile = device.detect()
    placement = device.place(profile, require_device=False, environ={})
    with pytest.raises(UsageError, match="was adopted for requests of 1, not of 4") as refused:
        running.plan([made], profile, placement, RunOptions(batch=4))
    assert refused.value.fix.endswith(fix.format(made=made.path)) and asked == []


@pytest.mark.parametrize(("scenario", "asleep"), [("evaluate", True), ("verify", True), ("latency", False)])
def test_threads_of_a_worker_that_times_nothing_wait_asleep(
    monkeypatch: pytest.MonkeyPatch, scenario: str, asleep: bool
) -> None:
    """OpenMP's threads spin: beside other programs `evaluate` took 16 s of CPU for 72 pictures."""
    given = {}

    class Stopped(Exception):
        pass

    def child(command: list[str], *, environment: dict[str, str], **others: object) -> None:
        given.update(environment)
        raise Stopped

    monkeypatch.setattr(process, "Child", child)
    artifact = make_artifact()
    with pytest.raises(Stopped):
        process.run_job(make_job(artifact, scenario=scenario), artifact)
    assert given == {"OMP_NUM_THREADS": "1"} | ({"OMP_WAIT_POLICY": "passive"} if asleep else {})


def test_what_steers_a_workers_threads_from_outside_is_in_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = device.detect()
    placement = device.place(profile, require_device=False, environ={})
    probe = Probe(name="onnxruntime", accepts=("onnx",), computes=("cpu", "cuda"))
    monkeypatch.setattr(process, "probe_all", lambda names: [probe])
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    (planned,) = running.plan([make_artifact()], profile, placement, RunOptions())
    assert planned.job.environment["OMP_WAIT_POLICY"] == "active"
    assert "OMP_NUM_THREADS" not in planned.job.environment  # its threads say that


def test_an_evaluation_compares_at_its_own_batch_alone() -> None:
    """At 1 and 3 as well, the 64 pictures of the reference took longer than those of the test split."""
    artifact = make_artifact()
    for scenario, batches in (("evaluate", [16]), ("verify", [1, 3, 16])):
        assert worker._batches_to_verify(make_job(artifact, scenario=scenario, batch=16), artifact) == batches


def test_adapters_share_a_process_until_one_takes_it_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor` started six, and each that needs torch loaded it again."""
    asked: list[tuple[str, ...]] = []

    def answered(adapters):
        names = [name for _, name in adapters]
        asked.append(tuple(names))
        done = names[: names.index("crashes")] if len(names) > 1 and "crashes" in names else names
        return [Probe(name=name) for name in done], Ending(cause="signal")

    monkeypatch.setattr(process, "_probe", answered)
    good = [("runtimes", "one"), ("exporters", "two"), ("runtimes", "three")]
    assert [probe.name for probe in process.probe(good)] == ["one", "two", "three"] and len(asked) == 1
    asked.clear()
    assert len(process.probe([good[0], ("runtimes", "crashes"), good[2]])) == 3
    assert asked[0] == ("one", "crashes", "three") and set(asked[1:]) == {("crashes",), ("three",)}


def test_a_slow_board_is_told_that_it_is_slow_and_what_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_probe", lambda adapters: ([], Ending(cause="timeout")))
    (found,) = process.probe([("runtimes", "onnxruntime")])
    assert "not loaded within 180 s" in found.error and "slow or busy" in found.error
    assert "EDGEBENCH_PROBE_LIMIT=600" in found.fix and "reinstall" not in found.fix
    for wrong in ("long", "nan", "inf", "-5"):
        monkeypatch.setenv("EDGEBENCH_PROBE_LIMIT", wrong)
        with pytest.raises(UsageError, match="no number of seconds"):
            process.probe([("runtimes", "onnxruntime")])


@pytest.mark.parametrize("evidence", ["measured", "emulated"])
def test_a_board_of_its_own_may_compute_on_its_cpu_but_a_stand_in_on_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: str
) -> None:
    """A virtual board is emulated too, and is no stand-in: what its profile prefers is a default there."""
    made, profile = make_artifact(tmp_path / "made", format="onnx"), device.load_profile("jetson_orin")
    found = Probe(name="onnxruntime", accepts=("onnx",), version="1", computes=("cpu", "cuda"), libraries={})
    monkeypatch.setattr(process, "probe_all", lambda names: [found])
    board = device.Placement(evidence=evidence, compute="cuda")
    planned = running.plan([made], profile, board, RunOptions(runtimes=("onnxruntime",), compute="cpu"))
    assert [each.job.compute for each in planned] == ["cpu"]
    desk = device.Placement(evidence="emulated", compute="cpu", stands_in=True)
    with pytest.raises(UsageError, match="runs on cpu, not on cuda"):
        running.plan([made], profile, desk, RunOptions(runtimes=("onnxruntime",), compute="cuda"))
