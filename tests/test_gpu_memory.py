"""GPU memory from NVML, against the names and signatures of the real library."""

from __future__ import annotations

import os
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest

from edgebench.gpu_memory import GpuMemory

pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")


def library(used: list[int], processes: list[tuple[int, int | None]]) -> object:
    """NVML with a card whose use is as told, one figure a call, and these processes on it."""
    nvml = create_autospec(pynvml)
    nvml.NVMLError = pynvml.NVMLError
    figures = iter(used)
    nvml.nvmlDeviceGetMemoryInfo.side_effect = lambda card: SimpleNamespace(used=next(figures))
    nvml.nvmlDeviceGetComputeRunningProcesses.return_value = [
        SimpleNamespace(pid=pid, usedGpuMemory=own) for pid, own in processes
    ]
    return nvml


def test_this_process_alone_where_nvml_tells_of_processes() -> None:
    memory = GpuMemory(library([100], [(1, 7), (os.getpid(), 40)]))
    memory.look()
    assert (memory.bytes, memory.source) == (40, "NVML, this process")


@pytest.mark.parametrize("processes", [[], [(1, 7)], [(os.getpid(), None)]])
def test_in_a_container_it_is_the_cards_growth_and_says_so(processes: list) -> None:
    memory = GpuMemory(library([100, 150, 130], processes))
    memory.look()
    memory.look()
    assert (memory.bytes, memory.source) == (50, "NVML, growth of the card's use")


def test_a_jetsons_nvml_starts_and_then_answers_nothing() -> None:
    nvml = library([], [])
    nvml.nvmlDeviceGetMemoryInfo.side_effect = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    memory = GpuMemory(nvml)
    memory.look()
    assert memory.bytes is None and "Not Supported" in memory.source


def test_without_a_driver_it_is_unknown_not_zero() -> None:
    memory = GpuMemory()  # the real library, on a machine without a card
    memory.look()
    if memory.bytes is None:
        assert memory.source.startswith("NVML: ")
    else:
        assert memory.bytes >= 0
