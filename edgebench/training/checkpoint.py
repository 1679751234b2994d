"""The checkpoint folder that a training run ends in, and the images of its splits read again later."""

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
from edgebench.measuring.testset import SetFacts
from edgebench.records import recipe
from edgebench.records.heads import FrozenFeatures
from edgebench.records.workspace import now
from edgebench.specs import Artifact, Calibration, Preprocessing, TensorSpec, Training
from edgebench.training import data, models
from edgebench.training.data import Splits
from edgebench.training.data.levels import Depths
from edgebench.training.resuming import RunState
from edgebench.training.setup import Setup

REFERENCE_IMAGES = 64  # enough to see a wrong mean or a swapped channel, few enough to go with every artifact


def write(
    out: Path, model: torch.nn.Module, logits_of: Callable, setup: Setup, state: RunState, interrupted: bool,
    frozen: FrozenFeatures | None = None,
) -> np.ndarray:  # fmt: skip
    """Judge `model`, which has the weights of the best epoch, on the test split, and write the folder `out`.

    Returns its answers: for each test image the class that it puts first. `logits_of`: uint8 images (n, h, w, 3) → the
    model's logits (n, classes), on the device of the training. `frozen`: how its classifier was fitted, if that alone
    was.
    """
    config, splits, preprocessing = state.config, setup.splits, setup.preprocessing
    size = preprocessing.height
    answers = logits_of(splits.test.images).argmax(axis=1)
    training = Training(
        config=config,
        data=splits.info,
        best_epoch=state.best_epoch,
        validation_accuracy=state.best_accuracy,
        test_accuracy=float((answers == splits.test.labels).mean()),
        seconds=round(state.seconds, 3),
        interrupted=interrupted,
        part_size=state.part_size,
        distilled=state.distilled,
        frozen=frozen,
        course=state.course,
        beginning=setup.beginning,
        test_classes=correctness.by_class(answers, splits.test.labels, splits.info.classes),
        search=state.search,
    )
    model = model.to("cpu", memory_format=torch.contiguous_format).eval()
    images, labels = splits.test.images[:REFERENCE_IMAGES], splits.test.labels[:REFERENCE_IMAGES]
    logits = _logits(model, images, preprocessing)
    with artifact.staged(out) as folder:
        save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / "weights.safetensors")
        (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in state.history))
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
                model=setup.info,
                training=training,
                files={},
                tools={"torch": torch.__version__, "timm": models.import_timm().__version__},
                created=now(),
            ),
        )
    return answers


def write_split(
    checkpoint: Artifact, path: Path, on_image: Callable[[int, int], None],
    split: Literal["test", "validation"] = "test", most: int | None = None,
) -> None:  # fmt: skip
    """Write one split of the checkpoint's dataset and torch's answers to it, in the format that testset.py reads.

    `most`: only the first of them, which are of all classes in proportion. `on_image(done, total)` counts the images
    read, then the images answered. Raises BadFile if the dataset has changed since the checkpoint was trained.
    """
    model, splits = models.restore(checkpoint), _splits(checkpoint, on_image)
    held_out = getattr(splits, split)
    count = min(len(held_out), most or len(held_out))
    logits = []
    for start in range(0, count, REFERENCE_IMAGES):
        end = min(start + REFERENCE_IMAGES, count)
        logits.append(_logits(model, held_out.images[start:end], checkpoint.preprocessing))
        on_image(end, count)
    data = checkpoint.training.data
    facts = SetFacts(
        dataset=data.dataset if split == "test" else f"{data.dataset}, {split}", classes=data.classes,
        sha256=splits.info.test_sha256 if split == "test" else "",
    )  # fmt: skip
    testset.write(
        path, held_out.images[:count], held_out.labels[:count], np.concatenate(logits), checkpoint.identity, facts
    )


def calibration(checkpoint: Artifact, count: int, on_image: Callable[[int, int], None]) -> Calibration:
    """`count` stratified images of the checkpoint's training split, and its validation split, for quantization."""
    splits = _splits(checkpoint, on_image)
    some, validation = splits.train.labels[:count], splits.validation
    return Calibration(
        splits.train.images[: len(some)], validation.images[: len(validation)], validation.labels, len(np.unique(some))
    )


def _splits(checkpoint: Artifact, on_image: Callable[[int, int], None]) -> Splits:
    """The images that the checkpoint was trained on. Raises BadFile if they have changed since."""
    config = checkpoint.training.config
    splits = data.load(
        data.of(config), config.subset, checkpoint.preprocessing.height, config.seed,
        skip_broken=config.skip_broken, stream=config.stream, on_progress=on_image,
        depths=Depths(levels=checkpoint.preprocessing.levels),
    )  # fmt: skip
    now, then = splits.info, checkpoint.training.data
    if now.indices_sha256 != then.indices_sha256 or then.test_sha256 not in ("", now.test_sha256):
        raise BadFile(
            f"{checkpoint.path.name} was trained on other images or splits of the dataset {config.dataset}",
            "restore the old dataset, or train again",
        )
    return splits


def _logits(model: torch.nn.Module, images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The model's answers to images preprocessed in numpy, as on every device."""
    with torch.no_grad():
        return model(torch.from_numpy(artifact.preprocess(images, preprocessing))).numpy()
