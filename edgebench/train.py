"""Train a backbone: one plain loop that reads top to bottom and ends in a checkpoint folder."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from edgebench import artifact, augment, data, evaluate, models
from edgebench.artifact import Reference
from edgebench.device import available_cores
from edgebench.errors import EdgebenchError
from edgebench.specs import Artifact, Preprocessing, TensorSpec, TrainConfig, Training
from edgebench.workspace import now

REFERENCE_IMAGES = 64  # enough to see a wrong mean or a swapped channel, small enough to travel with every artifact


@dataclass(frozen=True)
class Step:
    """Where a run stands after a batch. `accuracy` is that of the training batches so far in this epoch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    validation_accuracy: float | None
    images_per_s: float
    seconds_left: float


def _worthwhile_threads(macs: int) -> int:
    """CPU threads for a forward pass of this many MACs: a core for each 10⁹, of those that this process may use.

    Threads meet after every operator. In a small network they wait for each other longer than they work, and once
    another program has a core each meeting waits for the scheduler: seen, a step of 0.15 · 10⁹ MACs took 107 ms on
    two threads against 98 ms on one, and beside a busy neighbour 385 ms against 98 ms.
    """
    return max(1, min(available_cores(), round(macs / 1e9)))


def train(config: TrainConfig, out: Path, on_step: Callable[[Step], None] = lambda step: None) -> Artifact:
    """Train by `config` and write the checkpoint folder `out`. Same config, same machine: same weights, bit for bit.

    The checkpoint is the epoch with the best validation accuracy; the test split is used once, at the end. Ctrl-C after
    an epoch ends the run early and keeps the best checkpoint so far, marked `interrupted`.
    """
    config.check()
    data.find(config.dataset)
    models.resolve(config.model)
    artifact.ensure_writable(out)
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)  # some CUDA kernels have no deterministic form
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    # Data: uint8 in memory, normalised in batches on the device with the mean and deviation of the training split.
    splits = data.load(config.dataset, config.subset, config.image_size, config.seed)
    pixels = splits.train.images[:].reshape(-1, 3).astype("float32") / 255
    preprocessing = Preprocessing(
        config.image_size,
        config.image_size,
        mean=tuple(round(float(v), 6) for v in pixels.mean(axis=0, dtype="float64")),
        std=tuple(round(max(float(v), 1e-3), 6) for v in pixels.std(axis=0, dtype="float64")),
    )
    mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)

    def tensors(split: data.Images) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(split.images[:]).permute(0, 3, 1, 2)  # a view: channels stay last in memory
        return images.to(device), torch.from_numpy(split.labels).to(device)

    def normalised(images: torch.Tensor) -> torch.Tensor:
        return (images.float() / 255 - mean) / std

    train_images, train_labels = tensors(splits.train)

    # Model: channels-last halves the time of a depthwise network on a CPU.
    model, info = models.build(config.model, len(splits.info.classes), config.image_size, config.seed)
    model = model.to(device, memory_format=torch.channels_last)
    batch_size = min(config.batch_size, len(splits.train))
    config = replace(config, threads=config.threads or _worthwhile_threads(info.macs * batch_size))
    torch.set_num_threads(config.threads)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]  # norms and biases are not decayed
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=config.lr,
        fused=True,
    )
    steps = len(splits.train) // batch_size  # the odd rest is dropped: a batch of one breaks batch normalisation
    total_steps = config.epochs * steps
    warmup_steps = max(1, total_steps // 10)

    def lr_factor(step: int) -> float:  # linear warm-up, then a cosine to zero
        return min(1.0, (step + 1) / warmup_steps) * 0.5 * (1 + math.cos(math.pi * step / total_steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_factor)
    shuffle = torch.Generator().manual_seed(config.seed)
    logits_of = evaluate.torch_logits(model, normalised, batch_size=256)

    # The loop.
    history: list[dict[str, float]] = []
    best_accuracy, best_epoch, best_weights = -1.0, 0, {}
    validation_accuracy, interrupted = None, False
    started = time.monotonic()
    try:
        for epoch in range(1, config.epochs + 1):
            model.train()
            loss_sum = correct = 0.0
            order = torch.randperm(len(splits.train), generator=shuffle)
            epoch_started = time.monotonic()
            for step in range(1, steps + 1):
                chosen = order[(step - 1) * batch_size : step * batch_size].to(device)
                images, labels = augment.shift(train_images[chosen], config.shift, shuffle), train_labels[chosen]
                logits = model(normalised(images))
                loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()

                if not math.isfinite(value := loss.item()):
                    raise EdgebenchError(
                        f"the loss became {value} in epoch {epoch}, step {step}",
                        f"lower the learning rate: --lr {config.lr / 10:g}",
                    )
                loss_sum += value
                correct += (logits.argmax(1) == labels).sum().item()
                elapsed, done = time.monotonic() - started, (epoch - 1) * steps + step
                on_step(
                    Step(
                        epoch, config.epochs, step, steps, loss_sum / step, correct / (step * batch_size),
                        validation_accuracy, step * batch_size / (time.monotonic() - epoch_started),
                        elapsed / done * (total_steps - done),
                    )
                )  # fmt: skip
            seconds = time.monotonic() - epoch_started
            validation_accuracy = evaluate.accuracy(logits_of(splits.validation.images[:]), splits.validation.labels)
            history.append(
                {
                    "epoch": epoch, "loss": loss_sum / steps, "train_accuracy": correct / (steps * batch_size),
                    "validation_accuracy": validation_accuracy, "lr": schedule.get_last_lr()[0],
                    "images_per_s": steps * batch_size / seconds, "seconds": time.monotonic() - started,
                }
            )  # fmt: skip
            if validation_accuracy >= best_accuracy:  # of equal epochs the later one, with its smaller learning rate
                best_accuracy, best_epoch = validation_accuracy, epoch
                best_weights = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in model.state_dict().items()}
    except KeyboardInterrupt:
        if not best_weights:
            raise
        interrupted = True

    # The checkpoint: the best epoch, judged once on the test split.
    model.load_state_dict(best_weights)
    model = model.to("cpu", memory_format=torch.contiguous_format)
    mean, std = mean.cpu(), std.cpu()
    test_accuracy = evaluate.accuracy(logits_of(splits.test.images[:]), splits.test.labels)
    training = Training(
        config, splits.info, best_epoch, best_accuracy, test_accuracy, round(time.monotonic() - started, 3), interrupted
    )
    images, labels = splits.test.images[:REFERENCE_IMAGES], splits.test.labels[:REFERENCE_IMAGES]
    with torch.no_grad():
        logits = model(torch.from_numpy(artifact.preprocess(images, preprocessing))).numpy()
    size = config.image_size
    with artifact.staged(out) as folder:
        save_file(best_weights, folder / "weights.safetensors")
        (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
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
    return artifact.read(out)
