"""GPU memory from NVML, against the names and signatures of the real library."""

from __future__ import annotations

import os
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest
from conftest import needed

from edgebench.errors import Unsupported
from edgebench.machine.gpu_memory import GpuMemory, first_card

pynvml = needed("pynvml", "nvidia-ml-py is not installed")


def library(used: list[int], processes: list[tuple[int, int | None]]) -> object:
    """NVML with a card whose use is as told, one figure a call, and these processes on it."""
    nvml = create_autospec(pynvml)
    nvml.NVMLError = pynvml.NVMLError
    nvml.nvmlDeviceGetCount.return_value = 1
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


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, 0),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8932f937-d72c,0"}, "GPU-8932f937-d72c"),
        ({"CUDA_VISIBLE_DEVICES": "MIG-1b2c"}, "MIG-1b2c"),  # a part of a card, whose power NVML then says it lacks
    ],
)
def test_the_card_is_the_one_that_cuda_sees(
    environment: dict, found: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(monkeypatch, environment)
    nvml = library([], [])
    nvml.nvmlDeviceGetHandleByIndex.side_effect = nvml.nvmlDeviceGetHandleByUUID.side_effect = lambda which: which
    assert first_card(nvml) == found


def test_of_cards_of_several_kinds_none_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default CUDA counts the fastest first, NVML by their place on the bus."""
    numbered(monkeypatch, {})
    nvml = library([100, 150], [])
    nvml.nvmlDeviceGetCount.return_value = 2
    nvml.nvmlDeviceGetHandleByIndex.side_effect = lambda which: which
    nvml.nvmlDeviceGetName.side_effect = ["NVIDIA T400", "NVIDIA RTX A6000"] * 2
    with pytest.raises(Unsupported, match="several kinds"):
        first_card(nvml)
    memory = GpuMemory(nvml)
    memory.look()
    assert memory.bytes is None and "several kinds" in memory.source
    numbered(monkeypatch, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "1"})
    assert first_card(nvml) == 1


def numbered(monkeypatch: pytest.MonkeyPatch, environment: dict) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
