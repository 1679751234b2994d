"""The limits that a choice is made under, and what the best is best in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from edgebench.errors import UsageError
from edgebench.records.options import flag

Prefer = Literal["accuracy", "latency", "energy", "size"]


def _limit(help: str, unit: str) -> Any:
    return field(default=None, metadata={"help": help, "unit": unit})


@dataclass(frozen=True)
class Limits:
    """What a choice must keep within; None where there is no limit. 1 MB is 10⁶ bytes; accuracy is a share in (0, 1].

    Latency is that of a request; accuracy is the exported artifact's own on its runtime, over the whole test split.
    """

    max_p99_ms: float | None = _limit("Upper limit of the 99th percentile of the latency.", "milliseconds")
    max_median_ms: float | None = _limit("Upper limit of the median latency.", "milliseconds")
    min_images_per_s: float | None = _limit("Lower limit of the images a second.", "images a second")
    max_memory_mb: float | None = _limit("Upper limit of the peak memory, in MB of 10⁶ bytes.", "megabytes")
    max_size_mb: float | None = _limit("Upper limit of the model's files, in MB of 10⁶ bytes.", "megabytes")
    max_power_w: float | None = _limit("Upper limit of the mean power while it infers.", "watts")
    max_energy_mj: float | None = _limit("Upper limit of the energy of one inference.", "millijoules")
    min_accuracy: float | None = _limit("Lower limit of the artifact's own accuracy, a share such as 0.9.", "a share")

    def check(self) -> None:
        """Raise UsageError for a limit that cannot be meant."""
        for name, bound in self.given().items():
            unit = next(f.metadata["unit"] for f in fields(self) if f.name == name)
            if not (math.isfinite(bound) and bound > 0):
                raise UsageError(f"{flag(name)} is {bound:g}", f"give a positive number: {unit}")
            if name == "min_accuracy" and bound > 1:
                percent = f": {bound / 100:g} for {bound:g} %" if bound <= 100 else ""
                raise UsageError(f"{flag(name)} is {bound:g}", f"accuracy is a share between 0 and 1{percent}")

    def given(self) -> dict[str, float]:
        """The limits that there are, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
