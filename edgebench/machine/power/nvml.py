"""Reads the power and the energy counter of an NVIDIA card through NVML (extra `nvidia`)."""

from __future__ import annotations

import time
from contextlib import suppress
from types import ModuleType
from typing import Any

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.gpu_memory import first_card
from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample, Scope

RAIL = "GPU"


class Nvml:
    """The meter: the energy counter (Volta and later), with the present power as a check.

    `power.draw` is an average over a second from Ampere on, so the present power is read from its own field.
    """

    name, modelled, streams, interval_s = "nvml", False, False, 0.05
    sees, machines, auto_order = ("cuda",), "an NVIDIA card", 30
    scope: Scope | None = "gpu"
    total_rails = (RAIL,)

    def __init__(self, place: Place, nvml: ModuleType | None = None) -> None:
        self._nvml = nvml or _import()
        try:
            self._nvml.nvmlInit()
            self._card: Any = first_card(self._nvml)
            self._counts = self._answers(self._nvml.nvmlDeviceGetTotalEnergyConsumption)
            if not self._counts and self._power_mw() is None:
                raise Unsupported(
                    "NVML starts, but this card reports no power", "on a Jetson: --power ina or tegrastats"
                )
        except self._nvml.NVMLError as error:
            raise Unsupported(f"NVML: {error}", "`nvidia-smi` shows whether the driver works") from None

    def _answers(self, function: Any) -> bool:
        """Whether this card supports the call; a Jetson's NVML starts, but answers every call with NotSupported."""
        try:
            function(self._card)
        except self._nvml.NVMLError:
            return False
        return True

    def _power_mw(self) -> float | None:
        with suppress(self._nvml.NVMLError, AttributeError):  # an old driver, or an old library
            (value,) = self._nvml.nvmlDeviceGetFieldValues(self._card, [self._nvml.NVML_FI_DEV_POWER_INSTANT])
            if value.nvmlReturn == self._nvml.NVML_SUCCESS:
                return float(value.value.uiVal)
        with suppress(self._nvml.NVMLError):
            return float(self._nvml.nvmlDeviceGetPowerUsage(self._card))
        return None

    def read(self) -> Sample | None:
        began_ns = time.perf_counter_ns()
        try:
            counter = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._card) * 1000 if self._counts else None
            power = self._power_mw()
        except self._nvml.NVMLError as error:
            raise EdgebenchError(f"NVML: {error}", "`nvidia-smi` shows whether the card is still there") from None
        at_ns = (began_ns + time.perf_counter_ns()) // 2
        return Sample(at_ns, power, {} if power is None else {RAIL: power}, counter)

    def close(self) -> None:
        """NVML stays open, since other code in this process may use it."""


def _import() -> ModuleType:
    try:
        import pynvml
    except (ModuleNotFoundError, OSError):
        raise Unsupported("nvidia-ml-py is not installed", "pip install nvidia-ml-py") from None
    return pynvml
