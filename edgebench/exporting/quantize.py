"""Quantizes ONNX and OpenVINO models to int8 after training, with NNCF: one recipe for all exporters."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from edgebench.artifact import prepared
from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.specs import Artifact, Calibration, ExportOptions

FEWEST = 10  # calibration images: with fewer, the ranges of activations are unknown

Logits = Callable[[np.ndarray], np.ndarray]  # float32 (1, 3, h, w) → (1, classes)


def check(precision: str) -> None:
    """Raise Unsupported if int8 is asked for and NNCF is not installed. It is loaded where it is used."""
    if precision == "int8" and find_spec("nncf") is None:
        raise Unsupported("int8 needs NNCF, which is not installed", "pip install 'edgebench[int8]'")


def quantize(
    model: Any, source: Artifact, options: ExportOptions, *, transformer: bool, opened: Callable[[Any], Logits],
    one_scale: bool = False,
) -> tuple[Any, tuple[str, ...]]:  # fmt: skip
    """The model in int8, and the names of the layers left in floating point.

    Ranges come from the calibration images, preprocessed as the artifact states. With `options.accuracy_drop`, the
    worst layers stay in floating point until the share of right validation images is at most that much below the
    original model's; EdgebenchError if that is impossible. `transformer`: first smooth activations into weights
    (SmoothQuant, Xiao et al., ICML 2023), and treat attention's products by NNCF's patterns for transformers. `opened`
    turns a model, as NNCF passes it for validation, into a function from input to logits. `one_scale`: for all channels
    of an activation; NNCF has one for each before a depthwise convolution.
    """
    nncf = _nncf()
    if source.adopted:
        return _of_requests(nncf, model, source, options, transformer, one_scale), ()
    given, name = _checked(options.calibration, source), source.inputs[0].name

    def inputs(images: np.ndarray) -> Any:
        return nncf.Dataset(range(len(images)), lambda i: {name: prepared(images[i : i + 1], source)})

    recipe, advanced = _recipe(nncf, len(given.images), transformer, one_scale)
    with _quiet() as said:
        try:
            if options.accuracy_drop is None:
                return nncf.quantize(model, inputs(given.images), **recipe, advanced_parameters=advanced), ()

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


def check_done(source: Artifact, operators: Iterable[str]) -> None:
    """Raise Unsupported if none of these operators quantizes anything: the model would be int8 by name only."""
    if not {"QuantizeLinear", "FakeQuantize"} & {*operators}:
        steered = f", being inside of {', '.join(source.adopted.steered_by)}" if source.adopted.steered_by else ""
        raise Unsupported(f"NNCF finds no layer of {source.model.name} to quantize{steered}", "--precision fp16")


def requests(source: Artifact, options: ExportOptions) -> Iterator[Mapping[str, np.ndarray]]:
    """What the model is calibrated on, one by one."""
    if source.adopted:
        yield from options.requests
        return
    images, name = options.calibration.images, source.inputs[0].name
    for i in range(len(images)):
        yield {name: prepared(images[i : i + 1], source)}


def _recipe(nncf: Any, count: int, transformer: bool, one_scale: bool) -> tuple[dict[str, Any], Any]:
    from nncf.quantization.advanced_parameters import QuantizationParameters

    recipe = {
        "subset_size": count,
        "model_type": nncf.ModelType.TRANSFORMER if transformer else None,
        # Swish, GELU and similar functions have small negative outputs: their ranges are not symmetric.
        "preset": nncf.QuantizationPreset.MIXED,
    }
    # Weights have seven bits: on CPUs without VNNI, sums of products of eight bits overflow, and the artifact may go to
    # any CPU. On such a CPU, seven bits gave 70.7 %, eight bits 69.2 % and fp32 70.3 %, so the lost bit costs nothing
    # (EfficientNet-Lite0, ONNX Runtime, 1,500 test images of CIFAR-10).
    advanced = nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix.ENABLE,
        activations_quantization_params=QuantizationParameters(per_channel=False) if one_scale else None,
    )
    return recipe, advanced


def _of_requests(
    nncf: Any, model: Any, source: Artifact, options: ExportOptions, transformer: bool, one_scale: bool
) -> Any:
    """The same for an adopted model, by its requests."""
    data = nncf.Dataset(list(options.requests), dict)
    recipe, advanced = _recipe(nncf, len(options.requests), transformer, one_scale)
    with _quiet():
        try:
            return nncf.quantize(model, data, **recipe, advanced_parameters=advanced)
        except Exception as error:  # NNCF and what it runs the model with raise many kinds for what they do not know
            said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise EdgebenchError(
                f"NNCF cannot quantize {source.model.name}: {said}", "another --target, or --precision fp16"
            ) from error


def _checked(given: Calibration | None, source: Artifact) -> Calibration:
    size = (source.preprocessing.height, source.preprocessing.width, 3)
    if given is None:
        raise UsageError("int8 needs calibration images", "export from the checkpoint, on a machine with its dataset")
    if given.images.shape[1:] != size:
        raise UsageError(f"the calibration images are {given.images.shape[1:]}, the model takes {size}", "resize them")
    if len(given.images) < FEWEST:
        raise UsageError(f"{len(given.images)} calibration images are too few", f"give at least {FEWEST}, better 300")
    if given.classes < 2:
        raise UsageError("all calibration images are of one class", "take some of each class")
    return given


def _nncf() -> Any:
    # NNCF sends usage data to its makers, unless this variable marks the machine as one of their test machines.
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ImportError as error:
        raise Unsupported(f"int8 needs NNCF, which does not load: {error}", "pip install 'edgebench[int8]'") from None
    return nncf


def _left_in_float(said: Iterable[str], bound: float) -> tuple[str, ...]:
    """The layers that NNCF's log names as reverted: its result does not mark them.

    Raises EdgebenchError if NNCF could not keep the bound.
    """
    if any("could not achieve the required accuracy drop" in message for message in said):
        message = f"int8 costs more than --accuracy-drop {bound:g}, whichever layers stay in floating point"
        raise EdgebenchError(message, "a larger --accuracy-drop, or --precision fp16")
    reports = [message.splitlines() for message in said if "were reverted back to the floating-point" in message]
    return tuple(name.strip() for lines in reports[-1:] for name in lines[1:] if name.strip())


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """Collects NNCF's log messages and keeps its progress bars off stdout, which is for the caller's --json."""
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
