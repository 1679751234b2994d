"""The nodes of an ONNX file for the tables of known traps, without weights that lie beside it. Needs onnx."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.errors import BadFile
from edgebench.records.onnx_file import external_files

if TYPE_CHECKING:
    import onnx

SMALL = 4096  # elements of a constant


class Nodes:
    """The top graph of a file: its nodes, the types of its tensors, and its small constants.

    Raises BadFile for what is no ONNX file, and for one whose weights lie outside of its folder.
    """

    def __init__(self, path: Path) -> None:
        import onnx

        for name in external_files(path):
            if Path(name).name != name or (path.parent / name).resolve().parent != path.parent.resolve():
                raise BadFile(f"{path} keeps weights in {name!r}, outside of its folder", "get the file again")
        self._onnx = onnx
        self.model: onnx.ModelProto = onnx.load(path, load_external_data=False)
        self.each = list(self.model.graph.node)

    def of(self, *operators: str) -> Iterator[onnx.NodeProto]:
        return (node for node in self.each if node.op_type in operators)

    def to_uint8_around_0(self) -> Iterator[onnx.NodeProto]:
        """Activations as bytes that begin at 0, as quantizers write them after a ReLU."""
        for node in self.of("QuantizeLinear"):
            kind = self.types.get(node.input[2]) if len(node.input) > 2 and node.input[2] else "UINT8"  # ONNX's default
            zero = self.value(node.input[2]) if len(node.input) > 2 else None
            if kind == "UINT8" and (zero is None or not zero.any()) and node.input[0] not in self.weights:
                yield node

    def named(self, name: str) -> onnx.NodeProto | None:
        return next((node for node in self.each if name and node.name == name), None)

    @cached_property
    def weights(self) -> dict[str, onnx.TensorProto]:
        found = {tensor.name: tensor for tensor in self.model.graph.initializer}
        for node in self.of("Constant"):
            found.update((node.output[0], one.t) for one in node.attribute if one.name == "value")
        return found

    @cached_property
    def makers(self) -> dict[str, onnx.NodeProto]:
        """The node that each tensor comes from."""
        return {output: node for node in self.each for output in node.output}

    @cached_property
    def types(self) -> dict[str, str]:
        """The type of each tensor, as onnx names it in capitals, where the file tells it or shapes can be inferred."""
        onnx, name = self._onnx, self._onnx.TensorProto.DataType.Name
        try:
            graph = onnx.shape_inference.infer_shapes(self.model).graph
        except Exception:  # a damaged graph: what the file says of itself has to do
            graph = self.model.graph
        kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}
        kinds |= {name: tensor.data_type for name, tensor in self.weights.items()}
        return {tensor: name(kind) for tensor, kind in kinds.items() if kind}

    def value(self, name: str, most: int = SMALL) -> np.ndarray | None:
        """The constant of that name, if it has at most so many elements and is in the file itself."""
        tensor = self.weights.get(name)
        if tensor is None or tensor.external_data or np.prod(tensor.dims, dtype=np.int64) > most:
            return None
        return self._onnx.numpy_helper.to_array(tensor)

    def inputs(self) -> dict[str, list[int | str]]:
        """The shape of each input; a name, or "?", for what is open."""
        found = {}
        for value in self.model.graph.input:
            if value.name not in self.weights:
                sizes = value.type.tensor_type.shape.dim
                found[value.name] = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in sizes]
        return found
