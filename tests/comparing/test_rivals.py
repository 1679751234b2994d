"""What the vendors' tools print is read rightly, and what they do not print is an error, not a figure."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import foreign
import numpy as np
import onnx
import pytest
from adoption import adopted
from factories import make_artifact, make_job, make_result, make_samples
from hypothesis import given
from hypothesis import strategies as st

from edgebench import artifact as folder
from edgebench.commands import _progress
from edgebench.comparing import crosscheck
from edgebench.comparing.rivals import benchmark_app, benchmark_litert, perf_test, trtexec
from edgebench.errors import EdgebenchError
from edgebench.specs import Artifact

REPORT = {
    "execution_results": {
        "latency (ms)": "2.02", "avg latency": "2.15", "min latency": "0.36", "max latency": "7.93",
        "throughput": "447.06", "total number of iterations": "895",
    }
}  # fmt: skip
# The layout of TensorRT 10 and 11 (samples/common/sampleReporting.cpp).
SUMMARY = """\
[I] === Performance summary ===
[I] Throughput: 1048.34 qps
[I] Latency: min = 0.930176 ms, max = 1.2312 ms, mean = 0.961 ms, median = 0.9523 ms, percentile(90%) = 0.97 ms
[I] Enqueue Time: min = 0.2 ms, max = 0.9 ms, mean = 0.31 ms, median = 0.3 ms, percentile(90%) = 0.4 ms
[I] H2D Latency: min = 0.05 ms, max = 0.09 ms, mean = 0.06 ms, median = 0.06 ms, percentile(90%) = 0.07 ms
[I] GPU Compute Time: min = 0.87 ms, max = 1.11 ms, mean = 0.89 ms, median = 0.88 ms, percentile(90%) = 0.9 ms
[I] D2H Latency: min = 0.003 ms, max = 0.01 ms, mean = 0.004 ms, median = 0.004 ms, percentile(90%) = 0.005 ms
"""


def test_benchmark_apps_report() -> None:
    figures = benchmark_app.parse(json.dumps(REPORT))
    assert figures == {"median_ns": 2.02e6, "min_ns": 0.36e6, "throughput_per_s": 447.06}


def test_trtexecs_summary() -> None:
    figures = trtexec.parse("Latency: min = 9 ms, median = 9 ms\n" + SUMMARY)
    assert figures == {
        "min_ns": 930176.0, "median_ns": 952300.0, "throughput_per_s": 1048.34, "device_median_ns": 880000.0,
    }  # fmt: skip
    without = "\n".join(line for line in SUMMARY.splitlines() if "GPU Compute" not in line)
    assert "device_median_ns" not in trtexec.parse(without)


def test_perf_tests_statistics_are_in_seconds() -> None:
    told = "Runs:53\nMin Latency: 8.05e-05 s\nMax Latency: 0.0458328 s\nP50 Latency: 0.0163829 s\nP90 Latency: 0.03 s\n"
    assert perf_test.parse(told) == pytest.approx({"median_ns": 16_382_900, "min_ns": 80_500})


def test_benchmark_litert_models_report() -> None:
    told = json.dumps({"latency": {"avg_ms": 2.2, "median_ms": 2.01, "min_ms": 1.9}})
    assert benchmark_litert.parse(told) == pytest.approx({"median_ns": 2.01e6, "min_ns": 1.9e6})


@given(st.text() | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(json.dumps))
def test_anything_else_is_one_clear_error(text: str) -> None:
    for parse in (benchmark_app.parse, trtexec.parse, perf_test.parse, benchmark_litert.parse):
        with pytest.raises(EdgebenchError):
            parse(text)


def _pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str = "trtexec") -> None:
    """A program on PATH that is this Python script."""
    program = folder / name
    program.write_text(f"#!{sys.executable}\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_trtexec_of_11_is_told_to_measure_as_10_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    help_text = "--includeDataTransfers --noSpinWait --noCudaGraph"
    _pretend(
        tmp_path, monkeypatch,
        f"import sys\nif '--help' in sys.argv: print({help_text!r}); sys.exit()\n"
        f"open({str(said)!r}, 'w').write(' '.join(sys.argv[1:]))\nprint({SUMMARY!r})\n",
    )  # fmt: skip
    found = replace(make_artifact(format="tensorrt", files={"model.engine": ""}), path=tmp_path)
    assert trtexec.run(make_job(found, runtime="tensorrt", batch=2), found, tmp_path)["median_ns"] == 952300.0
    words = said.read_text().split()
    assert {*help_text.split(), "--shapes=input:2x3x8x8", "--duration=2"} <= set(words)


def test_a_failing_trtexec_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(
        tmp_path, monkeypatch, "import sys\nprint('[E] plan of another version')\nsys.exit('--help' not in sys.argv)"
    )
    found = replace(make_artifact(format="tensorrt", files={"model.engine": ""}), path=tmp_path)
    with pytest.raises(EdgebenchError, match="plan of another version"):
        trtexec.run(make_job(found, runtime="tensorrt"), found, tmp_path)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Adopted, with three inputs: open sizes, another type, a scalar."""
    root = tmp_path_factory.mktemp("voice")
    return adopted(foreign.voice(root / "voice.onnx"), root / "made")


def test_perf_test_gets_the_requests_of_an_adopted_model(
    voice: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the program looks for them: `test_data_set_N/input_M.pb` beside the model."""
    script = "import sys\nprint('P50 Latency: 0.002 s\\nMin Latency: 0.001 s')"
    _pretend(tmp_path, monkeypatch, script, perf_test.NAME)
    job = make_job(voice, runtime="onnxruntime")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert perf_test.run(job, voice, scratch)["median_ns"] == 2e6
    (requests,) = {len(folder.requests(voice, 1))}
    assert len(list(scratch.glob("perf_test/test_data_set_*"))) == requests
    for spec, file in zip(voice.inputs, sorted(scratch.glob("perf_test/test_data_set_0/*.pb")), strict=True):
        tensor = onnx.load_tensor(str(file))
        assert tensor.name == spec.name and tuple(tensor.dims) == spec.sizes
        assert (onnx.numpy_helper.to_array(tensor) == folder.requests(voice, 1)[0][spec.name]).all()
    assert onnx.load(str(scratch / "perf_test" / "voice.onnx")).graph.node
    assert perf_test.run(job, voice, scratch), "the next round finds them"


def test_benchmark_app_gets_the_requests_in_the_types_of_the_model(voice: Artifact, tmp_path: Path) -> None:
    given = folder.requests(voice, 1)
    option, types = benchmark_app._types(given[0])
    assert option == "-iop" and set(types.split(",")) == {
        f"{spec.name}:{'f32' if spec.dtype == 'float32' else 'i64'}" for spec in voice.inputs
    }
    option, files = benchmark_app._inputs(given, tmp_path)
    assert option == "-i" and all(f"{spec.name}:{tmp_path}" in files for spec in voice.inputs)
    assert (np.load(tmp_path / "input-0-0.npy") == given[0][voice.inputs[0].name]).all()
    odd = [{"a b": given[0][voice.inputs[0].name], "gpu_0/data": given[0][voice.inputs[0].name]}]
    assert benchmark_app._inputs(odd, tmp_path) == [], "it cannot be told their names"


@pytest.mark.parametrize("name", ["bare_onnxruntime", "bare_openvino", "bare_litert"])
def test_the_bare_loops_know_nothing_of_edgebench(name: str) -> None:
    import edgebench.comparing.rivals

    path = Path(edgebench.comparing.rivals.__file__).with_name(f"{name}.py")
    assert "edgebench" not in "".join(line for line in path.read_text().splitlines(True) if "import" in line)
    blocked = f"import sys; sys.modules['edgebench'] = None; exec(open({str(path)!r}).read(), {{'__name__': 'x'}})"
    subprocess.run([sys.executable, "-c", blocked], check=True)


@pytest.mark.parametrize(("figure", "requests", "least"), [("p90_ns", 10, 29), ("median_ns", 5, 6)])
def test_a_run_of_too_few_requests_says_how_long_one_has_to_be(
    figure: str, requests: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough for a median may be too few for the figure that is compared."""
    short = make_result(samples=make_samples(tuple([1_000_000] * requests)), duration_s=0.5)
    monkeypatch.setattr(crosscheck.process, "run_job", lambda job, found, verify: short)
    with pytest.raises(EdgebenchError, match=f"makes {requests} requests, and its .* takes {least}") as told:
        crosscheck._ours(short.job, short.artifact, figure, Path())
    longer = int(told.value.fix.removeprefix("--duration "))
    assert longer / 0.5 * requests >= least


def test_a_result_without_a_median_names_the_options_that_give_one() -> None:
    few, enough = (make_result(samples=make_samples(tuple([1_000_000] * count))) for count in (5, 6))
    told = _progress.told(few, Path("result.json"))
    assert "median –" in told and "--max-seconds" in told and "--duration" in told
    assert "too few" not in _progress.told(enough, Path("result.json"))
