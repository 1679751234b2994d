"""Reads `--preprocess`: a preset and KEY=VALUE, completed by the input that takes the pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from edgebench.adopting import sizes
from edgebench.errors import UsageError, unknown_name
from edgebench.records.preprocessing import Align, Axes, ChannelOrder, Filter, PixelScale, Preprocessing, Resize
from edgebench.specs import TensorSpec

EXAMPLE = "for example --preprocess imagenet, or --preprocess unit,order=bgr,resize=letterbox,pad=114"
PICTURES = "say how a picture becomes the input: --preprocess imagenet, or unit, bytes, symmetric, yolo, clip, caffe"
# Torchvision's, CLIP's, Ultralytics' and Caffe's ways; the others only scale.
PRESETS: dict[str, dict[str, Any]] = {
    "imagenet": {"resize": "crop", "crop": 0.875, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "unit": {"scale": "0..1"},
    "bytes": {"scale": "0..255"},
    "symmetric": {"scale": "-1..1"},
    "yolo": {"resize": "letterbox", "pad": 114},
    "clip": {
        "resize": "crop", "crop": 1.0, "interpolation": "bicubic", "mean": (0.48145466, 0.4578275, 0.40821073),
        "std": (0.26862954, 0.26130258, 0.27577711),
    },
    "caffe": {
        "resize": "crop", "crop": 0.875, "order": "bgr", "scale": "0..255", "mean": (103.939, 116.779, 123.68),
    },
}  # fmt: skip
ONLY_WITH = {"crop": ("crop",), "pad": ("letterbox",), "align": ("letterbox",)}  # by key, the values of resize
AXES = "axes=nchw, or nhwc, chw, hwc, nhw, hw"
LARGEST_SIDE = 16_384


def read(text: str) -> dict[str, Any]:
    """What the text says, by field of Preprocessing, with `size` for height and width. Raises UsageError."""
    items = [item.strip() for item in text.split(",")]
    found: dict[str, Any] = {}
    preset = items.pop(0) if "=" not in items[0] else ""
    if preset and preset not in PRESETS:
        raise unknown_name("preset of --preprocess", preset, PRESETS)
    if not preset and not items:
        raise UsageError("--preprocess is empty", EXAMPLE)
    for item in items:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--preprocess: {item!r} is not KEY=VALUE", EXAMPLE)
        if key not in KEYS:
            raise unknown_name("key of --preprocess", key, KEYS)
        if key in found:
            raise UsageError(f"--preprocess gives {key} twice", "leave one out")
        found[key] = KEYS[key](key, value)
    return _together(PRESETS.get(preset, {}), found)


def _together(preset: Mapping[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The preset with what was given, which decides; what only another `resize` has is an error if it was given."""
    implied = next((words[0] for key, words in ONLY_WITH.items() if key in given), None)
    resize = given.get("resize") or implied or preset.get("resize", "stretch")
    for key, words in ONLY_WITH.items():
        if key in given and resize not in words:
            raise UsageError(f"--preprocess: {key} has no meaning with resize={resize}", f"resize={words[0]}")
    kept = {key: value for key, value in preset.items() if resize in ONLY_WITH.get(key, (resize,))}
    return {**kept, **given, "resize": resize}


def _word(kind: Any) -> Callable[[str, str], str]:
    def parse(key: str, value: str) -> str:
        words = get_args(kind)
        if value not in words:
            raise UsageError(f"--preprocess: {key} is {value!r}", f"one of {', '.join(words)}")
        return value

    return parse


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--preprocess: {key} is {value!r}, no number", f"{key}=0.5, or {key}=0.485/0.456/0.406")
    return number


def _numbers(key: str, value: str) -> tuple[float, ...]:
    found = tuple(_number(key, part) for part in value.split("/"))
    if len(found) not in (1, 3):
        raise UsageError(f"--preprocess: {key} has {len(found)} values", "give one, or one for each of three channels")
    if key == "std" and min(found) <= 0:
        raise UsageError(f"--preprocess: std is {value}", "give numbers above 0")
    return found


def _size(key: str, value: str) -> tuple[int, int]:
    parts = value.split("x")
    whole = all(part.isascii() and part.isdigit() and 0 < int(part) <= LARGEST_SIDE for part in parts)
    if not whole or len(parts) > 2:
        raise UsageError(f"--preprocess: size is {value!r}", "size=224, or size=HEIGHTxWIDTH such as size=48x320")
    return int(parts[0]), int(parts[-1])


def _crop(key: str, value: str) -> float:
    if not 0 < (share := _number(key, value)) <= 1:
        raise UsageError(f"--preprocess: crop is {value}", "a share of the shorter side, above 0 and at most 1")
    return share


def _pad(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) <= 255):
        raise UsageError(f"--preprocess: pad is {value!r}", "a grey from 0 to 255, such as pad=114")
    return int(value)


KEYS: dict[str, Callable[[str, str], Any]] = {
    "size": _size, "resize": _word(Resize), "crop": _crop, "pad": _pad, "align": _word(Align),
    "interpolation": _word(Filter), "order": _word(ChannelOrder), "scale": _word(PixelScale),
    "mean": _numbers, "std": _numbers, "axes": _word(Axes), "input": lambda key, value: value,
}  # fmt: skip


def sized(
    inputs: Sequence[TensorSpec], shapes: Mapping[str, tuple[int, ...]], asked: Mapping[str, Any]
) -> tuple[TensorSpec, ...]:
    """The inputs with their sizes; where the file leaves the picture's open, they are those of `size=`."""
    made = sizes.resolved(inputs, shapes)
    spec = _input(made, asked)
    if "size" not in asked or spec.name in shapes or spec.shape == ("…",):
        return made
    axes = _axes(spec, asked)
    wanted = dict(zip("hw", asked["size"], strict=True))
    shape = tuple(
        wanted[axis] if axis in wanted and isinstance(size, str) else now
        for axis, size, now in zip(axes, spec.shape, spec.sizes, strict=True)
    )
    return sizes.resolved(inputs, {**shapes, spec.name: shape})


def settled(asked: Mapping[str, Any], inputs: Sequence[TensorSpec]) -> Preprocessing:
    """The whole preprocessing for a model of these inputs, whose sizes are known. Raises UsageError."""
    spec = _input(inputs, asked)
    axes = _axes(spec, asked)
    size = dict(zip(axes, spec.sizes, strict=True))
    height, width, channels = size["h"], size["w"], size.get("c", 1)
    if "size" in asked and asked["size"] != (height, width):
        raise UsageError(
            f"--preprocess: size is {asked['size'][0]} × {asked['size'][1]}, {spec.name!r} takes {height} × {width}",
            "leave size out"
            + f", or adopt the model with --shape {spec.name}=…" * any(isinstance(s, str) for s in spec.shape),
        )
    order = asked.get("order") or ("grey" if channels == 1 else "rgb")
    if (1 if order == "grey" else 3) != channels:
        raise UsageError(
            f"--preprocess: {spec.name!r} takes {channels} channel{'s' * (channels != 1)}, which order={order} has not",
            "order=grey for one channel, rgb or bgr for three",
        )
    whole = np.dtype(spec.dtype).kind in "iu"
    scale = asked.get("scale") or (("-128..127" if spec.dtype == "int8" else "0..255") if whole else "0..1")
    mean, std = (_each(key, asked.get(key, (neutral,)), channels) for key, neutral in (("mean", 0.0), ("std", 1.0)))
    if whole and (set(mean) != {0.0} or set(std) != {1.0} or scale not in ("0..255", "-128..127")):
        fix = "--preprocess bytes" + (",scale=-128..127" if spec.dtype == "int8" else "")
        raise UsageError(f"--preprocess: {spec.name!r} takes whole numbers ({spec.dtype}): pixels as they are", fix)
    if scale == "-128..127" and spec.dtype != "int8":
        raise UsageError(f"--preprocess: scale=-128..127 is for int8, {spec.name!r} takes {spec.dtype}", "scale=-1..1")
    if scale == "0..255" and spec.dtype == "int8":
        raise UsageError(f"--preprocess: {spec.name!r} takes int8, which has no 255", "scale=-128..127")
    kept = {key: asked[key] for key in ("resize", "crop", "pad", "align", "interpolation") if key in asked}
    name = "" if spec.name == inputs[0].name else spec.name
    return Preprocessing(
        height=height, width=width, mean=mean, std=std, order=order, scale=scale, axes=axes, input=name, **kept
    )


def picture(how: Preprocessing, inputs: Sequence[TensorSpec]) -> TensorSpec:
    """The input that takes pictures."""
    return next(spec for spec in inputs if spec.name == (how.input or inputs[0].name))


def _each(key: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise UsageError(f"--preprocess: {key} has {len(values)} values, the input {channels} channel", f"{key}=0.5")
    return values * (channels // len(values))


def _input(inputs: Sequence[TensorSpec], asked: Mapping[str, Any]) -> TensorSpec:
    """The input that takes pictures: the one named, else the first that looks like it."""
    known = {spec.name: spec for spec in inputs}
    if name := asked.get("input"):
        if name not in known:
            raise UsageError(f"--preprocess: the model has no input {name!r}", f"its inputs: {list(known)}")
        return known[name]
    pictures = [spec for spec in inputs if _guessed(spec)]
    if pictures:
        return pictures[0]
    if len(inputs) == 1 and "axes" in asked:
        return inputs[0]
    told = ", ".join(f"{spec.name} {'×'.join(map(str, spec.sizes or ()))}" for spec in inputs) or "none"
    raise UsageError(
        f"no input of the model looks like a picture: {told}",
        "say which and its axes: --preprocess unit,input=NAME,axes=nhw; or give arrays: --inputs FILE.npz",
    )


def _guessed(spec: TensorSpec) -> str:
    """The axes of an input by its sizes; empty if it does not look like a picture."""
    found = spec.sizes or ()
    if len(found) == 4:
        return "nchw" if found[1] in (1, 3) else "nhwc" if found[3] in (1, 3) else ""
    if len(found) == 3:
        return "chw" if found[0] == 3 else "hwc" if found[2] == 3 else ""
    return ""


def _axes(spec: TensorSpec, asked: Mapping[str, Any]) -> Axes:
    axes = asked.get("axes") or _guessed(spec)
    told = "×".join(map(str, spec.sizes or ())) or "a scalar"
    if not axes:
        raise UsageError(f"--preprocess: {spec.name!r} is {told}: which are height and width?", AXES)
    if len(axes) != len(spec.sizes or ()):
        raise UsageError(f"--preprocess: {spec.name!r} is {told}, which are not the axes {axes}", AXES)
    if not {int(spec.sizes[axes.index(axis)]) for axis in "hw"} - {0}:
        raise UsageError(f"--preprocess: {spec.name!r} is {told}", "give it sizes with --shape")
    return axes


def told(how: Preprocessing) -> str:
    """The same as text, which `read` takes: every key that differs from the plainest."""
    values = {"size": f"{how.height}x{how.width}", "resize": how.resize}
    if how.interpolation != "bilinear":
        values["interpolation"] = how.interpolation
    if how.input:
        values["input"] = how.input
    if how.resize == "crop":
        values["crop"] = repr(how.crop)
    if how.resize == "letterbox":
        values |= {"pad": str(how.pad), "align": how.align}
    values |= {"order": how.order, "scale": how.scale}
    values |= {key: "/".join(map(repr, getattr(how, key))) for key in ("mean", "std")}
    return ",".join(f"{key}={value}" for key, value in {**values, "axes": how.axes}.items())
