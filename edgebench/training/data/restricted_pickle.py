"""Reads pickle files without executing anything in them: only plain values and arrays of bytes.

CIFAR's "python" archives are pickles, and a pickle may name any function to call. Here each name that those files
need is mapped to a small class or function of this file, so that not even numpy's are called. Any other is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from edgebench.errors import BadFile


class _DType:
    """In place of numpy.dtype: uint8 alone."""

    def __init__(self, code: str | bytes, align: int = 0, copy: int = 1) -> None:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"an array of {code!r}, where only bytes (u1) are expected")

    def __setstate__(self, state: object) -> None:
        """Ignored: byte order and alignment, which single bytes do not have."""


class _Array:
    """In place of numpy.ndarray: becomes an array of bytes once its state is read."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[int, tuple[int, ...], _DType, bool, bytes]) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array that does not hold bytes")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _reconstruct(kind: object, shape: object, typecode: object) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in the old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding!r}, where bytes are expected")
    return text.encode("latin1")


ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # its name since numpy 2
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data file needs: it may be an attack")
        return ALLOWED[module, name]


def _check_memo(content: bytes) -> None:
    """Refuse huge memo numbers before anything is built: ten bytes can number a value 2³² − 1, and Python would then
    allocate 64 GiB."""
    for opcode, number, _ in pickletools.genops(content):
        if "PUT" in opcode.name and number > len(content):
            raise pickle.UnpicklingError(f"it numbers a value {number}, but has only {len(content)} bytes")


def read(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file, with str keys: texts, numbers, lists and uint8 arrays. Raises BadFile."""
    try:
        content = path.read_bytes()
        _check_memo(content)
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}", "fetch the dataset again") from None
    except Exception as error:  # a damaged pickle can fail anywhere
        raise BadFile(f"{path} is not a readable data file: {error}", "fetch the dataset again") from None
    if not isinstance(found, dict):
        raise BadFile(f"{path} does not hold a dictionary", "fetch the dataset again")
    plain = {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in found.items()}
    return {key: value.value if isinstance(value, _Array) else value for key, value in plain.items()}
