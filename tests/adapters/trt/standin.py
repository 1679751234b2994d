"""A stand-in for `tensorrt` over a version's real bindings, whose engines compute through ONNX Runtime.

Enums, data types, `Dims`, `ILogger` and every signature are the real ones; the classes below, which the real library
would build with a GPU, follow them and enforce the rules that the library leaves to its caller.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
from engine import MAGIC, engine_classes
from fakecuda import FakeCuda, RuleBroken
from quantized import unreadable
from signatures import like

RTX = "EDGEBENCH_TRT_RTX" in os.environ  # TensorRT-RTX is stood in for
PRECISION_FLAGS = {"FP16", "BF16", "INT8", "FP8", "INT4", "FP4"}


class Control:
    """What tests look at and bend."""

    def __init__(self) -> None:
        self.live: weakref.WeakSet = weakref.WeakSet()
        self.reset()

    def reset(self) -> None:
        self.build_failure = self.context_failure = ""
        self.configs: list[Any] = []
        self.networks: list[Any] = []


def install(bindings: Path, cuda: FakeCuda) -> tuple[ModuleType, Control]:
    """Put the stand-in into `sys.modules` as `tensorrt`, and the fake CUDA as `cuda.bindings.runtime`."""
    sys.path.insert(0, str(bindings))
    real = _real()
    trt, control = ModuleType("tensorrt"), Control()
    trt.__version__ = real.__version__
    trt.__getattr__ = lambda name: getattr(real, name)
    for made in _classes(trt, real, cuda, control):
        setattr(trt, made.__name__, like(getattr(real, made.__name__), trt)(made))
    sys.modules["tensorrt"] = trt
    package, bindings_module = ModuleType("cuda"), ModuleType("cuda.bindings")
    package.bindings, bindings_module.runtime = bindings_module, cuda.module
    package.__path__ = bindings_module.__path__ = []
    sys.modules |= {"cuda": package, "cuda.bindings": bindings_module, "cuda.bindings.runtime": cuda.module}
    return trt, control


def _real() -> ModuleType:
    """The real bindings: TensorRT's over stubs, or TensorRT-RTX's over NVIDIA's own libraries."""
    if not RTX:
        return importlib.import_module("tensorrt_bindings")
    from edgebench.runtimes import tensorrt_rtx_library

    return tensorrt_rtx_library.load()


def _classes(trt: ModuleType, real: ModuleType, cuda: FakeCuda, control: Control) -> list[type]:
    severity = real.ILogger.Severity
    types = {1: trt.DataType.FLOAT, 10: trt.DataType.HALF, 16: trt.DataType.BF16, 3: trt.DataType.INT8}
    types |= {2: trt.DataType.UINT8, 6: trt.DataType.INT32, 7: trt.DataType.INT64, 9: trt.DataType.BOOL}

    class ITensor:
        def __init__(self, value: onnx.ValueInfoProto) -> None:
            self._name, kind = value.name, value.type.tensor_type
            self._dtype = types[kind.elem_type]
            self._symbols = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in kind.shape.dim]

        @property
        def name(self) -> str:
            return self._name

        @property
        def dtype(self) -> Any:
            return self._dtype

        @property
        def shape(self) -> Any:
            return trt.Dims([-1 if isinstance(size, str) else size for size in self._symbols])

    class INetworkDefinition:
        def __init__(self, flags: int) -> None:
            self._flags, self._model, self._inputs, self._outputs = flags, None, [], []
            control.networks.append(self)

        @property
        def num_inputs(self) -> int:
            return len(self._inputs)

        @property
        def num_outputs(self) -> int:
            return len(self._outputs)

        def get_input(self, index: int) -> Any:
            return self._inputs[index]

        def get_output(self, index: int) -> Any:
            return self._outputs[index]

        def get_flag(self, flag: Any) -> bool:
            return bool(self._flags >> int(flag) & 1)

    class IOptimizationProfile:
        def __init__(self) -> None:
            self._shapes: dict[str, tuple] = {}

        def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
            shapes = tuple(tuple(int(size) for size in shape) for shape in (min, opt, max))
            ranks = {len(shape) for shape in shapes}
            if len(ranks) != 1 or any(not 0 < a <= b <= c for a, b, c in zip(*shapes, strict=True)):
                raise ValueError(f"Shape provided for {input} is inconsistent with other shapes: {shapes}")
            self._shapes[input] = shapes

    class IBuilderConfig:
        def __init__(self) -> None:
            self._flags, self._profiles, self._pools = {trt.BuilderFlag.TF32}, [], {}
            self._capabilities: list[Any] = []
            self._device, self._core = trt.DeviceType.GPU, -1
            self._verbosity = trt.ProfilingVerbosity.LAYER_NAMES_ONLY
            control.configs.append(self)

        @property
        def num_compute_capabilities(self) -> int:
            return len(self._capabilities)

        @num_compute_capabilities.setter
        def num_compute_capabilities(self, count: int) -> None:
            self._capabilities = [trt.ComputeCapability.NONE] * count

        def set_compute_capability(self, capability: Any, index: int) -> bool:
            self._capabilities[index] = capability
            return True

        @property
        def default_device_type(self) -> Any:
            return self._device

        @default_device_type.setter
        def default_device_type(self, device: Any) -> None:
            self._device = device

        @property
        def DLA_core(self) -> int:
            return self._core

        @DLA_core.setter
        def DLA_core(self, core: int) -> None:
            self._core = core

        @property
        def profiling_verbosity(self) -> Any:
            return self._verbosity

        @profiling_verbosity.setter
        def profiling_verbosity(self, verbosity: Any) -> None:
            self._verbosity = verbosity

        def set_flag(self, flag: Any) -> None:
            self._flags.add(flag)

        def clear_flag(self, flag: Any) -> None:
            self._flags.discard(flag)

        def get_flag(self, flag: Any) -> bool:
            return flag in self._flags

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self._pools[pool] = pool_size

        def add_optimization_profile(self, profile: Any) -> int:
            if not profile._shapes:
                return -1
            self._profiles.append(dict(profile._shapes))
            return len(self._profiles) - 1

    class IHostMemory(bytes):
        """A buffer and nothing else: the real one has neither length nor items."""

        @property
        def nbytes(self) -> int:
            return memoryview(self).nbytes

        def _refuse(self, *arguments: Any) -> None:
            raise TypeError("IHostMemory is a buffer, not a sequence")

        __len__ = __getitem__ = __iter__ = _refuse

    class Builder:
        def __init__(self, logger: Any) -> None:
            if not (cuda.count or RTX):  # TensorRT-RTX builds without a card
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._logger = logger

        @property
        def num_DLA_cores(self) -> int:
            return cuda.dla_cores

        def create_network(self, flags: int = 0) -> Any:
            known = {int(flag) for flag in trt.NetworkDefinitionCreationFlag.__members__.values()}
            if flags >> (max(known) + 1):
                raise RuleBroken(f"create_network: {flags:#x} has bits that no flag stands for")
            return INetworkDefinition(flags)

        def create_builder_config(self) -> Any:
            return IBuilderConfig()

        def create_optimization_profile(self) -> Any:
            return IOptimizationProfile()

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            problem = control.build_failure or _unbuildable(network, config)
            if problem:
                self._logger.log(severity.ERROR, problem)
                return None
            header = {
                "version": trt.__version__,
                "capability": cuda.capability,
                "serves": [f"{int(one) // 10}.{int(one) % 10}" for one in getattr(config, "_capabilities", [])],
                "profiles": config._profiles,
                "strong": network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
                "dla": config._core if config._device == trt.DeviceType.DLA else None,
                "detailed": config._verbosity == trt.ProfilingVerbosity.DETAILED,
                "tf32": config.get_flag(trt.BuilderFlag.TF32),
            }
            return IHostMemory(MAGIC + json.dumps(header).encode() + b"\0" + network._model.SerializeToString())

    def _unbuildable(network: Any, config: Any) -> str:
        if network._model is None:
            raise RuleBroken("build_serialized_network before the network was parsed")
        names = {flag.name for flag in config._flags}
        if config._device == trt.DeviceType.DLA and "GPU_FALLBACK" not in names:
            return "Network contains layers that DLA cannot run, and GPU fallback is not enabled."
        if network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) and names & PRECISION_FLAGS:
            return f"Precision flags {names & PRECISION_FLAGS} must not be set for a strongly typed network"
        for tensor in network._inputs:
            if -1 not in tuple(tensor.shape):
                continue
            if not config._profiles:
                return "Network has dynamic or shape inputs, but no optimization profile has been defined."
            shapes = config._profiles[0].get(tensor.name)
            if shapes is None:
                return f"{tensor.name}: dynamic input is missing dimensions in profile 0."
            fixed = tuple(tensor.shape)
            wrong = [
                shape
                for shape in shapes
                if len(shape) != len(fixed) or any(a not in (-1, b) for a, b in zip(fixed, shape, strict=True))
            ]
            if wrong:
                return f"{tensor.name}: profile {wrong} does not fit the static dimensions of {fixed}"
        unknown = {name for profile in config._profiles for name in profile} - {t.name for t in network._inputs}
        return f"profile names {unknown}, which are no inputs" if unknown else ""

    class ParserError:
        def __init__(self, desc: str, index: int = -1, node: onnx.NodeProto | None = None) -> None:
            self._desc, self._index, self._node = desc, index, node

        def desc(self) -> str:
            return self._desc

        def node(self) -> int:
            return self._index

        def node_name(self) -> str:
            return self._node.name if self._node else ""

        def node_operator(self) -> str:
            return self._node.op_type if self._node else ""

    class OnnxParser:
        def __init__(self, network: Any, logger: Any) -> None:
            self._network, self._errors = network, []

        def parse_from_file(self, model: str) -> bool:
            try:
                return self._take(onnx.load(model))  # with the weights beside it
            except Exception as error:  # google.protobuf's, or the file system's
                self._errors.append(ParserError(f"Failed to parse ONNX model from file: {model}: {error}"))
                return False

        def parse(self, model: bytes, path: str | None = None) -> bool:
            return self._take(onnx.load_model_from_string(model))

        def _take(self, loaded: onnx.ModelProto) -> bool:
            network = self._network
            for index, node in enumerate(loaded.graph.node):
                if node.domain not in ("", "ai.onnx"):
                    text = f"No importer registered for op: {node.op_type}. Plugin not found."
                    self._errors.append(ParserError(text, index, node))
                elif problem := unreadable(node, loaded.graph):
                    self._errors.append(ParserError(problem, index, node))
            if self._errors:
                return False
            weights = {weight.name for weight in loaded.graph.initializer}
            network._inputs = [ITensor(value) for value in loaded.graph.input if value.name not in weights]
            network._outputs = [ITensor(value) for value in loaded.graph.output]
            network._model = loaded
            return True

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> Any:
            return self._errors[index]

    built = [ITensor, INetworkDefinition, IOptimizationProfile, IBuilderConfig, IHostMemory, Builder, ParserError]
    return [*built, OnnxParser, *engine_classes(trt, severity, ITensor, cuda, control)]
