"""What a training run ends in: its best weights, judged once on the test split, in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from edgebench import artifact, evaluate, models, recipe
from edgebench.artifact import Reference
from edgebench.data import Splits
from edgebench.specs import Artifact, ModelInfo, Preprocessing, TensorSpec, Training
from edgebench.unfinished import Progress
from edgebench.workspace import now

REFERENCE_IMAGES = 64  # enough to see a wrong mean or a swapped channel, small enough to travel with every artifact


def write(
    out: Path, model: torch.nn.Module, logits_of: Callable, splits: Splits, preprocessing: Preprocessing,
    info: ModelInfo, progress: Progress, interrupted: bool,
) -> None:  # fmt: skip
    """The best epoch, judged once on the test split."""
    config, size = progress.config, preprocessing.height
    test_accuracy = evaluate.accuracy(logits_of(splits.test.images), splits.test.labels)
    training = Training(
        config, splits.info, progress.best_epoch, progress.best_accuracy, test_accuracy, round(progress.seconds, 3),
        interrupted, progress.part_size,
    )  # fmt: skip
    model = model.to("cpu", memory_format=torch.contiguous_format).eval()
    images, labels = splits.test.images[:REFERENCE_IMAGES], splits.test.labels[:REFERENCE_IMAGES]
    with torch.no_grad():
        logits = model(torch.from_numpy(artifact.preprocess(images, preprocessing))).numpy()
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
