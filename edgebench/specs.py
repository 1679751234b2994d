"""The data that the parts exchange: frozen dataclasses, and the version of their JSON.

Schema history
    1  first release
    2  a recipe's `init` and a training's `beginning`, for `pretrained` and `init_weights`
    3  a dataset's `account`, for `duplicates` and `skipped`; `test_sha256`; a training's `test_classes`
    4  an artifact's `adopted`, without `training` and `preprocessing`; a network's `macs` may be unknown
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgebench.records import digests
from edgebench.records.account import Account
from edgebench.records.adopted import Adopted
from edgebench.records.answers import ClassAccuracy, Judgement
from edgebench.records.beginning import Beginning
from edgebench.records.beside import BesideFp32
from edgebench.records.course import Course
from edgebench.records.declared import AdapterName, Amount, Count, Files, MaybeSha256, Moment, Positive, Share
from edgebench.records.distillation import Distillation
from edgebench.records.floor import Floor
from edgebench.records.heads import FrozenFeatures
from edgebench.records.preprocessing import Preprocessing
from edgebench.records.recipe import TrainConfig
from edgebench.records.search import Search

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 4

Precision = Literal["fp32", "fp16", "bf16", "int8"]
# The inputs that a model may take: normalised NCHW floats, or a camera's HWC bytes, which the graph normalises.
InputType = Literal["float32", "uint8"]
ANY_RANK = "…"  # the only dimension of a tensor whose number of dimensions a file leaves open


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model. A dimension that is a name ("batch") may vary.

    Of an input of an adopted model, `sizes` is the shape of every request, with a number for each name.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    sizes: tuple[int, ...] | None = field(default=None, metadata={"json": "unless default"})

    def contradiction(self) -> str:
        """What a file may say that no tensor has; "" if nothing."""
        sizes = [size for size in (*self.shape, *(self.sizes or ())) if isinstance(size, int)]
        return f"the tensor {self.name!r} has a size below 0" if min(sizes, default=0) < 0 else ""


@dataclass(frozen=True, kw_only=True)
class DataSplit:
    """The data of a training: the sizes of the splits, and a hash of exactly the images that they hold.

    `account`: what became of each file; None in files of schema 2.
    `test_sha256`: of the classes and the content of the test images alone, which other seeds and subsets share; empty
    if an edgebench without it made the record.
    """

    FORMER: ClassVar[tuple[str, ...]] = ("duplicates", "skipped")

    dataset: str
    classes: tuple[str, ...]
    train: Count
    validation: Count
    test: Count
    indices_sha256: MaybeSha256
    account: Account | None = None
    test_sha256: MaybeSha256 = field(default="", metadata={"json": "unless default"})


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A network, how to rebuild it, and its cost for one image.

    macs = multiply-accumulates; flops = 2 × macs, as the field counts them; activations = elements that convolutions
    and matrix products put out. `origin`: timm's `timm_name`, the function in a user's file with the sha256
    `file_sha256`, or an installed plug-in. `strides` replaces those of the named modules; `adapted` says in sentences
    what was changed for small images. An adopted model has neither a timm name nor arguments, and its macs are unknown.
    """

    name: str
    timm_name: str
    arguments: dict[str, Any]
    parameters: Count
    macs: Count | None
    activations: Count | None = None
    origin: Literal["timm", "file", "plugin", "adopted"] = "timm"
    file_sha256: MaybeSha256 = ""
    strides: dict[str, int] = field(default_factory=dict)
    adapted: tuple[str, ...] = ()

    @property
    def flops(self) -> int | None:
        return None if self.macs is None else 2 * self.macs


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a checkpoint was trained and how accurate it is. Accuracies are shares in [0, 1] of the named split.

    `part_size`: images in memory at once, fewer than a batch if memory ran out. `beginning`: the weights before the
    first step. `distilled`: the teacher. `frozen`: how the classifier was fitted to frozen features. `course`: the
    stages. `floor`: what methods without a network reach on the same splits; None with --no-floor, of more than 20,000
    images, or if interrupted. `test_classes`: its accuracy by class. `search`: what was compared; `config` is the best.
    """

    config: TrainConfig
    data: DataSplit
    best_epoch: Count
    validation_accuracy: Share
    test_accuracy: Share
    seconds: Amount
    interrupted: bool = False
    part_size: Positive | None = None
    distilled: Distillation | None = None
    frozen: FrozenFeatures | None = None
    course: Course | None = None
    floor: Floor | None = field(default=None, metadata={"json": "unless default"})
    beginning: Beginning | None = None
    test_classes: tuple[ClassAccuracy, ...] = field(default=(), metadata={"json": "unless default"})
    search: Search | None = field(default=None, metadata={"json": "unless default"})


@dataclass(frozen=True, kw_only=True, repr=False)
class Artifact:
    """A model in a folder of its own, in one format: "checkpoint", "pt2", "onnx", "openvino" or "tensorrt".

    `files` maps each file's name in the folder to its sha256; those that a device needs have `size_bytes`. `source` is
    the identity of the artifact that this one was exported from; `origin` that of the checkpoint at the head of the
    chain (empty for the checkpoint itself). `in_float` names the layers that int8 left in floating point; `judged` is
    what its precision costs in accuracy, `beside_fp32` how fast it is, where that was counted or measured. A model
    from elsewhere has `adopted` instead of `training` and `preprocessing`.
    """

    format: AdapterName
    precision: Precision
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing | None = None
    model: ModelInfo
    training: Training | None = None
    files: Files
    tools: dict[str, str]
    created: Moment
    size_bytes: Count = 0
    source: MaybeSha256 = ""
    origin: MaybeSha256 = ""
    in_float: tuple[str, ...] = ()
    adopted: Adopted | None = field(default=None, metadata={"json": "unless default"})
    judged: Judgement | None = field(default=None, metadata={"json": "unless default"})
    beside_fp32: tuple[BesideFp32, ...] = field(default=(), metadata={"json": "unless default"})
    unrun: str = field(default="", metadata={"json": "unless default"})  # why: its answers are then not verified
    schema: int = SCHEMA
    path: Path = field(default=Path(), metadata={"json": False}, compare=False)

    def __repr__(self) -> str:
        told = f"{self.format}, {self.precision}, {self.size_bytes / 2**20:.1f} MiB"
        return f"<Artifact {self.model.name} ({told}) in {self.path}>"  # in a line: the manifest has all

    @property
    def input_type(self) -> InputType:
        return "uint8" if self.inputs and self.inputs[0].dtype == "uint8" else "float32"

    @property
    def for_result(self) -> Artifact:
        """As a result holds it: without the names of a classifier's classes, which the folder of the model has."""
        if not (self.adopted and self.adopted.classes):
            return self
        return replace(self, adopted=replace(self.adopted, classes=()))

    @property
    def identity(self) -> str:
        """sha256 of the content: the format, the precision and every file except the record of the training."""
        content = {name: digest for name, digest in self.files.items() if name not in ("history.jsonl", "config.toml")}
        return digests.of_data([self.format, self.precision, content])


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """What a runtime reads of a model file from elsewhere, before it opens it.

    `files`: the name of the file, then those of the files with its weights, beside it. `below`: by input, the number
    that its integers have to stay below. `usual`: by the name of an open dimension, a size that the file suggests.
    `quantized` and `steered_by`: as in Adopted. `tools`: what the file tells of how it was made. `stateful`: it keeps
    something from request to request, so the same inputs get other answers.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    files: tuple[str, ...]
    precision: Precision
    parameters: int
    tools: dict[str, str]
    quantized: str = ""
    steered_by: tuple[str, ...] = ()
    below: dict[str, int] = field(default_factory=dict)
    usual: dict[str, int] = field(default_factory=dict)
    stateful: bool = False


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an exporter made in the folder it was given; edgebench adds the hashes, the reference and the manifest."""

    files: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tools: dict[str, str]
    precision: Precision = "fp32"
    in_float: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What a runtime is asked for. It opens for requests of `batch` images, though others may come, and for `streams`
    of them at once, which share `threads`. `extra` holds `--runtime-option KEY=VALUE` pairs; an unknown one is a
    UsageError. `reference`: others are compared with its answers, so exact arithmetic counts more than speed."""

    threads: int | None = None
    precision: Precision = "fp32"
    batch: int = 1
    streams: int = 1
    reference: bool = False
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """Images for quantization, uint8 (n, h, w, 3): training images of all classes for the ranges, and validation images
    with their labels, int64 (m,), for the loss of accuracy. `classes`: how many the training images have."""

    images: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    classes: int


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What an exporter is asked for. `extra`: `--exporter-option KEY=VALUE` pairs; an unknown one is a UsageError.

    With `input` uint8 and a source that takes floats, normalisation and layout go into the graph. `calibration` is
    given for int8 if the dataset is available; of an adopted model `requests` instead: arrays by the names of inputs.
    `accuracy_drop`: the share of right validation images that int8 may cost.
    """

    precision: Precision = "fp32"
    input: InputType = "float32"
    max_batch: int = 32
    calibration: Calibration | None = None
    requests: tuple[Mapping[str, np.ndarray], ...] = ()
    accuracy_drop: float | None = None
    architecture: str = ""  # of the device's GPU, as "8.9"
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Effective:
    """What a session really runs, as the runtime reports it; None if it does not report it."""

    provider: str
    precision: Precision | None
    threads: Positive | None
    version: str
    evidence: Literal["measured", "scripted"] = "measured"


@dataclass(frozen=True)
class Layers:
    """How many layers of a session's graph, as the runtime made it, compute in `precision` on `provider`; it is None
    if no numbers of the image are computed (shapes, indices). Copies and conversions of precision are not layers."""

    precision: Precision | None
    provider: str
    count: Count
