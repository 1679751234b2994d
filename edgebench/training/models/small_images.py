"""Adapts a network to small images, so that its last feature map is larger than a pixel or two."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from edgebench.training.models.names import import_timm

# Below 3 × 3, the last convolutions see more of their padding than of the image. Every network here halves the image
# five times: 224 pixels become 7 × 7, 96 become 3 × 3, but 64 only 2 × 2 and 32 a single one. With a quarter of that
# reduction, 32 pixels become 4 × 4, as in the ResNet and MobileNet that are commonly trained on CIFAR-10
# (github.com/kuangliu/pytorch-cifar).
LEAST_MAP = 3
# A transformer with one resolution has no shrinking map, but needs tokens: 8 × 8 at 32 and 64 pixels, as in Lee et al.,
# Vision Transformer for Small-Size Datasets (arXiv:2112.13492).
LEAST_GRID = 6
USUAL_GRID = 8
LEAST_SIZE = 8
FILLING = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_, torch.Tensor.clamp_)  # of torch.nn.init
MOST_FACTOR = 4  # the reduction of the stem and the stage after it; later strides are part of the network's depth


@dataclass(frozen=True)
class Adaptation:
    """How a timm network is changed for small images. `arguments`: for timm.create_model; `strides`: module name → new
    stride, which leaves the weights as they are; `notes`: sentences for the user that describe the changes."""

    arguments: dict[str, Any]
    strides: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def adaptations(timm_name: str, arguments: dict[str, Any], image_size: int) -> list[Adaptation]:
    """What to try for square images of `image_size` pixels, best first; the last is the unchanged network."""
    config = import_timm().get_pretrained_cfg(timm_name)
    fixed = config is not None and config.fixed_input_size  # ViT, Swin, CoAtNet: built for one image size
    plain = Adaptation({**arguments, "img_size": image_size} if fixed else dict(arguments))
    try:
        adapted = _adapted(timm_name, arguments, image_size, fixed) if image_size >= LEAST_SIZE else None
    except Exception:  # unusual arguments can raise anything; the unchanged network may still work
        adapted = None
    return [adapted, plain] if adapted else [plain]


def _adapted(timm_name: str, arguments: dict[str, Any], size: int, fixed: bool) -> Adaptation | None:
    probe = _sketch(timm_name, arguments)
    reductions = [level["reduction"] for level in probe.feature_info]
    patch = getattr(getattr(probe, "patch_embed", None), "patch_size", None)
    if fixed and isinstance(patch, tuple) and "patch_size" not in arguments:
        return _repatched(probe, arguments, size, patch[0], reductions)
    return _unstrided(timm_name, probe, arguments, size, fixed, reductions[-1])


def _sketch(timm_name: str, arguments: dict[str, Any]) -> nn.Module:
    """The network on torch's meta device, which has shapes but no numbers: even a large one is built at once."""
    with torch.device("meta"), _NoInitialValues():
        return import_timm().create_model(timm_name, pretrained=False, **arguments).eval()


class _NoInitialValues(TorchFunctionMode):
    """Leaves out the filling of new tensors: on the meta device it would import torch's compiler, for two seconds."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__module__", "") == "torch.nn.init" or function in FILLING:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def _factor(size: int, reduction: int) -> int:
    """The factor by which the network must reduce an image less."""
    factor = 1
    while math.ceil(size * factor / reduction) < LEAST_MAP and factor < MOST_FACTOR:
        factor *= 2
    return factor


def _repatched(
    probe: nn.Module, arguments: dict[str, Any], size: int, patch: int, reductions: list[int]
) -> Adaptation | None:
    """Smaller patches; in a network with several resolutions, also windows that tile its last map."""
    arguments = {**arguments, "img_size": size}
    if len(set(reductions)) == 1:
        if size // patch >= LEAST_GRID:
            lost = size % patch
            note = f"patch size {patch} does not divide {size}: the last {lost} rows and columns of pixels are ignored"
            return Adaptation(arguments, notes=(note,)) if lost else None
        fitting = [p for p in range(1, size) if size % p == 0 and LEAST_GRID <= size // p <= 2 * USUAL_GRID]
        small = max(fitting, default=max(1, size // USUAL_GRID))
    else:
        small = max(1, patch // _factor(size, reductions[-1]))
    if small >= patch:
        return None
    arguments["patch_size"] = small
    notes = [f"patch size {patch} → {small} for {size} × {size} images"]
    window = next((m.window_size[0] for m in probe.modules() if isinstance(getattr(m, "window_size", None), tuple)), 0)
    last = size * patch // (small * reductions[-1])
    if window and last and (fitted := max(w for w in range(1, window + 1) if last % w == 0)) not in (1, window):
        arguments["window_size"] = fitted
        notes.append(f"window size {window} → {fitted}, which tiles the last map of {last} × {last}")
    return Adaptation(arguments, notes=tuple(notes))


def _unstrided(
    timm_name: str, probe: nn.Module, arguments: dict[str, Any], size: int, fixed: bool, reduction: int
) -> Adaptation | None:
    """Smaller strides, beginning at the stem, until the last map is large enough.

    A network whose tables depend on the image size is built for an image that is larger by the same factor as the
    strides are smaller: its inner maps then have the sizes that its tables expect.
    """
    factor = _factor(size, reduction)
    if factor == 1:
        return None
    if fixed:
        arguments = {**arguments, "img_size": size * factor}
        probe = _sketch(timm_name, arguments)
    strides, notes, left = {}, [], factor
    levels = _levels(probe, size * factor)
    for resolution in sorted(levels, reverse=True):
        if left == 1:
            break
        names = levels[resolution]
        old = max(names.values())
        new = old // min(left, old)
        left //= old // new
        strides |= {name: max(1, stride * new // old) for name, stride in names.items()}
        notes.append(f"stride {old} → {new} in {_listed(names)}")
    if left > 1:
        return None
    last = math.ceil(size * factor / reduction)
    told = f"{', '.join(notes)} for {size} × {size} images, so that the last map is {last} × {last}"
    return Adaptation(arguments, strides, (told,))


def _listed(names: dict[str, int]) -> str:
    first, *others = names
    return f"{first} and {len(others)} beside it" if others else first


def _levels(model: nn.Module, size: int) -> dict[int, dict[str, int]]:
    """Input resolution → the modules that reduce it, on the main path and on branches, with their strides."""
    found: dict[int, dict[str, int]] = {}
    hooks = []

    def watch(name: str, module: nn.Module) -> None:
        def seen(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            stride = _stride(module)
            if stride > 1 and inputs[0].ndim == 4:
                found.setdefault(inputs[0].shape[-1], {})[name] = stride

        hooks.append(module.register_forward_hook(seen))

    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            watch(name, module)
    with torch.no_grad():
        model(torch.zeros(2, 3, size, size, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


def _stride(module: nn.Module) -> int:
    stride = module.stride
    return stride if isinstance(stride, int) else stride[0]


def set_strides(model: nn.Module, strides: dict[str, int]) -> None:
    """Give each named convolution or pooling its new stride, with padding so that it divides the size by just that.

    Raises AttributeError for a name that the model does not have, ValueError for a module that has no stride.
    """
    for name, stride in strides.items():
        module = model.get_submodule(name)
        if stride < 1:
            raise ValueError(f"{name} is given the stride {stride}")
        if isinstance(module, nn.Conv2d):
            kernel = module.kernel_size[0]
            module.stride = (stride, stride)
            if type(module) is nn.Conv2d:  # timm's Conv2dSame pads for its stride by itself
                even = stride == 1 and kernel % 2 == 0
                padding: Any = "same" if even else ((kernel - stride + 1) // 2,) * 2
                module.padding = padding
                if even:  # Conv2d.__init__ prepares this for "same": an even kernel needs one column more on one side
                    warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
                    left = (kernel - 1) // 2
                    module._reversed_padding_repeated_twice = [left, kernel - 1 - left] * 2
        elif isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
            kernel = module.kernel_size if isinstance(module.kernel_size, int) else module.kernel_size[0]
            if kernel == _stride(module):  # windows that did not overlap must not overlap now
                kernel = stride
            same = isinstance(module.kernel_size, tuple)
            module.kernel_size, module.stride = ((kernel,) * 2, (stride,) * 2) if same else (kernel, stride)
            if type(module) in (nn.MaxPool2d, nn.AvgPool2d):
                module.padding = (kernel - stride + 1) // 2
        else:
            raise ValueError(f"{name} is a {type(module).__name__}, which has no stride")


def takes_size(network: nn.Module, size: int) -> bool:
    """Whether a network in eval mode takes square images of so many pixels. One with a position for each patch takes
    those that it was built for alone."""
    first = next(network.parameters())
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size, device=first.device))
    except Exception:  # a network may refuse a size in any way
        return False
    return True
