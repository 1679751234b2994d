"""Runs OpenVINO's benchmark_app with the settings of an edgebench job and reads its report."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgebench.artifact import model_file, requests
from edgebench.errors import EdgebenchError
from edgebench.machine import registry
from edgebench.machine.scenario_registry import find
from edgebench.records.jobs import Job
from edgebench.specs import Artifact

RUNTIME = "openvino"  # the runtime that it runs
PRECISION = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}  # as the runtime asks for it
ELEMENTS = {"float": "f", "int": "i", "uint": "u"}  # numpy's types as it names them
PLAIN = re.compile(r"[\w.]+")  # the names of inputs for which it takes files


def program() -> str | None:
    """The path of benchmark_app: beside this Python, or on PATH; None if it is not installed."""
    beside = Path(sys.executable).with_name("benchmark_app")
    return str(beside) if beside.is_file() else shutil.which("benchmark_app")


def run(job: Job, artifact: Artifact, folder: Path) -> dict[str, float]:
    """The figures of one whole run with the job's batch, precision, threads and duration, by names with their unit.

    A scenario with several requests in flight uses the throughput hint; any other makes one synchronous request at a
    time. The threads go into a configuration file: benchmark_app refuses them beside a hint on its command line, though
    OpenVINO takes both. Raises EdgebenchError with its last message if it fails.
    """
    config, given = folder / "config.json", requests(artifact, job.batch)
    settings = {"INFERENCE_NUM_THREADS": job.threads} if job.threads else {}
    config.write_text(json.dumps({"CPU": settings}))
    sizes = {spec.name: spec.sizes if artifact.adopted else (job.batch, *spec.shape[1:]) for spec in artifact.inputs}
    shapes = ",".join(f"{name}[{','.join(map(str, each))}]" for name, each in sizes.items())
    suffix = registry.facts("runtimes", RUNTIME).suffixes[artifact.format]
    hint = ["-hint", "throughput"] if find(job.scenario).crowded else ["-hint", "latency", "-api", "sync"]
    command = [
        program() or "benchmark_app",
        "-m", str(model_file(artifact, suffix).resolve()),
        "-d", "CPU", *hint, "-t", str(max(1, round(job.duration_s))),
        "-infer_precision", PRECISION[job.precision], "-shape", shapes, "-load_config", str(config),
        *_types(given[0]), *_inputs(given, folder),
        "-report_type", "no_counters", "-json_stats", "-report_folder", str(folder),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=job.time_limit_s
    )
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line or "Exception" in line]
        raise EdgebenchError(
            f"benchmark_app ended with exit code {done.returncode}: {(said or ['it said nothing'])[-1]}"
        )
    return parse((folder / "benchmark_report.json").read_text())


def _types(request: dict[str, np.ndarray]) -> list[str]:
    """The types of the inputs, since it turns whatever looks like a picture into bytes, and measures the conversion."""
    told = []
    for name, array in request.items():
        kind = array.dtype.name.rstrip("0123456789")
        told.append(f"{name}:{ELEMENTS[kind]}{array.dtype.itemsize * 8}" if kind in ELEMENTS else f"{name}:bool")
    return ["-iop", ",".join(told)]


def _inputs(given: list[dict[str, np.ndarray]], folder: Path) -> list[str]:
    """The job's requests as files; nothing, so that it makes up its own, if their names are more than words."""
    if not all(PLAIN.fullmatch(name) for name in given[0]) and len(given[0]) > 1:
        return []
    told = []
    for i, name in enumerate(given[0]):
        files = [folder / f"input-{i}-{number}.npy" for number in range(len(given))]
        for file, request in zip(files, given, strict=True):
            np.save(file, request[name])
        told.append(f"{name}:" * (len(given[0]) > 1) + ",".join(map(str, files)))
    return ["-i", ",".join(told)]


def parse(text: str) -> dict[str, float]:
    """The figures of a report written with -json_stats. Raises EdgebenchError if it is not one."""
    try:
        found = json.loads(text)["execution_results"]
        return {
            "median_ns": float(found["latency (ms)"]) * 1e6,
            "min_ns": float(found["min latency"]) * 1e6,
            "throughput_per_s": float(found["throughput"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise EdgebenchError(
            f"benchmark_app's report is not as expected: {error!r}", "try another version of OpenVINO"
        ) from None
