"""The memory that a measurement takes on an NVIDIA card, from NVML (extra `nvidia`), and the card that CUDA uses."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from edgebench.errors import Unsupported


class GpuMemory:
    """The most that any `look` saw, in bytes. NVML keeps no peak, but the runtimes' pools do not shrink.

    If NVML reports processes, it is this process's memory. In many containers NVML does not; then it is the growth of
    the whole card's use since the start, which includes other programs. `source` says which.
    """

    def __init__(self, nvml: ModuleType | None = None) -> None:
        self.bytes: int | None = None
        self.source = ""
        try:
            self._nvml = nvml or _import()
            self._nvml.nvmlInit()
            self._card: Any = first_card(self._nvml)
            self._used_before = self._nvml.nvmlDeviceGetMemoryInfo(self._card).used
        except (ModuleNotFoundError, OSError):
            self._card, self.source = None, "nvidia-ml-py is not installed"
        except Unsupported as error:
            self._card, self.source = None, error.message
        except self._nvml.NVMLError as error:  # a Jetson's NVML starts, but answers every call with NotSupported
            self._card, self.source = None, f"NVML: {error}"

    def look(self) -> None:
        """Read the memory once more."""
        if self._card is None:
            return
        try:
            own = self._own()
            if own is None:
                own = self._nvml.nvmlDeviceGetMemoryInfo(self._card).used - self._used_before
                self.source = "NVML, growth of the card's use"
            else:
                self.source = "NVML, this process"
            self.bytes = max(self.bytes or 0, own)
        except self._nvml.NVMLError as error:
            self._card, self.source = None, f"NVML: {error}"

    def _own(self) -> int | None:
        processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._card)
        return next((p.usedGpuMemory for p in processes if p.pid == os.getpid()), None)


def first_card(nvml: ModuleType) -> Any:
    """NVML's handle of CUDA's first card: NVML ignores CUDA_VISIBLE_DEVICES.

    Raises Unsupported if the two may number the cards differently: CUDA counts the fastest of different cards first.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    if os.environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        cards = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        if len({nvml.nvmlDeviceGetName(card) for card in cards}) > 1:
            message = "there are NVIDIA cards of several kinds, and it is not known which is CUDA's first"
            raise Unsupported(message, "set CUDA_DEVICE_ORDER=PCI_BUS_ID, the order that NVML uses")
    return nvml.nvmlDeviceGetHandleByIndex(int(first) if first.isdecimal() else 0)


def _import() -> ModuleType:
    import pynvml

    return pynvml
