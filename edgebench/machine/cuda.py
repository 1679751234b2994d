"""Checked calls into cuda-python, and buffers: an error code becomes a message, and memory is freed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgebench.errors import EdgebenchError, OutOfMemory, Unsupported

try:
    from cuda.bindings import runtime as cudart
except ModuleNotFoundError:  # cuda-python before 12.6; if there is none, this second import fails
    import cuda.cudart as cudart


def call(function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
    """The value that a CUDA call returns with its error code, None if it returns none. Raises EdgebenchError."""
    name = function.__name__
    try:
        error, *values = function(*arguments)
    except RuntimeError as problem:  # cuda-python up to 12.6 has no error code for a machine without a driver
        raise Unsupported(f"{name} failed: {problem}", "TensorRT needs an NVIDIA GPU and its driver") from problem
    if error == cudart.cudaError_t.cudaSuccess:
        return values[0] if values else None
    if error == cudart.cudaError_t.cudaErrorMemoryAllocation:
        raise OutOfMemory(
            f"{name} failed: the GPU is out of memory ({error.name})",
            "close other programs that use it, or use a smaller batch",
        )
    _, text = cudart.cudaGetErrorString(error)
    raise EdgebenchError(f"{name} failed: {text.decode()} ({error.name})", "see the driver's messages in `dmesg`")


def require_gpu() -> None:
    """Raise Unsupported, with CUDA's message, unless there is a GPU that this process can use."""
    try:
        count = call(cudart.cudaGetDeviceCount)
    except EdgebenchError as error:
        raise Unsupported(
            f"no usable NVIDIA GPU: {error.message}",
            "run on a board with an NVIDIA GPU whose driver is at least as new as the CUDA of cuda-python",
        ) from error
    if not count:
        raise Unsupported("CUDA finds no GPU", "check CUDA_VISIBLE_DEVICES")


def has_gpu() -> bool:
    """Whether `require_gpu` passes."""
    try:
        require_gpu()
    except Unsupported:
        return False
    return True


def gpu() -> dict[str, str]:
    """The GPU that plans are built for and run on, as `gpu` and `compute_capability`, to be compared."""
    properties = call(cudart.cudaGetDeviceProperties, 0)
    return {"gpu": properties.name.decode(), "compute_capability": f"{properties.major}.{properties.minor}"}


@contextmanager
def stream() -> Iterator[Any]:
    """A stream of our own, destroyed at the end of the block."""
    made = call(cudart.cudaStreamCreate)
    try:
        yield made
    finally:
        call(cudart.cudaStreamDestroy, made)


class Buffer:
    """An array on the host and its counterpart on the device, with the copies between them.

    The host's half is pinned. From pageable memory the driver copies through its own pinned buffer, which takes longer
    and makes "asynchronous" copies wait. `trtexec` pins too, so its times are comparable.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.view = np.empty(0, dtype)  # the host's half; invalid after `free` and `fit`: never return it
        self.host = self.device = self.capacity = 0

    def fit(self, shape: tuple[int, ...]) -> None:
        """Give both halves this shape; their memory grows if necessary and never shrinks."""
        if -1 in shape:
            raise Unsupported(
                f"the shape {shape} depends on the data", "export a network whose shapes do not depend on it"
            )
        dtype = self.view.dtype
        count = int(np.prod(shape))
        if count * dtype.itemsize > self.capacity:
            self.free()
            self.host = int(call(cudart.cudaMallocHost, count * dtype.itemsize))
            self.device = int(call(cudart.cudaMalloc, count * dtype.itemsize))
            self.capacity = count * dtype.itemsize
        memory = (ctypes.c_byte * self.capacity).from_address(self.host)
        self.view = np.frombuffer(memory, dtype, count).reshape(shape)

    def upload(self, stream: Any) -> None:
        """Queue the copy to the device."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        call(cudart.cudaMemcpyAsync, self.device, self.host, self.view.nbytes, kind, stream)

    def download(self, stream: Any) -> None:
        """Queue the copy from the device; `view` holds it once the stream is synchronised."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(cudart.cudaMemcpyAsync, self.host, self.device, self.view.nbytes, kind, stream)

    def free(self) -> None:
        """Free the memory; may be called twice. A failure of the first half does not keep the second."""
        device, host, self.device, self.host, self.capacity = self.device, self.host, 0, 0, 0
        self.view = np.empty(0, self.view.dtype)
        try:
            if device:
                call(cudart.cudaFree, device)
        finally:
            if host:
                call(cudart.cudaFreeHost, host)
