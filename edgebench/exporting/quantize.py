"""int8 by NNCF's post-training quantization, for the exporters: one recipe for ONNX and OpenVINO models."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from edgebench.artifact import prepared
from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.specs import Artifact, Calibration, ExportOptions

FEWEST = 10  # calibration images: fewer say nothing about the range of an activation

Logits = Callable[[np.ndarray], np.ndarray]  # float32 (1, 3, h, w) → (1, classes)


def check(precision: str) -> None:
    """Raise Unsupported if int8 is asked for and NNCF is not installed."""
    if precision == "int8":
        _nncf()


def quantize(
    model: Any, source: Artifact, options: ExportOptions, *, transformer: bool, opened: Callable[[Any], Logits]
) -> tuple[Any, tuple[str, ...]]:
    """The model in int8, and the layers left in floating point: ranges from the calibration images, preprocessed as the
    artifact says.

    With `options.accuracy_drop` the worst layers stay in floating point until the share of right validation images is
    at most that much below that of the model as it came; EdgebenchError if that cannot be. `transformer`: smooth
    activations into weights first (SmoothQuant, Xiao et al., ICML 2023) and leave attention's own products as NNCF's
    patterns for transformers have them. `opened` makes a function from input to logits of a model, as NNCF hands it
    over for validation.
    """
    nncf, given = _nncf(), _checked(options.calibration, source)
    name = source.inputs[0].name

    def inputs(images: np.ndarray) -> Any:
        return nncf.Dataset(range(len(images)), lambda i: {name: prepared(images[i : i + 1], source)})

    recipe = {
        "subset_size": len(given.images),
        "model_type": nncf.ModelType.TRANSFORMER if transformer else None,
        # Swish, GELU and their like put out negative values too: their ranges are not symmetric.
        "preset": nncf.QuantizationPreset.MIXED,
    }
    # Weights of seven bits: sums of products of eight overflow on CPUs without VNNI, and an artifact goes to who knows
    # which CPU. On such a one it gave 70.7 % where eight bits gave 69.2 % and fp32 70.3 %, and the bit that is lost
    # cannot be seen (EfficientNet-Lite0, ONNX Runtime, 1,500 test images of CIFAR-10).
    advanced = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    with _quiet() as said:
        try:
            if options.accuracy_drop is None:
                return nncf.quantize(model, inputs(given.images), **recipe, advanced_parameters=advanced), ()
            if not 0 < options.accuracy_drop < 1:
                raise UsageError(f"--accuracy-drop is {options.accuracy_drop:g}", "give a share such as 0.01")

            def right(candidate: Any, rows: Iterable[int]) -> tuple[float, list[float]]:
                logits = opened(candidate)
                images = (
                    (prepared(given.validation_images[i : i + 1], source), given.validation_labels[i]) for i in rows
                )
                hits = [float(logits(x).argmax() == label) for x, label in images]
                return float(np.mean(hits)), hits

            validation = inputs(given.validation_images)
            made = nncf.quantize_with_accuracy_control(
                model, inputs(given.images), validation, right, max_drop=options.accuracy_drop, **recipe,
                advanced_quantization_parameters=advanced,
            )  # fmt: skip
            return made, _left_in_float(said, options.accuracy_drop)
        except nncf.ValidationError as error:
            raise EdgebenchError(f"NNCF cannot quantize {source.model.name}: {error}", "another backbone") from error


def _checked(given: Calibration | None, source: Artifact) -> Calibration:
    size = (source.preprocessing.height, source.preprocessing.width, 3)
    if given is None:
        raise UsageError("int8 needs calibration images", "export from the checkpoint, where its dataset is")
    if given.images.shape[1:] != size:
        raise UsageError(f"the calibration images are {given.images.shape[1:]}, the model takes {size}", "resize them")
    if len(given.images) < FEWEST:
        raise UsageError(f"{len(given.images)} calibration images are too few", f"give at least {FEWEST}, better 300")
    if given.classes < 2:
        raise UsageError("the calibration images are all of one class", "take some of each class")
    return given


def _nncf() -> Any:
    # It sends what it is used for to its makers, unless it takes this for one of their test machines.
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ImportError as error:
        raise Unsupported(f"int8 needs NNCF, which does not load: {error}", "pip install 'edgebench[int8]'") from None
    return nncf


def _left_in_float(said: Iterable[str], bound: float) -> tuple[str, ...]:
    """The layers that NNCF tells of, which its result does not tell from those that it never quantizes."""
    if any("could not achieve the required accuracy drop" in message for message in said):
        raise EdgebenchError(f"int8 costs more than --accuracy-drop {bound:g}, whatever stays in float", "a larger one")
    reports = [message.splitlines() for message in said if "were reverted back to the floating-point" in message]
    return tuple(name.strip() for lines in reports[-1:] for name in lines[1:] if name.strip())


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """What NNCF says; stdout, where it says that and draws progress bars, belongs to the caller's --json."""
    logger, said = logging.getLogger("nncf"), []
    handlers, level = logger.handlers, logger.level
    listener = logging.Handler()
    listener.emit = lambda record: said.append(record.getMessage())
    logger.handlers = [listener]
    logger.setLevel(logging.INFO)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield said
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
