"""Small, complete artifacts, results and sessions for the tests: each argument left out has a sensible value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from edgebench import artifact as folder
from edgebench.artifact import Reference
from edgebench.records.adopted import Adopted
from edgebench.records.answers import Parity
from edgebench.records.beginning import Beginning
from edgebench.records.jobs import Job
from edgebench.records.recipe import TrainConfig
from edgebench.records.result import Launch, MemoryPeaks, Result, Samples
from edgebench.results import stats
from edgebench.specs import Artifact, DataSplit, Effective, ModelInfo, Preprocessing, TensorSpec, Training

MODEL_FILES = {"checkpoint": "weights.safetensors", "onnx": "model.onnx", "openvino": "model.xml", "tensorrt": "m.plan"}
CREATED = "2026-01-01T00:00:00.000000+00:00"
# The three channels differ, so that a swap of two of them, or one mean for all, cannot go unseen.
PREPROCESSING = Preprocessing(height=8, width=8, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

# A network of a thousand weights, as a file of the user's own.
NET = """
from torch import nn

def build(num_classes, image_size):
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=4), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, num_classes)
    )
"""


def network(inputs: np.ndarray, classes: int = 10) -> np.ndarray:
    """A linear classifier that sees every pixel: (n, 3, h, w) → float32 (n, classes), always the same weights."""
    weights = np.random.default_rng(0).normal(size=(int(np.prod(inputs.shape[1:])), classes))
    return (inputs.reshape(len(inputs), -1).astype(np.float64) @ weights).astype(np.float32)


def make_reference(
    images: int = 8, classes: int = 10, preprocessing: Preprocessing = PREPROCESSING, seed: int = 0
) -> Reference:
    """Random images, and what `network` answers to them; the labels are right about three times in four."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (images, preprocessing.height, preprocessing.width, 3), dtype=np.uint8)
    logits = network(folder.preprocess(pixels, preprocessing), classes)
    labels = np.where(random.random(images) < 0.75, logits.argmax(axis=1), random.integers(0, classes, images))
    return Reference(pixels, labels.astype(np.int64), logits)


def make_artifact(
    path: Path | None = None,
    *,
    format: str = "onnx",
    model: str | ModelInfo = "mobilenetv3",
    classes: int = 10,
    reference: Reference | None = None,
    content: bytes = b"\x08\x08",
    **changes: Any,
) -> Artifact:
    """An artifact; given a `path` that does not exist yet, one whose folder lies there, complete and readable.

    `changes` replace any field of Artifact; `content` is what the model file holds, by default an empty ONNX model.
    """
    if isinstance(model, str):
        model = ModelInfo(
            name=model, timm_name=model, arguments={"num_classes": classes}, parameters=4_214_842, macs=216_589_232
        )
    preprocessing = changes.get("preprocessing", PREPROCESSING)
    size = preprocessing.height
    config = TrainConfig(
        model=model.name, dataset="digits", subset="full", image_size=size, epochs=1, batch_size=32, lr=0.005,
        flip=False, threads=1,
    )  # fmt: skip
    split = DataSplit(
        dataset="digits",
        classes=tuple(map(str, range(classes))),
        train=1257,
        validation=180,
        test=360,
        indices_sha256="0" * 64,
    )
    name = MODEL_FILES.get(format, "model.bin")
    made = Artifact(
        format=format,
        precision="fp32",
        inputs=(TensorSpec("input", "float32", ("batch", 3, size, preprocessing.width)),),
        outputs=(TensorSpec("logits", "float32", ("batch", classes)),),
        preprocessing=preprocessing,
        model=model,
        training=Training(
            config=config,
            data=split,
            best_epoch=1,
            validation_accuracy=0.95,
            test_accuracy=0.94,
            seconds=1.5,
            beginning=Beginning(),
        ),
        files={name: sha256(repr(model).encode() + content).hexdigest(), folder.REFERENCE: "2" * 64},
        tools={"torch": "2.0"},
        created=CREATED,
        origin="" if format == "checkpoint" else "3" * 64,
        source="" if format == "checkpoint" else "3" * 64,
    )
    made = replace(made, **changes)
    if path is None:
        return made
    path.mkdir(parents=True)
    (path / name).write_bytes(content)
    folder.write_reference(path, reference or make_reference(classes=classes, preprocessing=preprocessing))
    folder.write_manifest(path, made)
    return folder.read(path)


def make_adopted(name: str, **changes: Any) -> Artifact:
    """A model of somebody else's, adopted with generated inputs."""
    made = Adopted(file=f"{name}.onnx", reference="onnxruntime 1.32.0", inputs="synthetic", seed=0, requests=8)
    spec = TensorSpec("x", "float32", (1, 8), sizes=(1, 8))
    return make_artifact(model=name, training=None, adopted=made, inputs=(spec,), outputs=(spec,), **changes)


def make_job(artifact: Artifact | None = None, **changes: Any) -> Job:
    identity = (artifact or make_artifact()).identity
    return replace(Job(artifact=identity, runtime="onnxruntime", device="cpu", compute="cpu", threads=1), **changes)


def make_samples(latency_ns: tuple[int, ...] = tuple(range(1_000_000, 1_100_000, 1_000))) -> Samples:
    """100 requests of 1.000 to 1.099 ms, with nothing between them."""
    return Samples(latency_ns=latency_ns, warmup_ns=(5_000_000, 1_000_000), wall_ns=sum(latency_ns))


def make_launch(samples: Samples | None = None, **changes: Any) -> Launch:
    """One process: 100 requests on one thread, 100 MiB at its peak; `changes` replace any field of Launch."""
    effective = Effective(provider="CPUExecutionProvider", precision="fp32", threads=1, version="1.20")
    memory = MemoryPeaks(
        load_bytes=80 * 2**20, first_inference_bytes=100 * 2**20, steady_bytes=90 * 2**20, source="VmHWM"
    )
    return replace(Launch(effective=effective, memory=memory, samples=samples or make_samples()), **changes)


def make_result(
    artifact: Artifact | None = None,
    *,
    job: Job | None = None,
    samples: Samples | Sequence[Samples] | None = None,
    **changes: Any,
) -> Result:
    """A result of one launch that is ok; with a `status` other than "ok", one without any figures.

    `samples` of several launches make as many. `changes` replace fields of Result; those of its Launches where only
    a Launch has them (`effective`, `memory`, `before`, …), and else those of its Job (`runtime`, `batch`, …).
    `evidence` is set in both.
    """
    artifact = artifact or make_artifact()
    outside = [name for name in changes if name not in Result.__dataclass_fields__]
    of_launch = {name: changes.pop(name) for name in outside if name in Launch.__dataclass_fields__}
    of_job = {name: changes.pop(name) for name in outside if name in changes}
    if "evidence" in changes and changes["evidence"] != "scripted":
        of_job["evidence"] = changes["evidence"]
    job = replace(job or make_job(artifact), **of_job)
    bare = Result(
        job=job, artifact=artifact, status=changes.get("status", "ok"), evidence=job.evidence, created=CREATED
    )
    if bare.status != "ok":
        return replace(bare, **changes)
    several = samples if isinstance(samples, (list, tuple)) else [samples]
    of_launch = {
        "effective": Effective(provider="CPUExecutionProvider", precision="fp32", threads=job.threads, version="1.20")
    } | of_launch
    launches = tuple(make_launch(one, **of_launch) for one in several)
    full = replace(
        bare,
        launches=launches,
        stop="launches",
        summary=stats.summarise(launches, job.batch),
        parity=Parity(
            batches=(1, 3),
            images=8,
            relative_error=1e-6,
            top1_agreement=1.0,
            non_finite=0,
            accuracy=0.75,
            tolerance=1e-3,
            passed=True,
        ),
    )
    return replace(full, **changes)


class StubSession:
    """A session that answers with a function of the input array, and counts its runs."""

    effective = Effective(provider="stub", precision="fp32", threads=1, version="1", evidence="scripted")

    def __init__(self, answer: Callable[[np.ndarray], np.ndarray] = network) -> None:
        self._answer = answer
        self.runs = 0
        self.closed = False

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.runs += 1
        return {"logits": self._answer(inputs["input"])}

    def lanes(self, count: int) -> list:
        return []

    def layers(self) -> list:
        return []

    def device_time_ns(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> StubSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
