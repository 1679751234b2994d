"""A stand-in for `cuda.bindings.runtime`: nothing asynchronous happens before the stream is synchronised.

Device memory has addresses that nothing backs, so that the host cannot read it by mistake; what is not yet copied, or
is freed, reads as 0xFF bytes, which are NaN in every float format.
"""

from __future__ import annotations

import ctypes
import enum
import inspect
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

# What the fake offers, with the parameters as cuda-python names them (12.3, 12.6, 12.9 and 13.0 agree).
SIGNATURES = {
    "cudaGetDeviceCount": (),
    "cudaGetDeviceProperties": ("device",),
    "cudaGetErrorString": ("error",),
    "cudaMalloc": ("size",),
    "cudaMallocHost": ("size",),
    "cudaFree": ("devPtr",),
    "cudaFreeHost": ("ptr",),
    "cudaMemcpyAsync": ("dst", "src", "count", "kind", "stream"),
    "cudaStreamCreate": (),
    "cudaStreamSynchronize": ("stream",),
    "cudaStreamDestroy": ("stream",),
}


class RuleBroken(AssertionError):
    """Code under test did what corrupts memory or reads nonsense on a real GPU."""


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToHost = 0
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3


TEXTS = {2: b"out of memory", 35: b"CUDA driver version is insufficient", 100: b"no CUDA-capable device is detected"}


class cudaStream_t:
    """A handle, whose number is what TensorRT wants."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __int__(self) -> int:
        return self._handle


class FakeCuda:
    """The state of the driver, for tests to set and to look into; `module` is what the code under test imports."""

    def __init__(self) -> None:
        self.module = ModuleType("cuda.bindings.runtime")
        for kind in (cudaError_t, cudaMemcpyKind, cudaStream_t):
            setattr(self.module, kind.__name__, kind)
        for name, parameters in SIGNATURES.items():
            function = getattr(self, f"_{name}")
            assert tuple(inspect.signature(function).parameters) == parameters, name
            setattr(self.module, name, self._counted(name, function))
        self.reset()

    def reset(self) -> None:
        self.count, self.gpu, self.capability, self.dla_cores = 1, b"Orin", (8, 7), 0
        self.calls: list[str] = []
        self.failures: dict[str, cudaError_t] = {}
        self.host: dict[int, Any] = {}
        self.device: dict[int, bytearray] = {}
        self.freed: list[Any] = []  # kept, so that a dangling view reads poison and does not crash
        self.streams: dict[int, list[Callable[[], None]]] = {}
        self._next = 0x7F00_0000_0000

    def leaks(self) -> list[str]:
        live = {"pinned": self.host, "device": self.device, "stream": self.streams}
        return [f"{kind} {number:#x}" for kind, owned in live.items() for number in owned]

    def _counted(self, name: str, function: Callable) -> Callable:
        def called(*arguments: Any) -> tuple:
            self.calls.append(name)
            inspect.signature(function).bind(*arguments)
            if name in self.failures:
                return (self.failures[name], None)
            return function(*arguments)

        called.__name__ = name
        return called

    # What the code under test calls.

    def _cudaGetDeviceCount(self) -> tuple:
        return (cudaError_t.cudaSuccess, self.count) if self.count else (cudaError_t.cudaErrorNoDevice, None)

    def _cudaGetDeviceProperties(self, device: int) -> tuple:
        major, minor = self.capability
        return cudaError_t.cudaSuccess, SimpleNamespace(name=self.gpu, major=major, minor=minor)

    def _cudaGetErrorString(self, error: cudaError_t) -> tuple:
        return cudaError_t.cudaSuccess, TEXTS.get(error, b"some other error")

    def _cudaMalloc(self, size: int) -> tuple:
        address, self._next = self._next, self._next + size + 4096
        self.device[address] = bytearray(b"\xff" * size)
        return cudaError_t.cudaSuccess, address

    def _cudaMallocHost(self, size: int) -> tuple:
        memory = (ctypes.c_ubyte * size)(*b"\xff" * size)
        self.host[ctypes.addressof(memory)] = memory
        return cudaError_t.cudaSuccess, ctypes.addressof(memory)

    def _cudaFree(self, devPtr: int) -> tuple:
        self._nothing_pending("cudaFree")
        if devPtr not in self.device:
            raise RuleBroken(f"cudaFree of {devPtr:#x}, which is no live allocation")
        del self.device[devPtr]
        return (cudaError_t.cudaSuccess,)

    def _cudaFreeHost(self, ptr: int) -> tuple:
        self._nothing_pending("cudaFreeHost")
        if ptr not in self.host:
            raise RuleBroken(f"cudaFreeHost of {ptr:#x}, which is no live allocation")
        memory = self.host.pop(ptr)
        ctypes.memset(memory, 0xFF, len(memory))
        self.freed.append(memory)
        return (cudaError_t.cudaSuccess,)

    def _cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: cudaMemcpyKind, stream: cudaStream_t) -> tuple:
        if kind is cudaMemcpyKind.cudaMemcpyHostToDevice:
            there, here = self.device_bytes(dst, count), self._host_bytes(src, count)
        elif kind is cudaMemcpyKind.cudaMemcpyDeviceToHost:
            there, here = self._host_bytes(dst, count), self.device_bytes(src, count)
            there[:] = b"\xff" * count  # whoever reads it before the copy is done reads this
        else:
            raise RuleBroken(f"cudaMemcpyAsync with the kind {kind!r}")

        def copy() -> None:
            there[:] = here

        self.enqueue(int(stream), copy)
        return (cudaError_t.cudaSuccess,)

    def _cudaStreamCreate(self) -> tuple:
        handle, self._next = self._next, self._next + 4096
        self.streams[handle] = []
        return cudaError_t.cudaSuccess, cudaStream_t(handle)

    def _cudaStreamSynchronize(self, stream: cudaStream_t) -> tuple:
        if int(stream) not in self.streams:
            raise RuleBroken("cudaStreamSynchronize of a stream that is destroyed")
        work, self.streams[int(stream)] = self.streams[int(stream)], []
        for piece in work:
            piece()
        return (cudaError_t.cudaSuccess,)

    def _cudaStreamDestroy(self, stream: cudaStream_t) -> tuple:
        self._nothing_pending("cudaStreamDestroy")
        if self.streams.pop(int(stream), None) is None:
            raise RuleBroken("cudaStreamDestroy of a stream that is destroyed")
        return (cudaError_t.cudaSuccess,)

    # What the TensorRT stand-in calls, too.

    def enqueue(self, stream: int, work: Callable[[], None]) -> None:
        if stream not in self.streams:
            raise RuleBroken(f"{stream:#x} is no live stream")
        self.streams[stream].append(work)

    def device_bytes(self, address: int, count: int) -> memoryview:
        """The device memory from `address` on, which has to lie within one live allocation."""
        for start, memory in self.device.items():
            if start <= address and address + count <= start + len(memory):
                return memoryview(memory)[address - start :][:count]
        raise RuleBroken(f"{count} bytes at {address:#x} do not lie within a live device allocation")

    def _host_bytes(self, address: int, count: int) -> memoryview:
        for start, memory in self.host.items():
            if start <= address and address + count <= start + len(memory):
                return memoryview(memory).cast("B")[address - start :][:count]
        raise RuleBroken(f"{count} bytes at {address:#x} do not lie within live pinned memory")

    def _nothing_pending(self, name: str) -> None:
        if any(self.streams.values()):
            raise RuleBroken(f"{name} while a stream has work to do")
