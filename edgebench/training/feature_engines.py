"""What can compute features here: each runtime that opens the exported body and answers as torch does, and torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from edgebench.artifact import Reference, prepared
from edgebench.errors import EdgebenchError, Unsupported, VerificationFailed
from edgebench.machine import registry
from edgebench.machine.device import available_cores
from edgebench.measuring import correctness
from edgebench.protocols import Run
from edgebench.records import replacing
from edgebench.records.digests import of_file
from edgebench.records.workspace import now
from edgebench.specs import Artifact, ExportOptions, ModelInfo, SessionOptions, TensorSpec, Training
from edgebench.training.backbone import Backbone

FORMAT = "onnx"  # what the body is exported to
TORCH = "torch"
BATCH = 8  # images in a request: on a CPU larger ones were no faster
CHECKED = 16  # images whose features are compared with torch's
TRIED = 48  # images on which the runtimes are timed
TORCH_BATCH = 64

Say = Callable[[str], None]
Compute = Callable[[np.ndarray], np.ndarray]  # uint8 (n, h, w, 3) → float32 (n, width)


@dataclass(frozen=True)
class FeatureEngine:
    """What computes features: a runtime, or torch. `version`: of the libraries underneath."""

    name: str
    version: str


def engines() -> list[FeatureEngine]:
    """What is installed here, torch last; on a machine with a GPU for torch, torch alone."""
    found = []
    for name, stated in registry.all_facts("runtimes").items():
        versions = registry.versions(stated.libraries)
        if FORMAT in stated.accepts and not stated.only_by_name and versions:
            found.append(
                FeatureEngine(name, ", ".join(f"{library} {version}" for library, version in versions.items()))
            )
    eager = FeatureEngine(TORCH, f"torch {torch.__version__}")
    return [eager] if torch.cuda.is_available() else [*found, eager]


def opened(
    among: Sequence[FeatureEngine],
    backbone: Backbone,
    training: Training,
    images: np.ndarray,
    stack: ExitStack,
    say: Say,
) -> tuple[FeatureEngine, Compute]:
    """The fastest of these engines that gives torch's features, and how to compute them; `stack` closes it.

    `images`: uint8, a few of those to come, on which they are checked and timed. Torch is not tried where another one
    is verified. `say` hears what cannot be used, and why. Raises Unsupported if none of them can.
    """
    body, info = backbone.body()
    eager, reasons = _torch(body, backbone), []
    able: list[tuple[FeatureEngine, Compute]] = []
    runtimes = [engine for engine in among if engine.name != TORCH]
    if runtimes:
        folder = Path(stack.enter_context(replacing.scratch()))
        reference = Reference(images[:CHECKED], np.zeros(len(images[:CHECKED]), np.int64), eager(images[:CHECKED]))
        try:
            exported = _exported(_checkpoint(body, info, backbone, training, folder), folder)
        except EdgebenchError as error:
            reasons.append(f"its body cannot be exported: {error.message}")
            runtimes = []
        for engine in runtimes:
            try:
                able.append((engine, _session(engine, exported, reference, stack)))
            except EdgebenchError as error:
                reasons.append(f"{engine.name}: {error.message}")
    for reason in reasons:
        say(f"features of {backbone.info.name}: {reason}")
    if not able and (last := among[-1]).name == TORCH:
        able = [(last, eager)]
    if not able:
        raise Unsupported(f"nothing here computes the features of {backbone.info.name}: {'; '.join(reasons)}")
    return able[0] if len(able) == 1 else min(able, key=lambda one: _seconds(one[1], images[:TRIED]))


def _seconds(compute: Compute, images: np.ndarray) -> float:
    began = time.monotonic()
    compute(images)
    return time.monotonic() - began


def _torch(body: nn.Module, backbone: Backbone) -> Compute:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(available_cores())
    body = body.to(device, memory_format=torch.channels_last)
    spec = backbone.preprocessing
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    return correctness.torch_logits(body, lambda images: (images.float() / 255 - mean) / std, batch_size=TORCH_BATCH)


def _checkpoint(body: nn.Module, info: ModelInfo, backbone: Backbone, training: Training, folder: Path) -> Artifact:
    """The body as a checkpoint, in a folder that lives as long as the engine."""
    path = folder / "weights.safetensors"
    save_file({name: tensor.cpu().contiguous() for name, tensor in body.state_dict().items()}, path)
    size = backbone.preprocessing.height
    return Artifact(
        format="checkpoint",
        precision="fp32",
        inputs=(TensorSpec("input", "float32", ("batch", 3, size, size)),),
        outputs=(TensorSpec("features", "float32", ("batch", backbone.width)),),
        preprocessing=backbone.preprocessing,
        model=info,
        training=training,
        files={path.name: of_file(path)},
        tools={},
        created=now(),
        path=folder,
    )


def _exported(checkpoint: Artifact, folder: Path) -> Artifact:
    exporter = registry.load("exporters", FORMAT)
    made = exporter.export(checkpoint, folder, ExportOptions())
    files = {name: of_file(folder / name) for name in made.files}
    return replace(checkpoint, format=FORMAT, inputs=made.inputs, outputs=made.outputs, files=files)


def _session(engine: FeatureEngine, exported: Artifact, reference: Reference, stack: ExitStack) -> Compute:
    """How this runtime computes features, on all cores. Raises EdgebenchError if it does not give torch's."""
    runtime, cores = registry.load("runtimes", engine.name), available_cores()
    if "cpu" not in runtime.computes():
        raise Unsupported("it does not run on this CPU")
    options = SessionOptions(threads=cores, batch=BATCH, streams=cores)
    session = stack.enter_context(runtime.open(exported, "cpu", options))
    parity = correctness.check_parity(session, exported, reference, (BATCH,))
    if not parity.passed:
        raise VerificationFailed(f"it does not answer as torch does ({correctness.explain(parity)})")
    return _on_lanes(session.lanes(cores) or [session.run], exported, stack)


def _on_lanes(lanes: Sequence[Run], exported: Artifact, stack: ExitStack) -> Compute:
    """Each lane takes the next batch when it has done one; the last batch is filled up."""
    free: SimpleQueue[Run] = SimpleQueue()
    for lane in lanes:
        free.put(lane)
    pool = stack.enter_context(ThreadPoolExecutor(len(lanes), thread_name_prefix="edgebench-features"))
    name, output = exported.inputs[0].name, exported.outputs[0].name

    def batch_of(images: np.ndarray) -> np.ndarray:
        filled = np.resize(images, (BATCH, *images.shape[1:]))
        run = free.get()
        try:
            return run({name: prepared(filled, exported)})[output][: len(images)]
        finally:
            free.put(run)

    def compute(images: np.ndarray) -> np.ndarray:
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return np.concatenate(list(pool.map(batch_of, batches)))

    return compute
