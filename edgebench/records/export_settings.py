"""The settings of an export: each with its default, meaning and bounds, for flags and TOML files alike."""

from __future__ import annotations

from dataclasses import dataclass

from edgebench.records.options import option


@dataclass(frozen=True)
class ExportSettings:
    """How an artifact is made, beside its format and precision.

    `calibration`: files and folders of inputs to an adopted model, for int8; `edgebench export` has an option of its
    own for them.
    """

    accuracy_drop: float | None = option(
        None,
        "below fp32: the share of the validation images that it may lose. If given, the worst layers of int8 stay in "
        "floating point until it is kept.  [default: 0.01]",
        metavar="SHARE",
    )
    calibration_images: int = option(
        300, "int8: training images, of all classes in proportion, that tell the ranges of the activations.", least=1
    )
    max_batch: int = option(32, "Largest batch a TensorRT engine is built for.", least=1)
    calibration: tuple[str, ...] = ()
