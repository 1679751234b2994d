"""Meters, one file each: which there are, which of them works here, and which is best for a device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from edgebench.errors import Unsupported, UsageError, unknown_name
from edgebench.machine.power.battery import Battery
from edgebench.machine.power.ina import Ina
from edgebench.machine.power.model import Model
from edgebench.machine.power.nvml import Nvml
from edgebench.machine.power.place import Place, Watts
from edgebench.machine.power.pmic import Pmic
from edgebench.machine.power.rapl import Rapl
from edgebench.machine.power.tegrastats import Tegrastats
from edgebench.protocols import Meter

# Best first: what is nearest to the whole and costs the board least. The model comes last, and only where it is fed.
METERS: dict[str, Callable[[Place], Meter]] = {
    "ina": Ina, "tegrastats": Tegrastats, "nvml": Nvml, "rapl": Rapl, "pmic": Pmic, "battery": Battery, "model": Model,
}  # fmt: skip
# What computes on a graphics card is not seen by a meter of the processor. A Jetson's module has both on it.
SEES_GPU = ("ina", "tegrastats", "nvml", "battery")
SEES_CPU = ("ina", "tegrastats", "rapl", "pmic", "battery", "model")


@dataclass(frozen=True)
class PowerOptions:
    """What the user asks of the power pass: a meter's name, "auto" for the best that works, or "none"; the watts that
    are declared for the model; and how long the window is, at least."""

    meter: str = "auto"
    watts: Watts | None = None
    seconds: float = 10.0

    def check(self) -> None:
        """Raise UsageError for what cannot be meant."""
        if self.meter not in ("auto", "none", *METERS):
            raise unknown_name("meter", self.meter, ("auto", "none", *METERS))
        if not 5 <= self.seconds <= 3600:
            raise UsageError(f"--energy-seconds is {self.seconds:g}", "give 5 to 3600")
        if self.watts is not None and not 0 <= self.watts.idle < self.watts.most <= 100_000:
            raise UsageError(f"--watts {self.watts} is no IDLE:MAX", "idle is below the maximum: --watts 3.5:12")
        if self.watts is not None and self.meter not in ("auto", "model"):
            raise UsageError(f"--watts is for the meter model, not for {self.meter}", "drop one of the two")


def open_meter(wanted: str, place: Place, compute: str) -> Meter:
    """The meter of that name, or with "auto" the best that works here and sees the compute device "cpu" or "cuda".

    Raises Unsupported where there is none; `survey` tells of each what it lacks.
    """
    sees = SEES_GPU if compute == "cuda" else SEES_CPU
    if wanted != "auto":
        if wanted not in sees:
            raise Unsupported(f"the meter {wanted} does not see what runs on {compute}", f"one of {', '.join(sees)}")
        return METERS[wanted](place)
    for name in sees:
        with suppress(Unsupported):
            return METERS[name](place)
    raise Unsupported(
        f"no power meter works here that sees what runs on {compute} (tried {', '.join(sees)})",
        "`edgebench power` tells what each of them lacks",
    )
