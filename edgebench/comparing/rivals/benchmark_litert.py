"""Runs LiteRT's own benchmark_litert_model with the settings of an edgebench job and reads its report."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError
from edgebench.machine import registry
from edgebench.records.jobs import Job
from edgebench.specs import Artifact

RUNTIME = "litert"  # the runtime that it runs
MODULE = "ai_edge_litert.tools.benchmark_litert_model"
FEW = 20  # requests of a first run, which tells how many fit into the job's duration
STEP_NS = 10_000  # what it rounds its figures to: a hundredth of a millisecond


def program() -> str | None:
    """The module, None if LiteRT's package is not installed or has none."""
    try:
        return MODULE if importlib.util.find_spec(MODULE) else None
    except ModuleNotFoundError:
        return None


def run(job: Job, artifact: Artifact, folder: Path) -> dict[str, float]:
    """The figures of one whole run with the job's threads, for about its duration, by names with their unit.

    It makes up its inputs, and takes open sizes as 1: refused. Raises EdgebenchError with its last message if it fails.
    """
    if any(isinstance(size, str) for spec in artifact.inputs for size in spec.shape):
        raise EdgebenchError("benchmark_litert_model cannot be told the sizes that the file leaves open")
    first = _run(job, artifact, folder, FEW)
    if first["median_ns"] < 100 * STEP_NS:
        raise EdgebenchError("benchmark_litert_model rounds to 0.01 ms, and a request takes less than 1 ms")
    return _run(job, artifact, folder, max(FEW, round(job.duration_s * 1e9 / first["median_ns"])))


def _run(job: Job, artifact: Artifact, folder: Path, count: int) -> dict[str, float]:
    path = model_file(artifact, registry.facts("runtimes", RUNTIME).suffixes[artifact.format]).resolve()
    report = folder / "litert.json"
    command = [
        sys.executable, "-m", MODULE, f"--model={path}", f"--num_runs={count}", f"--num_threads={job.threads or 1}",
        f"--result_json={report}",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=job.time_limit_s
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        raise EdgebenchError(f"benchmark_litert_model ended with exit code {done.returncode}: {said[-1]}")
    return parse(report.read_text())


def parse(text: str) -> dict[str, float]:
    """The figures of its report. Raises EdgebenchError if it is not one."""
    try:
        latency = json.loads(text)["latency"]
        return {"median_ns": float(latency["median_ms"]) * 1e6, "min_ns": float(latency["min_ms"]) * 1e6}
    except (ValueError, KeyError, TypeError) as error:
        raise EdgebenchError(
            f"benchmark_litert_model's report is not as expected: {error!r}", "try another version of LiteRT"
        ) from None
