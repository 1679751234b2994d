"""Train a backbone: one plain loop that reads top to bottom and ends in a checkpoint folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from edgebench import artifact
from edgebench.errors import EdgebenchError
from edgebench.machine.device import available_cores
from edgebench.measuring import correctness
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact, ModelInfo, Preprocessing
from edgebench.training import (
    augment,
    checkpoint,
    data,
    distributed,
    malloc,
    models,
    optimization,
    resuming,
    tracking,
)
from edgebench.training.batches import BatchReader
from edgebench.training.distributed import World
from edgebench.training.gradients import Accumulation
from edgebench.training.resuming import RunState, SavedRun

STATISTICS_IMAGES = 10_000  # whose pixels tell mean and deviation: more change nothing in the third digit
LOOK_EVERY = {"cpu": 1, "cuda": 10}  # steps: each look at the loss makes the host wait for the device
AMP = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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


@dataclass(frozen=True)
class Listener:
    """What a run tells whoever started it: each step, a sentence now and then, images decoded of how many."""

    on_step: Callable[[Step], None] = lambda step: None
    say: Callable[[str], None] = lambda sentence: None
    on_image: Callable[[int, int], None] = lambda done, total: None


SILENT = Listener()
Track = Callable[..., AbstractContextManager[tracking.Tracker]]  # (config, epochs_done=n): see tracking.open


def _untracked(config: TrainConfig, epochs_done: int) -> AbstractContextManager[tracking.Tracker]:
    return nullcontext(tracking.Tracker(()))


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    track: Track = _untracked,
    listener: Listener = SILENT,
) -> Artifact:
    """Train by `config` and write the checkpoint folder `out`. Same config, same machine: same weights, bit for bit.

    The checkpoint is the epoch with the best validation accuracy; the test split is used once, at the end. Ctrl-C after
    an epoch ends the run early and keeps the best checkpoint so far, marked `interrupted`. With `resume` a run that was
    killed or interrupted goes on after the last epoch that was saved. Started by torchrun, the processes train together
    and the first of them does all else.
    """
    config.check()
    artifact.ensure_writable(out)
    torch.use_deterministic_algorithms(True, warn_only=True)  # some CUDA kernels have no deterministic form
    torch.utils.deterministic.fill_uninitialized_memory = False  # it took a tenth of a step, and nothing reads such
    with distributed.world() as world, malloc.keep_freed_memory():
        if world.leads:
            return _train(config, out, resume, track, listener, world)
        return _train(config, out, resume, _untracked, SILENT, world)


def _train(
    config: TrainConfig, out: Path, resume: bool, track: Track, listener: Listener, world: World,
) -> Artifact:  # fmt: skip
    saved, tensors = RunState(config), {}
    state = SavedRun(out)
    if resume:
        saved, tensors = state.load(config)
        config = saved.config
    elif state.exists() and world.leads:
        listener.say(f"begins anew: the unfinished run in {state.folder} is given up (--resume would go on with it)")

    # Data: uint8, normalised in batches on the device.
    dataset = data.find(config.dataset, config.data_dir)
    with world.leader_first():
        splits = data.load(
            dataset, config.subset, config.image_size or dataset.image_size, config.seed,
            skip_broken=config.skip_broken, stream=config.stream, on_progress=listener.on_image,
        )  # fmt: skip
    classes = len(splits.info.classes)
    config = replace(
        config,
        image_size=config.image_size or dataset.image_size,
        flip=dataset.flip if config.flip is None else config.flip,
    )

    # Model: channels-last halves the time of a depthwise network on a CPU.
    network, info = models.build(
        config.model, classes, config.image_size, config.seed,
        pretrained=config.pretrained and not resume, adapt=config.adapt,
    )  # fmt: skip
    for sentence in info.adapted:
        listener.say(sentence)
    if config.init_weights and not resume:
        listener.say(models.load_weights(network, info, Path(config.init_weights)).text)
    if config.freeze:
        models.freeze(network)
    network = network.to(world.device)
    if config.channels_last:
        network = network.to(memory_format=torch.channels_last)
    preprocessing = _preprocessing(config, info, splits.train)
    mean, std = (torch.tensor(v, device=world.device).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std))

    def normalised(images: torch.Tensor) -> torch.Tensor:
        return (images.float() / 255 - mean) / std

    # What moves the weights. A step takes the images of all processes and of all batches that are accumulated.
    batch_size = min(config.batch_size, max(2, len(splits.train) // world.size))
    step_size = min(batch_size * world.size * config.accumulate, len(splits.train))
    steps = len(splits.train) // step_size  # the odd rest is dropped: a batch of one breaks batch normalisation
    total_steps = config.epochs * steps
    if models.hasten_statistics(network, steps * config.accumulate):
        listener.say(f"batch normalisation's statistics move faster, for there are {steps} batches an epoch")
    config = replace(
        config,
        threads=config.threads or _worthwhile_threads(info.macs * batch_size),
        lr=config.lr or optimization.default_lr(config, network),
    )
    torch.set_num_threads(config.threads)
    optimizer = optimization.optimizer(network, config)
    average = optimization.average(network, config.ema) if config.ema else None
    judged = average.module if average else network
    running = world.wrap(torch.compile(network) if config.compile else network)
    scaler = torch.amp.GradScaler(world.device.type, enabled=config.amp == "fp16")
    best_weights = resuming.restore(tensors, network, optimizer, scaler, average, saved) if resume else {}
    gradients = Accumulation(running, saved.part_size or batch_size, scaler, listener.say)
    batches = BatchReader(splits.train, world.device)
    logits_of = correctness.torch_logits(judged, normalised, batch_size=256)

    def loss_of(draw: torch.Generator, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = augment.mix(
            normalised(images), labels, draw, classes=classes, mixup=config.mixup, cutmix=config.cutmix
        )
        with torch.autocast(world.device.type, AMP[config.amp], enabled=config.amp != "none"):
            logits = running(inputs)
            loss = F.cross_entropy(logits, targets, label_smoothing=config.label_smoothing)
        return loss, (logits.argmax(1) == labels).sum()

    # The loop.
    progress = replace(saved, config=config)
    validation_accuracy = saved.history[-1]["validation_accuracy"] if saved.history else None
    interrupted, started = False, time.monotonic() - saved.seconds
    try:
        with track(config, epochs_done=saved.epoch) as tracker:
            for epoch in range(saved.epoch + 1, config.epochs + 1):
                if config.patience and _since_better(progress.history) >= config.patience:
                    listener.say(f"ends after epoch {epoch - 1}: none of the last {config.patience} was better")
                    break
                # All that is random in an epoch follows from the seed and its number: a resumed run needs no more.
                order = torch.randperm(len(splits.train), generator=_generator(config.seed, epoch))
                draw = _generator(config.seed, epoch, world.rank + 1)
                torch.manual_seed(draw.initial_seed())  # dropout and stochastic depth
                network.train()
                models.keep_frozen(network)
                loss_sum, correct, epoch_began = 0.0, 0, time.monotonic()
                chosen = map(world.mine, order[: steps * step_size].split(step_size))
                for step, (images, labels) in enumerate(batches.read(chosen), 1):
                    images = augment.augment(images, draw, flip=config.flip, shift=config.shift, policy=config.augment)
                    done = (epoch - 1) * steps + step
                    lr_share = optimization.set_lr(optimizer, done - 1, total_steps, config.warmup)
                    loss, right = gradients.backward(images, labels, partial(loss_of, draw))
                    if config.clip_grad:
                        scaler.unscale_(optimizer)
                        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_grad)
                    scaler.step(optimizer)
                    scaler.update()
                    if average:
                        average.update_parameters(network)

                    loss_sum, correct = loss_sum + loss, correct + right
                    if step % LOOK_EVERY.get(world.device.type, 1) and step < steps:
                        continue
                    mean_loss, accuracy = float(loss_sum) / step, int(correct) / (step * len(images))
                    if not math.isfinite(mean_loss):
                        state.discard()  # resumed, it would come to the same
                        raise EdgebenchError(
                            f"the loss became {mean_loss} in epoch {epoch}, step {step}", _against_divergence(config)
                        )
                    epoch_s = time.monotonic() - epoch_began
                    listener.on_step(
                        Step(
                            epoch, config.epochs, step, steps, mean_loss, accuracy, validation_accuracy,
                            step * step_size / epoch_s, epoch_s / step * (total_steps - done),
                        )
                    )  # fmt: skip

                if world.leads:
                    validation_accuracy = correctness.accuracy(
                        logits_of(splits.validation.images), splits.validation.labels
                    )
                validation_accuracy = world.told(validation_accuracy or 0.0)
                record = {
                    "epoch": epoch, "loss": mean_loss, "train_accuracy": accuracy,
                    "validation_accuracy": validation_accuracy, "lr": config.lr * lr_share,
                    "images_per_s": steps * step_size / epoch_s, "seconds": time.monotonic() - started,
                }  # fmt: skip
                tracker.log(record)
                if validation_accuracy >= progress.best_accuracy:  # of equal ones the later, with its smaller steps
                    progress = replace(progress, best_accuracy=validation_accuracy, best_epoch=epoch)
                    best_weights = {name: t.detach().to("cpu", copy=True) for name, t in judged.state_dict().items()}
                progress = replace(
                    progress, epoch=epoch, part_size=gradients.part_size, seconds=time.monotonic() - started,
                    scaler=scaler.state_dict(), history=(*progress.history, record),
                )  # fmt: skip
                if world.leads and state.is_due():
                    state.save(progress, resuming.gather(network, optimizer, average, best_weights))
    except KeyboardInterrupt:
        if not progress.history:
            raise
        interrupted = True

    if world.leads:
        judged.load_state_dict(best_weights)
        checkpoint.write(out, judged, logits_of, splits, preprocessing, info, progress, interrupted)
        if not interrupted:
            state.discard()
    world.wait()
    return artifact.read(out)


def _preprocessing(config: TrainConfig, info: ModelInfo, images: data.Images) -> Preprocessing:
    """Learned weights want the mean and deviation that they were learned with; others the training set's."""
    learned = models.input_statistics(info) if config.pretrained or config.init_weights else None
    if learned:
        mean, std = learned
    else:
        some = np.linspace(0, len(images) - 1, min(len(images), STATISTICS_IMAGES)).astype(np.int64)
        pixels = images.images[some].reshape(-1, 3).astype(np.float32) / 255
        mean, std = pixels.mean(axis=0, dtype=np.float64), np.maximum(pixels.std(axis=0, dtype=np.float64), 1e-3)
    size = config.image_size
    return Preprocessing(size, size, tuple(round(float(v), 6) for v in mean), tuple(round(float(v), 6) for v in std))


def _since_better(history: tuple[dict[str, Any], ...]) -> int:
    """Epochs since the validation accuracy was first as high as it ever was."""
    accuracies = [record["validation_accuracy"] for record in history]
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0


def _generator(*numbers: int) -> torch.Generator:
    """Random numbers that follow from these, unlike those of any other series of numbers."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1))


def _worthwhile_threads(macs: int) -> int:
    """CPU threads for a forward pass of this many MACs: a core for each 10⁹, of those that this process may use.

    Threads meet after every operator. In a small network they wait for each other longer than they work, and once
    another program has a core each meeting waits for the scheduler: seen, a step of 0.15 · 10⁹ MACs took 107 ms on
    two threads against 98 ms on one, and beside a busy neighbour 385 ms against 98 ms.
    """
    return max(1, min(available_cores(), round(macs / 1e9)))


def _against_divergence(config: TrainConfig) -> str:
    """What to try when the loss is no number any more."""
    more = [] if config.clip_grad else ["--clip-grad 1"]
    if config.amp == "fp16":
        more.append("--amp bf16")
    return f"lower the learning rate: --lr {config.lr / 10:g}" + "".join(f"; {one}" for one in more)
