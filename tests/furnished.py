"""A workspace with a result of every kind that a page shows, hostile names among them."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from factories import make_artifact, make_result, make_samples

from edgebench.machine import fingerprint
from edgebench.records.answers import Evaluation
from edgebench.records.notices import Notice
from edgebench.records.result import MemoryPeaks, Result, Samples, SearchPoint, Sustained, SustainedWindow
from edgebench.results import store
from edgebench.specs import Effective, ModelInfo

IMAGE = "<img src=x onerror=alert(1)>"
BREAKOUT = "\"'></title></style></script><!--<script>alert(1)</script><svg onload=alert(1)>${alert(1)}"
# name → (million parameters, milliseconds, accuracy)
MODELS = {
    "mobilenetv3_small_100": (2.5, 3.1, 0.861), "mobilenetv3_large_100": (5.5, 6.1, 0.885),
    "resnet50": (25.6, 41.6, 0.921), "efficientnetv2_s": (21.5, 35.0, 0.948),
    "deit_small_patch16_224": (22.1, 77.0, 0.943), "swin_tiny_patch4_window7_224": (28.3, 88.0, 0.951),
    "convnextv2_tiny": (28.6, 60.0, 0.955), IMAGE: (3.0, 9.0, 0.82),
}  # fmt: skip
# (format, runtime, precision, time beside onnxruntime's fp32, accuracy lost)
WAYS = (("onnx", "onnxruntime", "fp32", 1.0, 0.0), ("openvino", "openvino", "fp32", 0.8, 0.0),
        ("openvino", "openvino", "int8", 0.4, 0.012))  # fmt: skip


def samples(ms: float, launches: int = 5, n: int = 80) -> list[Samples]:
    """Launches of right-skewed times about `ms`, always the same."""
    made = []
    for launch in range(launches):
        base = ms * 1e6 * (1 + 0.01 * math.sin(3 * launch))
        tail = [0.25 * ((i * 37 % n) / n) ** 6 + 0.02 * math.sin(i) ** 2 for i in range(n)]
        made.append(make_samples(tuple(int(base * (1 + late)) for late in tail)))
    return made


def measurements() -> Iterator[Result]:
    """Every model in every way, and with three batch sizes; then one of each other kind."""
    machine = fingerprint.fingerprint()
    for model, (million, ms, accuracy) in MODELS.items():
        info = ModelInfo(
            name=model,
            timm_name=model,
            arguments={"num_classes": 10},
            parameters=int(million * 1e6),
            macs=int(million * 5e7),
        )
        memory = MemoryPeaks(
            load_bytes=int(40e6 + million * 5e6),
            first_inference_bytes=int(60e6 + million * 6e6),
            steady_bytes=int(50e6 + million * 5e6),
            source="VmHWM",
        )
        for format, runtime, precision, share, lost in WAYS:
            artifact = make_artifact(format=format, model=info, precision=precision, size_bytes=int(million * 4e6))
            artifact = replace(artifact, training=replace(artifact.training, test_accuracy=accuracy))
            told = {
                "runtime": runtime, "precision": precision, "memory": memory, "before": machine, "after": machine,
                "effective": Effective(provider="CPUExecutionProvider", precision=precision, threads=2, version="1.20"),
            }  # fmt: skip
            yield make_result(artifact, samples=samples(ms * share), **told)
            right = accuracy - lost
            judged = Evaluation(
                images=2000,
                accuracy=right,
                accuracy_ci95=(right - 0.011, right + 0.01),
                torch_accuracy=accuracy,
                torch_agreement=0.98,
                non_finite=0,
                classes=(),
            )
            yield make_result(artifact, scenario="evaluate", evaluation=judged, summary=None, **told)
            if format == "onnx":
                for batch in (4, 16):
                    yield make_result(artifact, samples=samples(ms * batch * 0.8), batch=batch, **told)
    yield make_result(artifact, samples=samples(5), evidence="emulated", device="jetson_orin", memory=memory)
    points = tuple(SearchPoint(batch, 2, 90.0 + 10 * batch) for batch in (1, 2, 4))
    yield make_result(artifact, samples=samples(9), scenario="throughput", search=points, batch=4, streams=2)
    windows = tuple(
        SustainedWindow(
            start_s=10.0 * i,
            n=900,
            median_ns=int(5e6 * (1 + 0.2 * (i > 14))),
            max_ns=int(9e6),
            mhz=1500 - 200 * (i > 14),
            temperature_c=45 + i,
            throttled=i == 15,
            power_mw=4000.0 + 9 * i,
        )
        for i in range(30)
    )
    run = make_result(artifact, samples=samples(5), scenario="sustained", windows=windows, device="jetson_orin")
    yield replace(
        run,
        summary=replace(
            run.summary,
            sustained=Sustained(
                first_median_ns=1, last_median_ns=1, slowdown=1.2, slowdown_ci95=(1.18, 1.22), verdict="throttled"
            ),
        ),
    )
    hostile = make_artifact(model=BREAKOUT, tools={BREAKOUT: BREAKOUT})
    yield make_result(
        hostile,
        device=BREAKOUT,
        notices=(Notice(BREAKOUT, BREAKOUT, BREAKOUT),),
        options={BREAKOUT: BREAKOUT},
        before={BREAKOUT: BREAKOUT, "board": BREAKOUT},
        effective=Effective(provider=BREAKOUT, precision="fp32", threads=1, version=BREAKOUT),
    )
    yield make_result(status="out_of_memory", message=f"killed at 512 MiB: {BREAKOUT}", runtime="torch")


def furnish(root: Path, checkpoint: Path) -> Path:
    """Results and, after the image of a trained checkpoint, trainings on three subsets with two seeds."""
    for second, result in enumerate(measurements()):
        created = f"2026-11-02T00:{second // 60:02}:{second % 60:02}.000000+00:00"
        store.save(replace(result, created=created), root / "results")
    (root / "results" / "torn.json").write_text('{"job": ')
    for images in (100, 200, 400):
        for seed in (0, 1):
            told = json.loads((checkpoint / "checkpoint.json").read_text())
            told["training"]["config"] |= {"subset": str(images), "seed": seed}
            told["training"]["data"]["train"] = images
            told["training"]["test_accuracy"] = 0.5 + 0.1 * math.log2(images / 50) + 0.02 * seed
            folder = shutil.copytree(checkpoint, root / "checkpoints" / f"on-{images}-{seed}", copy_function=os.link)
            (folder / "checkpoint.json").unlink()
            (folder / "checkpoint.json").write_text(json.dumps(told))
    return root
