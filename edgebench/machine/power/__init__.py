"""Power: the options of a power pass, and how a meter is found by name or as the best for a device."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from edgebench.errors import Unsupported, UsageError, unknown_name
from edgebench.machine import registry
from edgebench.machine.power.place import Place, Watts
from edgebench.protocols import Meter
from edgebench.records.options import option


@dataclass(frozen=True)
class PowerOptions:
    """The options of the power pass: a meter's name, "auto" for the best that works, or "none"; the watts declared for
    the meter `model`; the least length of the window."""

    meter: str = option(
        "auto", "Measure the energy in a pass of its own, with the best meter that works here, none, or this one.",
        flag="--power", metavar="auto|none|METER", env="EDGEBENCH_POWER", names="meters",
    )  # fmt: skip
    watts: Watts | None = option(
        None,
        "What the whole machine draws idle and at full CPU load, for the meter `model`: no measurement, and labelled.",
        metavar="IDLE:MAX", parse=Watts.parse,
    )  # fmt: skip
    seconds: float = option(
        10.0, "Length of the power pass, at least; it takes 50 new values of the meter.",
        flag="--energy-seconds", key="energy_seconds",
    )  # fmt: skip

    def check(self) -> None:
        """Raise UsageError for options that make no sense."""
        if self.meter not in (known := ("auto", "none", *registry.names("meters"))):
            raise unknown_name("meter", self.meter, known)
        if not 5 <= self.seconds <= 3600:
            raise UsageError(f"--energy-seconds is {self.seconds:g}", "give 5 to 3600")
        if self.watts is not None and not 0 <= self.watts.idle < self.watts.most <= 100_000:
            raise UsageError(f"--watts {self.watts} is not IDLE:MAX", "idle is below the maximum: --watts 3.5:12")
        if self.watts is None:
            return
        taking = [name for name, stated in registry.all_facts("meters").items() if stated.takes_watts]
        if self.meter not in ("auto", *taking):
            fix = "drop one of the two"
            raise UsageError(f"--watts is for the meter {' or '.join(taking)}, not for {self.meter}", fix)


def in_order() -> list[str]:
    """The names of all meters, in the order in which "auto" tries them."""
    stated = registry.all_facts("meters")
    return sorted(stated, key=lambda name: (stated[name].auto_order, name))


def make_meter(name: str, place: Place) -> Meter:
    """The meter of that name. Raises Unsupported, with what it lacks, if it does not work."""
    return registry.load("meters", name, place)


def open_meter(wanted: str, place: Place, compute: str) -> Meter:
    """The meter of that name, or with "auto" the best that works here and sees the compute "cpu" or "cuda".

    Raises Unsupported if there is none; `survey` says what each lacks.
    """
    where = compute if compute == "cuda" else "cpu"  # any other compute is a part of the processor
    seeing = [name for name in in_order() if where in registry.facts("meters", name).sees]
    if wanted != "auto":
        if wanted not in seeing:
            raise Unsupported(f"the meter {wanted} does not see what runs on {compute}", f"one of {', '.join(seeing)}")
        return make_meter(wanted, place)
    for name in seeing:
        with suppress(Unsupported):
            return make_meter(name, place)
    raise Unsupported(
        f"no power meter works here that sees what runs on {compute} (tried {', '.join(seeing)})",
        "`edgebench power` shows what each of them lacks",
    )
