"""The larger, frozen network that a student learns from: a checkpoint of ours, or an encoder with weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgebench import artifact
from edgebench.errors import BadFile, UsageError
from edgebench.machine.device import available_cores
from edgebench.protocols import Pixels
from edgebench.records import digests
from edgebench.records.beginning import Beginning
from edgebench.records.distillation import Teaches
from edgebench.records.recipe import TrainConfig, encoder_of
from edgebench.records.workspace import UNFINISHED, unfinished
from edgebench.specs import Artifact, DataSplit, Preprocessing
from edgebench.training import beginnings, models
from edgebench.training.batches import normalisation
from edgebench.training.beginnings import Progress

BATCH = 64
ENCODER = "NETWORK=FILE.safetensors"
STUDENT = TrainConfig()


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A frozen network in eval mode. `identity`: a sha256 of its weights and of how it is built.

    `same_splits`: whether it was trained on the splits of the student; None for an encoder, which knows no labels.
    """

    name: str
    identity: str
    teaches: Teaches
    preprocessing: Preprocessing
    network: nn.Module
    same_splits: bool | None = None

    def answers(
        self, images: Pixels, device: torch.device, *, mirror: bool, on_image: Callable[[int], None]
    ) -> np.ndarray:
        """Its answers to uint8 images of its size: (views, n, d), where the second view is the mirror image.

        Logits are float32, features float16. Raises BadFile for an answer that is not finite.
        """
        network = self.network.to(device, memory_format=torch.channels_last)
        normalised, views, threads = normalisation(self.preprocessing, device), [], torch.get_num_threads()
        kind = torch.float32 if self.teaches == "logits" else torch.float16  # there may be a thousand features
        torch.set_num_threads(available_cores())
        try:
            with torch.no_grad():
                for start in range(0, len(images), BATCH):
                    batch = np.ascontiguousarray(images[start : start + BATCH])
                    plain = torch.from_numpy(batch).permute(0, 3, 1, 2).to(device)
                    both = (plain, plain.flip(3)) if mirror else (plain,)
                    views.append(torch.stack([network(normalised(view)).to("cpu", kind) for view in both]))
                    on_image(min(start + BATCH, len(images)))
        finally:
            torch.set_num_threads(threads)
        found = torch.cat(views, dim=1).numpy()
        if not np.isfinite(found).all():
            raise BadFile(f"the teacher {self.name} answers with NaN or infinity", "take another teacher")
        return found


def find(
    named: str, size: int | None, data: DataSplit, out: Path, *, student: TrainConfig = STUDENT,
    on_weights: Progress = lambda name, done, total: None,
) -> Teacher:  # fmt: skip
    """The teacher that `--distill` names, for a student with this data, whose checkpoint will be `out`.

    `size`: pixels of the images that an encoder shall see, by default those that it was made for. `student`: its recipe
    says where an encoder's weights may lie, and which licences are allowed. Raises UsageError if it cannot teach this
    student, BadFile if it cannot be read.
    """
    encoder = encoder_of(named)
    if encoder is None or _is_own(Path(named), out):
        return _checkpoint(Path(named), size, data, out)
    name, init = encoder
    return _encoder(name, _begun(name, init, student, on_weights), size)


def content(named: str, student: TrainConfig = STUDENT) -> str:
    """A hash of what `--distill` names, wherever it is, without building it."""
    encoder = encoder_of(named)
    if encoder is None:
        return _read(Path(named)).identity
    name, init = encoder
    return f"{name} {_begun(name, init, student).sha256}"


def _begun(
    name: str, init: str, student: TrainConfig, on_weights: Progress = lambda name, done, total: None
) -> Beginning:  # fmt: skip
    """The weights of an encoder, found as those of a training are."""
    try:
        models.resolve(name)
    except UsageError as error:
        if init != "auto":
            raise
        fix = f"name a folder that `edgebench train` made, an encoder, or {ENCODER}"
        raise UsageError(f"--distill {name} is no checkpoint's folder, and {error.message}", error.fix or fix) from None
    if not models.is_timm(name):
        raise UsageError(
            f"{name} is not a network of timm's: its features cannot teach", "train it, and name its checkpoint"
        )
    found = beginnings.find(replace(student, model=name, init=init), on_bytes=on_weights)
    if not found.learned:
        raise UsageError(
            f"the teacher {name} would have random weights{': ' * bool(found.why)}{found.why}", f"--distill {ENCODER}"
        )
    return found


def _is_own(path: Path, out: Path) -> bool:
    """Whether this is the student's own run."""
    return path.absolute() in (out.absolute(), unfinished(out).absolute())


def _checkpoint(path: Path, size: int | None, data: DataSplit, out: Path) -> Teacher:
    if _is_own(path, out):
        raise UsageError(
            f"--distill {path} is the student's own run: a network cannot be its own teacher",
            "name the checkpoint of a larger network, or another --out",
        )
    found = _read(path)
    theirs, ours = found.training.data.classes, data.classes
    if theirs != ours:
        raise UsageError(f"the teacher {path.name} {_difference(theirs, ours, data.dataset)}", "train it on this data")
    height = found.preprocessing.height
    if size not in (None, height):
        raise UsageError(
            f"--distill-size is {size}, but the teacher {path.name} takes images of {height} × {height} pixels",
            "leave --distill-size out: it is for encoders",
        )
    return Teacher(
        name=path.name,
        identity=found.identity,
        teaches="logits",
        preprocessing=found.preprocessing,
        network=models.restore(found),
        same_splits=found.training.data.indices_sha256 == data.indices_sha256,
    )


def _read(path: Path) -> Artifact:
    if path.name.endswith(UNFINISHED):
        raise UsageError(
            f"--distill {path} is a training that has not ended", "go on with it (--resume), then name its checkpoint"
        )
    if path.suffix == ".safetensors":
        raise UsageError(f"--distill {path} does not say which network it is of", f"--distill NETWORK={path}")
    if not path.exists():
        raise UsageError(
            f"--distill {path} is no checkpoint's folder",
            f"name one that `edgebench train` made, or an encoder with its weights: {ENCODER}",
        )
    found = artifact.read(path)
    if found.format != "checkpoint":
        raise UsageError(f"--distill {path} is an artifact in {found.format}", "name the checkpoint that it is of")
    return artifact.trained(found, "a teacher")


def _difference(theirs: tuple[str, ...], ours: tuple[str, ...], dataset: str) -> str:
    """How a teacher's classes differ from those of the dataset, in words."""
    if len(theirs) != len(ours):
        return f"tells {len(theirs)} classes apart, but the dataset {dataset} has {len(ours)}"
    if set(theirs) == set(ours):
        return f"has the classes of the dataset {dataset} in another order"
    number, was, wanted = next((i, a, b) for i, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b)
    return f"has other classes than the dataset {dataset}: its class {number} is {was!r}, not {wanted!r}"


def _encoder(name: str, began: Beginning, size: int | None) -> Teacher:
    target = models.resolve(name)
    size = size or models.usual_size(name)
    network, info = models.build(name, 0, size, 0, adapt=False)  # unchanged: its weights were learned with its strides
    models.load_weights(network, info, Path(began.path))
    mean, std = models.input_statistics(info, began.weights) or ((0.5,) * 3, (0.5,) * 3)
    return Teacher(
        name=name,
        identity=digests.of_data([target, info.arguments, began.sha256]),
        teaches="features",
        preprocessing=Preprocessing(height=size, width=size, mean=mean, std=std),
        network=network.eval(),
    )
