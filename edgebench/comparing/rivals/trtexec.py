"""Runs NVIDIA's trtexec with the settings of an edgebench job and reads its output. Unverified on hardware."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError
from edgebench.machine import registry
from edgebench.records.jobs import Job
from edgebench.specs import Artifact

RUNTIME = "tensorrt"  # the runtime that it runs
JETPACK = Path("/usr/src/tensorrt/bin/trtexec")  # where JetPack puts it, outside PATH


def program() -> str | None:
    """The path of trtexec, None if it is not installed."""
    return shutil.which("trtexec") or (str(JETPACK) if JETPACK.is_file() else None)


def run(job: Job, artifact: Artifact, folder: Path) -> dict[str, float]:
    """The figures of one whole run of the plan at the job's batch and duration, by names with their unit.

    From 11.0 on, trtexec by default leaves out the copies, uses a CUDA graph and spins while it waits. edgebench does
    none of these, so they are switched off. Raises EdgebenchError with its last message if it fails.
    """
    spec = artifact.inputs[0]
    shape = "x".join(map(str, (job.batch, *spec.shape[1:])))
    suffix = registry.facts("runtimes", RUNTIME).suffixes[artifact.format]
    command = [
        program() or "trtexec",
        f"--loadEngine={model_file(artifact, suffix).resolve()}", f"--shapes={spec.name}:{shape}",
        f"--duration={max(1, round(job.duration_s))}", f"--warmUp={round(job.warmup_s * 1e3)}", "--iterations=10",
    ]  # fmt: skip
    command += _as_before_11(command[0])
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=job.time_limit_s
    )
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "[E]" in line] or ["it said nothing"]
        raise EdgebenchError(f"trtexec ended with exit code {done.returncode}: {said[-1]}")
    return parse(done.stdout)


def _as_before_11(program: str) -> list[str]:
    """The options that give trtexec 11 the defaults of 10, those that its help lists."""
    wanted = ("--includeDataTransfers", "--noCudaGraph", "--noSpinWait")
    text = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60).stdout
    return [option for option in wanted if option in text]


def parse(text: str) -> dict[str, float]:
    """The figures of `=== Performance summary ===`. Raises EdgebenchError if there is none."""
    summary = text.partition("=== Performance summary ===")[2]
    latency = re.search(r"\] Latency: min = ([\d.]+) ms, .*?median = ([\d.]+) ms", summary)
    compute = re.search(r"GPU Compute Time: min = ([\d.]+) ms, .*?median = ([\d.]+) ms", summary)
    throughput = re.search(r"Throughput: ([\d.]+) qps", summary)
    if not (latency and throughput):
        raise EdgebenchError("trtexec printed no performance summary", "try another version of TensorRT")
    figures = {
        "min_ns": float(latency[1]) * 1e6,
        "median_ns": float(latency[2]) * 1e6,
        "throughput_per_s": float(throughput[1]),
    }
    return figures | ({"device_median_ns": float(compute[2]) * 1e6} if compute else {})
