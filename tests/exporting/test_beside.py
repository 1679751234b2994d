"""How fast a lower precision is beside fp32: measured by turns at its export, kept, and told where it counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import foreign
import pytest
from adopted_here import adopted, exports_here

from edgebench import artifact as folder
from edgebench.exporting import beside, pipeline
from edgebench.machine import registry
from edgebench.machine.fingerprint import fingerprint
from edgebench.measuring import worker
from edgebench.records.beside import BesideFp32, cpu_kind
from edgebench.records.jobs import Job
from edgebench.results import stats
from edgebench.specs import Artifact


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An artifact in fp16, timed beside fp32 on one runtime."""
    tmp_path = tmp_path_factory.mktemp("half")
    source, workspace = adopted(foreign.heavy(tmp_path / "heavy.onnx"), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        exports_here(patch)
        patch.setattr(beside, "PAIRS", 6)
        one = {"onnxruntime": registry.facts("runtimes", "onnxruntime")}
        patch.setattr(beside.registry, "all_facts", lambda kind: one)
        return pipeline.export(source, "onnx", workspace, precision="fp16", compare=True).artifact


def test_an_export_keeps_how_fast_it_is_by_runtime_and_processor(half: Artifact) -> None:
    (found,) = folder.read(half.path).beside_fp32
    assert found.runtime == "onnxruntime" and found.cpu == cpu_kind(fingerprint())
    assert 0 < found.low <= found.ratio <= found.high


@pytest.mark.parametrize(("cpu", "ratio", "warned"), [(None, 2.0, True), (None, 0.5, False), ("another", 2.0, False)])
def test_a_run_warns_of_what_is_slower_on_this_runtime_and_processor(
    half: Artifact, tmp_path: Path, cpu: str | None, ratio: float, warned: bool
) -> None:
    known = BesideFp32(
        runtime="onnxruntime", cpu=cpu or cpu_kind(fingerprint()), ratio=ratio, low=0.9 * ratio, high=1.1 * ratio
    )
    job = Job(
        artifact=half.identity, runtime="onnxruntime", device="cpu", compute="cpu", precision="fp16", scenario="verify"
    )
    result = worker.run_job(job, replace(half, beside_fp32=(known,)), verify=False)
    told = [one.message for launch in result.launches for one in launch.notices if one.code == "slower_than_fp32"]
    assert bool(told) == warned and all("0.50 × as fast as fp32 on onnxruntime (0.45 to 0.56)" in one for one in told)


def test_what_is_told_names_a_difference_that_is_none() -> None:
    one = BesideFp32(runtime="openvino", cpu="", ratio=1.0, low=0.98, high=1.03)
    assert one.told.endswith("which is not distinguishable)") and not one.slower


def test_the_ratio_of_pairs_has_the_interval_of_its_median() -> None:
    base = [100] * 21
    ratio, low, high = stats.median_ratio(base, [200 + n for n in range(21)])
    assert (ratio, low, high) == (2.10, 2.05, 2.15)  # ranks 6 and 16 of 21 hold the median with 97 %
    assert stats.median_ratio([100, 100, 100], [90, 110, 100]) == (1.0, 0.9, 1.1)
