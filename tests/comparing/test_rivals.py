"""What the vendors' tools print is read rightly, and what they do not print is an error, not a figure."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_artifact, make_job, make_result, make_samples
from hypothesis import given
from hypothesis import strategies as st

from edgebench.commands import _progress
from edgebench.comparing import crosscheck
from edgebench.comparing.rivals import benchmark_app, trtexec
from edgebench.errors import EdgebenchError

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


@given(st.text() | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(json.dumps))
def test_anything_else_is_one_clear_error(text: str) -> None:
    for parse in (benchmark_app.parse, trtexec.parse):
        with pytest.raises(EdgebenchError):
            parse(text)


def _pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A trtexec on PATH that is this Python script."""
    program = folder / "trtexec"
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


@pytest.mark.parametrize("name", ["bare_onnxruntime", "bare_openvino"])
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
