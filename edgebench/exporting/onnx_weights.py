"""Reads an ONNX model with the weights that lie beside it: one way for all exporters that start from one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import BadFile

if TYPE_CHECKING:
    import onnx


def load(path: Path) -> onnx.ModelProto:
    """The model with all its weights. onnx itself refuses a file of weights that is a hard link, as those of an adopted
    model are; which files may be read, `artifact.model_file` has checked."""
    import onnx
    from onnx import external_data_helper

    model = onnx.load(path, load_external_data=False)
    for tensor in external_data_helper._get_all_tensors(model):
        if external_data_helper.uses_external_data(tensor):
            told = external_data_helper.ExternalDataInfo(tensor)
            with (path.parent / Path(told.location).name).open("rb") as file:
                file.seek(told.offset or 0)
                tensor.raw_data = file.read(told.length if told.length is not None else -1)
            if told.length is not None and len(tensor.raw_data) != told.length:
                raise BadFile(f"{told.location} beside {path} is too short", "copy it again")
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    return model
