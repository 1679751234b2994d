"""The half of the stand-in that runs plans: Runtime, ICudaEngine, IExecutionContext."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
from fakecuda import FakeCuda, RuleBroken

MAGIC = b"ftrt"


def engine_classes(trt: ModuleType, severity: Any, tensor_class: type, cuda: FakeCuda, control: Any) -> list[type]:
    class Runtime:
        def __init__(self, logger: Any) -> None:
            self._logger, self._core = logger, -1
            control.live.add(self)

        @property
        def DLA_core(self) -> int:
            return self._core

        @DLA_core.setter
        def DLA_core(self, core: int) -> None:
            self._core = core

        def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
            data = bytes(serialized_engine)
            if not data.startswith(MAGIC):
                self._logger.log(severity.ERROR, "Serialization assertion magicTagRead == kMAGIC_TAG failed.")
                return None
            header, _, model = data[len(MAGIC) :].partition(b"\0")
            header = json.loads(header)
            here = "{}.{}".format(*cuda.capability)
            fits = here in header["serves"] if header["serves"] else tuple(header["capability"]) == cuda.capability
            if header["version"] != trt.__version__ or not fits:
                self._logger.log(
                    severity.ERROR,
                    "The engine plan file is not compatible with this version of TensorRT, expecting library version "
                    f"{trt.__version__} got {header['version']}, please rebuild.",
                )
                return None
            if header.get("dla") is not None and header["dla"] != self._core:
                self._logger.log(severity.ERROR, "The engine is of a DLA core that the runtime is not set to.")
                return None
            return ICudaEngine(header, model, self._logger)

    class ICudaEngine:
        def __init__(self, header: dict[str, Any], model: bytes, logger: Any) -> None:
            self._header, self._logger, self._model = header, logger, model
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            graph = onnx.load_model_from_string(model).graph
            weights = {weight.name for weight in graph.initializer}
            self._inputs = {v.name: tensor_class(v) for v in graph.input if v.name not in weights}
            self._outputs = {v.name: tensor_class(v) for v in graph.output}
            self._all = self._inputs | self._outputs
            control.live.add(self)

        def _known(self, name: str) -> Any:
            if name not in self._all:
                raise RuleBroken(f"the engine has no tensor {name!r}; it has {list(self._all)}")
            return self._all[name]

        @property
        def num_io_tensors(self) -> int:
            return len(self._all)

        def get_tensor_name(self, index: int) -> str:
            return list(self._all)[index]

        def get_tensor_mode(self, name: str) -> Any:
            self._known(name)
            return trt.TensorIOMode.INPUT if name in self._inputs else trt.TensorIOMode.OUTPUT

        def get_tensor_shape(self, name: str) -> Any:
            return self._known(name).shape

        def get_tensor_dtype(self, name: str) -> Any:
            return self._known(name).dtype

        def get_tensor_profile_shape(self, name: str, profile_index: int) -> list:
            if name not in self._inputs:
                raise RuleBroken(f"get_tensor_profile_shape of {name!r}, which is no input")
            return [trt.Dims(shape) for shape in self._header["profiles"][profile_index][name]]

        def create_execution_context(self, strategy: Any = None) -> Any:
            if control.context_failure:
                self._logger.log(severity.ERROR, control.context_failure)
                return None
            return IExecutionContext(self)

        def create_engine_inspector(self) -> Any:
            return EngineInspector(self)

    class EngineInspector:
        """Tells of every node as of one layer, in the words that the real one has without an execution context."""

        def __init__(self, engine: Any) -> None:
            self._engine = engine

        def get_engine_information(self, format: Any) -> str:
            if format != trt.LayerInformationFormat.JSON:
                raise NotImplementedError("the stand-in tells in JSON alone")
            model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(self._engine._model))
            graph = model.graph
            if not self._engine._header["detailed"]:
                return json.dumps({"Layers": [node.name for node in graph.node]})
            kinds = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info)}
            kinds |= {weight.name: weight.data_type for weight in graph.initializer}
            words = {1: "Float", 10: "Half", 16: "BFloat16", 3: "Int8", 2: "UInt8", 6: "Int32", 7: "Int64"}
            told = [
                {
                    "Name": node.name,
                    "LayerType": {"Cast": "Reformat", "Reshape": "Shuffle"}.get(node.op_type, node.op_type),
                    "Inputs": [
                        {"Name": name, "Format/Datatype": words.get(kinds.get(name), "")} for name in node.input
                    ],
                    "Origin": "QDQ" if node.op_type in ("QuantizeLinear", "DequantizeLinear") else "",
                }
                for node in graph.node
            ]
            return json.dumps({"Layers": told, "Bindings": list(self._engine._all)})

    class IExecutionContext:
        def __init__(self, engine: Any) -> None:
            self._engine, self._addresses = engine, {}
            self._shapes = {n: tuple(t.shape) for n, t in engine._inputs.items() if -1 not in tuple(t.shape)}
            control.live.add(self)

        def set_input_shape(self, name: str, shape: Any) -> bool:
            tensor, shape = self._engine._known(name), tuple(int(size) for size in shape)
            if name not in self._engine._inputs:
                raise RuleBroken(f"set_input_shape of {name!r}, which is no input")
            least = most = tuple(tensor.shape)
            if -1 in most:
                least, _, most = self._engine._header["profiles"][0][name]
            fits = len(shape) == len(most) and all(a <= x <= b for a, x, b in zip(least, shape, most, strict=True))
            if not fits:
                self._engine._logger.log(severity.ERROR, f"{name}: {shape} is not in the profile {least} to {most}")
                return False
            self._shapes[name] = shape
            return True

        def get_tensor_shape(self, name: str) -> Any:
            tensor = self._engine._known(name)
            if name in self._shapes:
                return trt.Dims(self._shapes[name])
            sizes = self._sizes()
            return trt.Dims([sizes.get(size, -1) if isinstance(size, str) else size for size in tensor._symbols])

        def _sizes(self) -> dict[str, int]:
            """What the named dimensions are now."""
            known = {}
            for name, shape in self._shapes.items():
                for symbol, size in zip(self._engine._inputs[name]._symbols, shape, strict=True):
                    known[symbol] = size
            return known

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._engine._known(name)
            cuda.device_bytes(memory, 1)
            self._addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            if missing := [name for name in self._engine._inputs if name not in self._shapes]:
                raise RuleBroken(f"execute_async_v3 before the shapes of {missing} are set")
            if missing := [name for name in self._engine._all if name not in self._addresses]:
                raise RuleBroken(f"execute_async_v3 before the addresses of {missing} are set")
            memory = {name: self._memory(name) for name in self._engine._all}

            def compute() -> None:
                feed = {name: self._array(name, memory[name]).copy() for name in self._engine._inputs}
                names = list(self._engine._outputs)
                for name, answer in zip(names, self._engine._session.run(names, feed), strict=True):
                    self._array(name, memory[name])[...] = answer

            cuda.enqueue(int(stream_handle), compute)
            return True

        def _memory(self, name: str) -> memoryview:
            """The tensor's memory, which has to be live and as large as its shape wants."""
            count = int(np.prod(tuple(self.get_tensor_shape(name)))) * self._dtype(name).itemsize
            return cuda.device_bytes(self._addresses[name], count)

        def _array(self, name: str, memory: memoryview) -> np.ndarray:
            return np.frombuffer(memory, self._dtype(name)).reshape(tuple(self.get_tensor_shape(name)))

        def _dtype(self, name: str) -> np.dtype:
            return np.dtype(trt.nptype(self._engine._known(name).dtype))

    return [Runtime, ICudaEngine, EngineInspector, IExecutionContext]
