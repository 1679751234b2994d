"""Runs ONNX Runtime's onnxruntime_perf_test with the settings and requests of an edgebench job and reads its output.

No package has the program: ONNX Runtime's build makes it. It takes a folder with the model, and requests beside it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

from edgebench.artifact import model_file, requests
from edgebench.errors import EdgebenchError
from edgebench.machine import registry
from edgebench.records.jobs import Job
from edgebench.specs import Artifact

RUNTIME = "onnxruntime"  # the runtime that it runs
NAME = "onnxruntime_perf_test"
KINDS = {  # numpy's types, as ONNX counts them
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13,
}  # fmt: skip


def program() -> str | None:
    """The path of onnxruntime_perf_test, None if it is not on PATH."""
    return shutil.which(NAME)


def run(job: Job, artifact: Artifact, folder: Path) -> dict[str, float]:
    """The figures of one whole run with the job's requests, threads and duration, by names with their unit.

    Raises EdgebenchError with its last message if it fails.
    """
    model = model_file(artifact, registry.facts("runtimes", RUNTIME).suffixes[artifact.format]).resolve()
    place = _placed(model, artifact, job.batch, folder)
    command = [
        program() or NAME, "-e", job.compute, "-x", str(job.threads or 0), "-m", "duration",
        "-t", str(max(1, round(job.duration_s))), "-s", str(place),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=job.time_limit_s
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        raise EdgebenchError(f"{NAME} ended with exit code {done.returncode}: {said[-1]}")
    return parse(done.stdout)


def _placed(model: Path, artifact: Artifact, batch: int, folder: Path) -> Path:
    """The model in a folder of its own, with a folder for each request, as the program looks for them."""
    place = folder / "perf_test"
    if not place.exists():
        for number, request in enumerate(requests(artifact, batch)):
            data = place / f"test_data_set_{number}"
            data.mkdir(parents=True)
            for i, (name, array) in enumerate(request.items()):
                (data / f"input_{i}.pb").write_bytes(_tensor(name, array))
        for file in model.parent.iterdir():  # weights may lie beside it
            if file.name == model.name or file.name in artifact.files:
                (place / file.name).symlink_to(file)
    return place / model.name


def _tensor(name: str, array: np.ndarray) -> bytes:
    """A TensorProto: its dims (field 1), type (2), name (8) and bytes (9). So nobody needs the onnx package."""
    said, raw = name.encode(), np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    sizes = b"".join(b"\x08" + _number(size) for size in array.shape)
    kind = b"\x10" + _number(KINDS[array.dtype.name])
    return sizes + kind + b"\x42" + _number(len(said)) + said + b"\x4a" + _number(len(raw)) + raw


def _number(value: int) -> bytes:
    """A varint: seven bits a byte, the lowest first."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def parse(text: str) -> dict[str, float]:
    """The figures of its statistics, in seconds there. Raises EdgebenchError if there are none."""
    found = {
        name: re.search(rf"^{name} Latency: ([\d.]+(?:e-?\d+)?) s$", text, re.MULTILINE) for name in ("P50", "Min")
    }
    if not all(found.values()):
        raise EdgebenchError(f"{NAME} printed no statistics", "try another version of ONNX Runtime")
    return {"median_ns": float(found["P50"][1]) * 1e9, "min_ns": float(found["Min"][1]) * 1e9}
