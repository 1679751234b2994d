"""The recipe of a training run: each setting with its default, meaning and bounds, for flags and TOML files alike."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebench.errors import UsageError
from edgebench.records import digests, jsonio
from edgebench.records.beginning import Licence
from edgebench.records.options import check, flag, option

# Any other dataset is the path of a folder.
NAMED_DATASETS = ("digits", "fashion-mnist", "cifar10", "cifar100", "imagenet")
NAMED_BEGINNINGS = ("auto", "random", "pretrained")  # anything else is the path of a file


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The whole recipe of a training run. The dataset, the network or the machine decides what is None here; a
    checkpoint records the values."""

    model: str = option("resnet_mini", "A short name, a timm name, FILE.py:FUNCTION or FILE.toml.")
    dataset: str = option("digits", "digits, fashion-mnist, cifar10, cifar100, imagenet, or a folder of images.")
    data_dir: str | None = option(None, "Where the datasets lie.  [default: EDGEBENCH_DATA]")
    layout: str | None = option(
        None,
        "What the folders of each level stand for: class, split/class, class/split, any/class.  [default: recognised]",
        metavar="LEVELS", later=True,
    )  # fmt: skip
    labels: str | None = option(
        None, "A CSV or JSON file of labels.  [default: the folders' names are the labels]", metavar="FILE", later=True
    )
    subset: str = option("full", "Labelled images to use, stratified: full, a number (5000) or a share (0.1).")
    image_size: int | None = option(None, "Pixels of the square images.  [default: the images' usual size]", least=8)
    group_by: str | None = option(
        None,
        "What no split may part, such as scenes or days: a pattern whose (…) names the group in each path, or a CSV or "
        "JSON file of path and group.",
        metavar="PATTERN|FILE", later=True,
    )  # fmt: skip
    near_copies: bool = option(True, "Keep pictures that are nearly the same in one split.", later=True)
    skip_conflicts: bool = option(False, "Leave out pictures that have two labels, and go on without them.", later=True)
    adapt: bool = option(True, "Change strides, patches and windows where images are small for the network.")
    skip_broken: bool = option(False, "List the images that cannot be read and go on without them.")
    stream: bool = option(False, "Decode images as they are needed instead of once into a cache.")

    init: str = option(
        "auto",
        "Weights to start from: auto (a local file, the Hugging Face cache, the hub, else random), random, pretrained "
        "(timm's), or a .safetensors file. The head is new.",
    )
    licence: Licence = option("any", "permissive: only weights whose licence lets everybody use them.")
    freeze: bool = option(False, "Train the head alone (a linear probe).")

    distill: str | None = option(
        None,
        "Learn from this teacher too: a checkpoint's folder, or an encoder: a network's name, whose weights are looked "
        "for as by --init auto, or NETWORK=FILE.safetensors.",
    )
    unlabelled: str | None = option(None, "A folder of images without labels, to which the teacher answers.")
    distill_weight: float = option(
        0.9, "Share of the loss that is the teacher's; labels have the rest.", least=0, most=1
    )
    temperature: float = option(2.0, "How far a teacher's logits are softened.", above_0="number")
    distill_size: int | None = option(None, "Pixels of an encoder's images.  [default: those it was made for]", least=8)

    minutes: float | None = option(
        None, "Plan the training so that the whole command ends in so many minutes.", above_0="number of minutes"
    )
    epochs: int | None = option(
        None,
        "Passes over the training images.  [default: 8, or up to 16 for small sets; with --minutes, as many as fit]",
        least=1,
    )
    search: int | None = option(
        None,
        "First compare so many settings of learning rate, weight decay, batch size and augmentation on validation. It "
        "takes half of --minutes; without them about twice as long as the training.",
        least=2, later=True,
    )  # fmt: skip
    patience: int | None = option(None, "End after so many epochs without a better validation accuracy.", least=1)
    batch_size: int = option(64, "Images of a forward pass, of each process.", least=2)
    accumulate: int = option(1, "Batches whose gradients make one step.", least=1)
    optimizer: Literal["adamw", "sgd"] = option("adamw", "sgd has Nesterov's momentum of 0.9.")
    lr: float | None = option(
        None,
        "Peak learning rate.  [default: adamw 0.005, without batch normalisation 0.001; sgd ten times as much; a fifth "
        "when beginning with weights, a fifteenth after a fitted head]",
    )
    balance: bool = option(
        False, "Let all classes count alike: draw each equally often, and choose the epoch by balanced accuracy.",
        later=True,
    )  # fmt: skip
    warmup: float = option(0.1, "Share of the steps in which the learning rate rises.", least=0, most=1)
    weight_decay: float = option(0.02, "Not applied to biases and norms.", least=0)
    layer_decay: float | None = option(
        None,
        "Learning rate of each layer as a share of the next one's.  [default: 0.85 after a fitted head, else 1]",
        least=0.01, most=1,
    )  # fmt: skip
    clip_grad: float | None = option(None, "Scale gradients down to this norm.", least=1e-9)
    label_smoothing: float = option(0.1, "Share of the target that all classes have in common.", least=0, most=0.99)
    ema: float | None = option(
        None,
        "Judge and keep an average of the weights with this decay, such as 0.999.  [default: with --minutes or learned "
        "weights, over the last twentieth of the steps; else 0, none]",
        least=0, most=0.99999,
    )  # fmt: skip
    head_first: bool | None = option(
        None,
        "Fit the head to frozen features, then train all, and average both on validation.  [default: with learned "
        "weights]",
    )
    progressive: float | None = option(
        None,
        "Share of the training that begins with smaller images.  [default: 0.6 with --minutes and random weights, "
        "else 0]",
        least=0, most=0.9,
    )  # fmt: skip

    flip: bool | None = option(None, "Mirror half of the images.  [default: where the dataset allows it]")
    shift: float = option(0.1, "Move each image by up to this share of its size.", least=0, most=0.5)
    augment: Literal["none", "trivialaugment", "randaugment"] = option("none", "Change colours and shapes as well.")
    mixup: float = option(0.0, "Blend pairs of images; α of the Beta distribution, such as 0.2.", least=0)
    cutmix: float = option(0.0, "Paste a part of one image on another; α, such as 1.", least=0)

    amp: Literal["auto", "none", "bf16", "fp16"] = option(
        "auto", "Automatic mixed precision. auto: none; with --minutes bf16 if it is faster here."
    )
    compile: bool = option(False, "Compile the network with torch.compile.")
    channels_last: bool = option(True, "Keep channels last in memory: twice as fast for depthwise networks on a CPU.")
    threads: int | None = option(None, "CPU threads.  [default: as many as the network is worth]", least=1)
    floor: bool = option(True, "Show what needs no network beside it: neighbours, linear and kernel machine.")
    seed: int = option(0, "Same seed, same machine: same weights, bit for bit.", least=0, most=2**63 - 1)

    def check(self) -> None:
        """Raise UsageError for settings that no training run can use."""
        check(self)
        check_layout(self.layout, self.labels)
        check_groups(self.group_by)
        if self.lr is not None and self.lr <= 0:
            raise UsageError(f"--lr is {self.lr}", "give a positive number such as 0.005")
        for name in ("unlabelled", "distill_size"):
            if getattr(self, name) is not None and not self.distill:
                raise UsageError(f"{flag(name)} does nothing without a teacher", "add --distill TEACHER")
        if self.init not in NAMED_BEGINNINGS and not Path(self.init).suffix:
            raise UsageError(
                f"--init {self.init!r} is neither {', '.join(NAMED_BEGINNINGS)} nor a .safetensors file",
                "name the file itself, such as weights.safetensors",
            )
        if self.freeze and self.init == "random":
            raise UsageError(
                "--freeze would train the head of a random network", "--init auto, pretrained or FILE.safetensors"
            )


def check_layout(layout: str | None, labels: str | None) -> None:
    """Raise UsageError for a --layout that says nothing, or one beside --labels."""
    if layout is None:
        return
    levels = layout.split("/")
    if not set(levels) <= {"class", "split", "any"} or levels.count("class") != 1 or levels.count("split") > 1:
        raise UsageError(
            f"--layout {layout!r} does not say what the folders of each level stand for",
            "give class, split/class or class/split; any is a level that stands for neither: any/class",
        )
    if labels is not None:
        raise UsageError("--layout and --labels both say what the classes are", "leave out one of them")


def check_groups(group_by: str | None) -> None:
    """Raise UsageError for a --group-by that is neither a file nor a pattern."""
    if group_by is None or is_group_file(group_by):
        if group_by is not None and not Path(group_by).expanduser().is_file():
            raise UsageError(f"--group-by: there is no file {group_by}", "name a CSV or JSON file, or give a pattern")
        return
    try:
        re.compile(group_by)
    except re.error as error:
        raise UsageError(
            f"--group-by {group_by!r} is no regular expression: {error}",
            r"give one whose (…) names the group, such as '(scene\d+)', or a CSV or JSON file",
        ) from None


def is_group_file(group_by: str) -> bool:
    return Path(group_by).suffix.lower() in (".csv", ".json")


def to_toml(config: TrainConfig) -> str:
    """The settings as the text of a TOML file that `--config` reads; what is None is left out."""
    told = {name: value for name, value in dataclasses.asdict(config).items() if value is not None}
    # JSON's strings, numbers and booleans are valid in TOML too, except surrogate pairs and a bare DEL.
    texts = {name: json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") for name, value in told.items()}
    return "".join(f"{name} = {text}\n" for name, text in texts.items())


def absolute(config: TrainConfig) -> TrainConfig:
    """The config with whole paths, so that what a checkpoint records can be used from any folder.

    The name of a dataset stands for that dataset, also where a folder of the same name is.
    """
    paths = {
        "dataset": config.dataset not in ("", *NAMED_DATASETS) and Path(config.dataset).expanduser().is_dir(),
        "data_dir": bool(config.data_dir),
        "labels": bool(config.labels),
        "group_by": bool(config.group_by) and is_group_file(config.group_by),
        "init": bool(Path(config.init).suffix),
        "unlabelled": bool(config.unlabelled),
    }
    whole = {name: _absolute(getattr(config, name)) for name, is_path in paths.items() if is_path}
    if config.distill and (encoder := encoder_of(config.distill)) is None:
        whole["distill"] = _absolute(config.distill)
    elif config.distill and Path(encoder[1]).suffix:
        whole["distill"] = f"{encoder[0]}={_absolute(encoder[1])}"
    return dataclasses.replace(config, **whole)


def encoder_of(distill: str) -> tuple[str, str] | None:
    """The network that `--distill` names and what it begins with; None if it names the folder of a checkpoint."""
    path = Path(distill).expanduser()
    if path.exists():
        return None
    network, separator, init = distill.partition("=")
    if separator:
        return network, init
    return (distill, "auto") if path.name == distill and path.suffix != ".safetensors" else None


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def folder_name(config: TrainConfig, dataset: str) -> str:
    """The name of the checkpoint's folder: the same for the same recipe, another for any other.

    The floor is no part of the recipe: it changes nothing in the network.
    """
    model = config.model.rpartition("/")[2]
    plain = ("".join(c if c.isalnum() or c in "_-" else "_" for c in name) for name in (model, dataset))
    recipe = {name: value for name, value in jsonio.encode(config).items() if name != "floor"}
    return f"{'-'.join(plain)}-{digests.of_data(recipe)[:8]}"
