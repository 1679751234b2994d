"""What a training run ends in: its best weights, judged once on the test split, in a folder; and that split again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import save_file

from edgebench import artifact
from edgebench.artifact import Reference
from edgebench.errors import BadFile
from edgebench.measuring import correctness, testset
from edgebench.records import recipe
from edgebench.records.workspace import now
from edgebench.specs import Artifact, Calibration, ModelInfo, Preprocessing, TensorSpec, Training
from edgebench.training import data, models
from edgebench.training.data import Splits
from edgebench.training.resuming import RunState

REFERENCE_IMAGES = 64  # enough to see a wrong mean or a swapped channel, small enough to travel with every artifact


def write(
    out: Path, model: torch.nn.Module, logits_of: Callable, splits: Splits, preprocessing: Preprocessing,
    info: ModelInfo, progress: RunState, interrupted: bool,
) -> None:  # fmt: skip
    """The best epoch, judged once on the test split."""
    config, size = progress.config, preprocessing.height
    test_accuracy = correctness.accuracy(logits_of(splits.test.images), splits.test.labels)
    training = Training(
        config, splits.info, progress.best_epoch, progress.best_accuracy, test_accuracy, round(progress.seconds, 3),
        interrupted, progress.part_size,
    )  # fmt: skip
    model = model.to("cpu", memory_format=torch.contiguous_format).eval()
    images, labels = splits.test.images[:REFERENCE_IMAGES], splits.test.labels[:REFERENCE_IMAGES]
    logits = _logits(model, images, preprocessing)
    with artifact.staged(out) as folder:
        save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / "weights.safetensors")
        (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in progress.history))
        (folder / "config.toml").write_text(recipe.to_toml(config))
        artifact.write_reference(folder, Reference(images, labels, logits))
        artifact.write_manifest(
            folder,
            Artifact(
                format="checkpoint",
                precision="fp32",
                inputs=(TensorSpec("input", "float32", ("batch", 3, size, size)),),
                outputs=(TensorSpec("logits", "float32", ("batch", len(splits.info.classes))),),
                preprocessing=preprocessing,
                model=info,
                training=training,
                files={},
                tools={"torch": torch.__version__, "timm": models.import_timm().__version__},
                created=now(),
            ),
        )


def write_split(
    checkpoint: Artifact, path: Path, on_image: Callable[[int, int], None],
    split: Literal["test", "validation"] = "test",
) -> None:  # fmt: skip
    """Write the checkpoint's test split, or the validation split, and what torch answers to it, as testset.py reads it.

    `on_image(done, total)` counts the images that were read, then those that were answered. Raises BadFile if the
    dataset is no longer the one that the checkpoint was trained on.
    """
    model, held_out = models.restore(checkpoint), getattr(_splits(checkpoint, on_image), split)
    logits = []
    for start in range(0, len(held_out), REFERENCE_IMAGES):
        logits.append(_logits(model, held_out.images[start : start + REFERENCE_IMAGES], checkpoint.preprocessing))
        on_image(min(start + REFERENCE_IMAGES, len(held_out)), len(held_out))
    testset.write(path, held_out.images, held_out.labels, np.concatenate(logits), checkpoint.identity)


def calibration(checkpoint: Artifact, count: int, on_image: Callable[[int, int], None]) -> Calibration:
    """`count` stratified images of the checkpoint's training split, and its validation split, for quantization."""
    splits = _splits(checkpoint, on_image)
    some, validation = splits.train.labels[:count], splits.validation
    return Calibration(
        splits.train.images[: len(some)], validation.images[: len(validation)], validation.labels, len(np.unique(some))
    )


def _splits(checkpoint: Artifact, on_image: Callable[[int, int], None]) -> Splits:
    """The images that the checkpoint was made with. Raises BadFile if they are others by now."""
    config = checkpoint.training.config
    splits = data.load(
        data.find(config.dataset, config.data_dir), config.subset, checkpoint.preprocessing.height, config.seed,
        skip_broken=config.skip_broken, stream=config.stream, on_progress=on_image,
    )  # fmt: skip
    if splits.info.indices_sha256 != checkpoint.training.data.indices_sha256:
        raise BadFile(
            f"the dataset {config.dataset} is not the one that {checkpoint.path.name} was trained on: its images or "
            "splits have changed since",
            "bring back the old dataset, or train anew",
        )
    return splits


def _logits(model: torch.nn.Module, images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Preprocessed as on any device, in numpy."""
    with torch.no_grad():
        return model(torch.from_numpy(artifact.preprocess(images, preprocessing))).numpy()
