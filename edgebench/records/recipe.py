"""The recipe of a training run: each setting with its default, meaning and bounds, for flags and TOML files alike."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgebench.errors import UsageError
from edgebench.records import digests


def _setting(default: Any, help: str, *, least: float | None = None, most: float | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "least": least, "most": most})


@dataclass(frozen=True)
class TrainConfig:
    """The whole recipe of a training run. What is None is filled in from the dataset, the network or the machine; a
    checkpoint records what it became."""

    model: str = _setting("mobilenetv3_small_050", "A short name, a timm name, FILE.py:FUNCTION or FILE.toml.")
    dataset: str = _setting("digits", "digits, fashion-mnist, cifar10, cifar100, imagenet, or a folder of images.")
    data_dir: str | None = _setting(None, "Where the datasets lie.  [default: EDGEBENCH_DATA]")
    subset: str = _setting("full", "Labelled images to use, stratified: full, a number (5000) or a share (0.1).")
    image_size: int | None = _setting(None, "Pixels of the square images.  [default: the dataset's]", least=8)
    adapt: bool = _setting(True, "Change strides, patches and windows where images are small for the network.")
    skip_broken: bool = _setting(False, "List the images that cannot be read and go on without them.")
    stream: bool = _setting(False, "Decode images as they are needed instead of once into a cache.")

    pretrained: bool = _setting(False, "Begin with timm's pretrained weights, from the Hugging Face hub.")
    init_weights: str | None = _setting(None, "Begin with the weights of this .safetensors file, but for the head.")
    freeze: bool = _setting(False, "Train the head alone (a linear probe).")

    epochs: int = _setting(8, "Passes over the training images.", least=1)
    patience: int | None = _setting(None, "End after so many epochs without a better validation accuracy.", least=1)
    batch_size: int = _setting(64, "Images of a forward pass, of each process.", least=2)
    accumulate: int = _setting(1, "Batches whose gradients make one step.", least=1)
    optimizer: Literal["adamw", "sgd"] = _setting("adamw", "sgd has Nesterov's momentum of 0.9.")
    lr: float | None = _setting(
        None,
        "Peak learning rate.  [default: adamw 0.005, without batch normalisation 0.001; sgd ten times as much; a fifth "
        "when beginning with weights]",
    )
    warmup: float = _setting(0.1, "Share of the steps in which the learning rate rises.", least=0, most=1)
    weight_decay: float = _setting(0.02, "Not applied to biases and norms.", least=0)
    layer_decay: float = _setting(1.0, "Learning rate of each layer as a share of the next one's.", least=0.01, most=1)
    clip_grad: float | None = _setting(None, "Scale gradients down to this norm.", least=1e-9)
    label_smoothing: float = _setting(0.1, "Share of the target that all classes have in common.", least=0, most=0.99)
    ema: float = _setting(0.0, "Judge and keep an average of the weights with this decay, such as 0.999.", most=0.99999)

    flip: bool | None = _setting(None, "Mirror half of the images.  [default: where the dataset allows it]")
    shift: float = _setting(0.1, "Move each image by up to this share of its size.", least=0, most=0.5)
    augment: Literal["none", "trivialaugment", "randaugment"] = _setting("none", "Change colours and shapes as well.")
    mixup: float = _setting(0.0, "Blend pairs of images; α of the Beta distribution, such as 0.2.", least=0)
    cutmix: float = _setting(0.0, "Paste a part of one image on another; α, such as 1.", least=0)

    amp: Literal["none", "bf16", "fp16"] = _setting("none", "Automatic mixed precision.")
    compile: bool = _setting(False, "Compile the network with torch.compile.")
    channels_last: bool = _setting(True, "Keep channels last in memory: twice as fast for depthwise networks on a CPU.")
    threads: int | None = _setting(None, "CPU threads.  [default: as many as the network is worth]", least=1)
    seed: int = _setting(0, "Same seed, same machine: same weights, bit for bit.", least=0)

    def check(self) -> None:
        """Raise UsageError for settings that no training run can use."""
        for field in dataclasses.fields(self):
            value, least, most = getattr(self, field.name), field.metadata["least"], field.metadata["most"]
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{flag(field.name)} is {value}", "give a finite number")
            if value is not None and least is not None and value < least:
                raise UsageError(f"{flag(field.name)} is {value}", f"give at least {least:g}")
            if value is not None and most is not None and value > most:
                raise UsageError(f"{flag(field.name)} is {value}", f"give at most {most:g}")
        if self.lr is not None and self.lr <= 0:
            raise UsageError(f"--lr is {self.lr}", "give a positive number such as 0.005")
        if self.pretrained and self.init_weights:
            raise UsageError("--pretrained and --init-weights exclude each other", "give one of them")
        if self.freeze and not (self.pretrained or self.init_weights):
            raise UsageError(
                "--freeze would train the head of a random network", "add --pretrained or --init-weights FILE"
            )


def flag(name: str) -> str:
    """The command line's spelling of a field: batch_size → --batch-size."""
    return "--" + name.replace("_", "-")


def to_toml(config: TrainConfig) -> str:
    """The settings as a TOML file that `--config` reads; what is None is left out."""
    told = {name: value for name, value in dataclasses.asdict(config).items() if value is not None}
    # JSON's strings, numbers and booleans are TOML's too, but for surrogate pairs and a bare DEL.
    texts = {name: json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") for name, value in told.items()}
    return "".join(f"{name} = {text}\n" for name, text in texts.items())


def absolute(config: TrainConfig) -> TrainConfig:
    """The config with whole paths, so that what a checkpoint records can be used from any folder."""
    whole = {
        name: str(Path(value).expanduser().absolute())
        for name in ("dataset", "data_dir", "init_weights")
        if (value := getattr(config, name)) and (name != "dataset" or Path(value).expanduser().is_dir())
    }
    return dataclasses.replace(config, **whole)


def folder_name(config: TrainConfig, dataset: str) -> str:
    """Of the checkpoint: the same recipe gets the same folder, another recipe another."""
    model = config.model.rpartition("/")[2]
    plain = ("".join(c if c.isalnum() or c in "_-" else "_" for c in name) for name in (model, dataset))
    return f"{'-'.join(plain)}-{digests.of_data(config)[:8]}"
