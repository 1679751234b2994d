#!/usr/bin/env python3
"""How long `edgebench report` and `select` take over thousands of results, and how much memory.

python scripts/bench_results.py                 10,000 results in a scratch folder, removed afterwards
python scripts/bench_results.py --results 500 --keep FOLDER
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from edgebench.machine.fingerprint import fingerprint
from edgebench.records import jsonio
from edgebench.records.answers import ClassAccuracy, Evaluation, Parity
from edgebench.records.jobs import Job
from edgebench.records.recipe import TrainConfig
from edgebench.records.result import Launch, MemoryPeaks, Result, Samples
from edgebench.results import stats
from edgebench.specs import Artifact, DataSplit, Effective, ModelInfo, Preprocessing, TensorSpec, Training

MODELS = [f"{family}_{size}" for family in ("mobilenetv3", "efficientnet", "resnet", "deit") for size in range(5)]
WAYS = [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino"), ("checkpoint", "torch")]
LAUNCHES, LAUNCH_S = 6, 2.0
COMMANDS = (
    ("report", ()), ("report", ("--out", "report.md")), ("report", ("--out", "report.csv")),
    ("report", ("--out", "report.json")),
    ("select", ("--max-p99-ms", "20", "--min-accuracy", "0.9")),
    ("select", ("--max-p99-ms", "20", "--min-accuracy", "0.9", "--json")),
)  # fmt: skip


def artifact(model: str, format: str, seed: int) -> Artifact:
    config = TrainConfig(
        model=model, dataset="cifar10", subset="full", image_size=224, epochs=10, batch_size=64, lr=0.001, seed=seed
    )
    split = DataSplit(
        dataset="cifar10",
        classes=tuple(map(str, range(10))),
        train=45_000,
        validation=5_000,
        test=10_000,
        indices_sha256=f"{seed:064}",
    )
    digest = sha256(f"{model} {seed}".encode()).hexdigest()
    return Artifact(
        format=format,
        precision="fp32",
        inputs=(TensorSpec("input", "float32", ("batch", 3, 224, 224)),),
        outputs=(TensorSpec("logits", "float32", ("batch", 10)),),
        preprocessing=Preprocessing(height=224, width=224, mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26)),
        model=ModelInfo(
            name=model, timm_name=model, arguments={"num_classes": 10}, parameters=4_000_000, macs=200_000_000
        ),
        training=Training(
            config=config, data=split, best_epoch=9, validation_accuracy=0.92, test_accuracy=0.91, seconds=600.0
        ),
        files={"model": digest},
        tools={"torch": "2.9"},
        created="2026-01-01T00:00:00.000000+00:00",
        size_bytes=16_000_000,
        origin=f"{seed:064}",
    )


def launches(median_ms: float, random: np.random.Generator, machine: dict) -> tuple[Launch, ...]:
    """What so many processes of so many seconds leave behind."""
    made = []
    for _ in range(LAUNCHES):
        n = int(LAUNCH_S * 1e3 / median_ms)
        times = np.sort(random.lognormal(np.log(median_ms * 1e6), 0.1, n + 20).astype(int))
        random.shuffle(times)
        samples = Samples(
            latency_ns=tuple(times[:n].tolist()), warmup_ns=tuple(times[n:].tolist()), wall_ns=int(times[:n].sum())
        )
        memory = MemoryPeaks(
            load_bytes=80 << 20, first_inference_bytes=100 << 20, steady_bytes=90 << 20, source="VmHWM"
        )
        effective = Effective(provider="CPUExecutionProvider", precision="fp32", threads=2, version="1.20")
        made.append(Launch(effective=effective, memory=memory, samples=samples, before=machine, after=machine))
    return tuple(made)


def make(folder: Path, number: int) -> int:
    """Write so many results; returns their bytes. A few dozen are computed, the others differ in what they are of."""
    random, machine = np.random.default_rng(0), fingerprint()
    templates = []
    for median_ms in np.geomspace(0.5, 60, 24):
        made = launches(median_ms, random, machine)
        text = jsonio.dumps(made, indent=1).replace("\n", "\n ")
        templates.append((text, stats.summarise(made, 1)))
    parity = Parity(
        batches=(1, 3),
        images=64,
        relative_error=1e-6,
        top1_agreement=1.0,
        non_finite=0,
        accuracy=0.9,
        tolerance=1e-3,
        passed=True,
        cosine=1.0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for i in range(number):
        model, way, case, seed = i % 20, i // 20 % 4, i // 80 % 4, i // 320
        found = artifact(MODELS[model], WAYS[way][0], seed)
        job = Job(artifact=found.identity, runtime=WAYS[way][1], device="cpu", compute="cpu", threads=1 + case % 2)
        result = Result(
            job=job,
            artifact=found,
            status="ok",
            evidence="measured",
            created=f"2026-01-{1 + i // 1000:02}T00:00:{i % 60:02}.{i:06}+00:00",
        )
        launched = "[]"
        if case == 3:
            right = int(random.integers(7_000, 9_900))
            judged = Evaluation(
                images=10_000,
                accuracy=right / 1e4,
                accuracy_ci95=stats.wilson(right, 10_000),
                torch_accuracy=0.91,
                torch_agreement=0.99,
                non_finite=0,
                classes=tuple(ClassAccuracy(name=str(c), images=1000, correct=right // 10) for c in range(10)),
            )
            job = dataclasses.replace(job, scenario="evaluate", batch=16)
            result = dataclasses.replace(result, job=job, evaluation=judged)
        else:
            launched, summary = templates[(model + way + 7 * case) % len(templates)]
            job = dataclasses.replace(job, scenario="throughput" if case == 2 else "latency")
            result = dataclasses.replace(result, job=job, summary=summary, parity=parity, stop="precision")
        text = jsonio.dumps(result, indent=1).replace('"launches": []', f'"launches": {launched}')
        (folder / result.file_name).write_text(text)
        written += len(text)
    return written


def timed(arguments: list[str], out: Path) -> tuple[float, float, float, int]:
    """Seconds by the clock and on the CPU, peak MB and exit code of a whole process."""
    began = time.monotonic()
    process = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "edgebench", *arguments], os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, str(out), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)],
    )  # fmt: skip
    _, status, usage = os.wait4(process, 0)
    taken = time.monotonic() - began
    return taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, os.waitstatus_to_exitcode(status)


def words(seconds: float, cpu_s: float, megabytes: float, code: int) -> str:
    return f"{seconds:.2f} s ({cpu_s:.2f} s of CPU), {megabytes:.0f} MB, exit code {code}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts")
    parser.add_argument("--keep", type=Path, help="make them in this folder, and leave them there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgebench-bench-") as scratch:
        root = given.keep or Path(scratch)
        began = time.monotonic()
        written = make(root / "results", given.results)
        print(f"{given.results} results, {written / 1e6:,.0f} MB, made in {time.monotonic() - began:.0f} s")
        (root / "results" / ".index").unlink(missing_ok=True)
        print(f"the first reading: {words(*timed(['report', '--workspace', str(root)], Path(scratch, 'out')))}")
        for command, options in COMMANDS:
            options = [str(Path(scratch, o)) if o.startswith("report.") else o for o in options]
            rounds = [
                timed([command, *options, "--workspace", str(root)], Path(scratch, "out")) for _ in range(given.rounds)
            ]
            shown = " ".join([command, *(Path(o).name for o in options)])
            print(f"edgebench {shown}: {words(*min(rounds))}")


if __name__ == "__main__":
    main()
