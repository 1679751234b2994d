"""Energy as data: what an artifact draws while it runs, which meter says so, what that covers, why it is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edgebench.records.declared import Amount, Count

# What a figure covers. package: a processor; gpu: a graphics card; module: a Jetson's module without its carrier board;
# rails: those supplies inside a board that it can measure, less than it draws; system: all of it; battery: all that is
# drawn from the battery. Figures of different scope are never compared.
Scope = Literal["package", "gpu", "module", "rails", "system", "battery"]
# Why there is no figure.
Missing = Literal[
    "off", "emulated", "scenario", "no_meter", "no_total", "failed", "interrupted", "too_short", "too_few_updates",
    "low_coverage", "stuck", "negative", "mislabelled",
]  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One reading of a meter, in mW: `total_mw` (None if it gave none), and `rails_mw` for the rails that it gave.

    `at_ns` is by `time.perf_counter_ns`, the monotonic clock that all processes of a machine share. `total_uj`: energy
    in µJ since some earlier moment, if the source counts energy itself; it is preferred to `total_mw`.
    """

    at_ns: int
    total_mw: float | None
    rails_mw: dict[str, float] = field(default_factory=dict)
    total_uj: int | None = None


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What a power pass found: the loop of a scenario run once more, apart from the timed launches, under a meter.

    `source` is the meter, `modelled` whether it only computes power from the CPU's utilisation and declared watts.
    `gross_j` is all that was drawn in the window of `window_s` seconds; `net_j` leaves out what the idle machine drew
    just before (`idle_power_mw` × window). `mj_per_inference` and `mj_per_image` are gross; a camera's are per frame,
    with the wait for the next one. `rails_mw` is the mean of each rail, of which `total_rails` add up to the whole.
    `updates`: readings that were new, at `sample_rate_hz` on average; `coverage`: the share of the window that they
    span without a gap; `counter_gap`: the share by which a source's power, integrated, differs from its energy counter.
    `trace`: seconds from the window's start and the power of the whole in mW, of each reading in it and of the one
    before and after. If there is no figure, all are None; `missing` says why as a code, `reason` as a sentence.
    """

    source: str = ""
    scope: Scope | None = None
    modelled: bool = False
    missing: Missing | None = None
    reason: str = ""
    mean_power_mw: Amount | None = None
    idle_power_mw: float | None = None  # a battery that is being charged, and an offset of a sensor, are below zero
    min_power_mw: float | None = None
    max_power_mw: float | None = None
    gross_j: Amount | None = None
    net_j: float | None = None
    mj_per_inference: Amount | None = None
    mj_per_image: Amount | None = None
    net_mj_per_inference: float | None = None
    inferences: Count | None = None
    window_s: Amount | None = None
    sample_rate_hz: Amount | None = None
    updates: Count | None = None
    coverage: float | None = None
    counter_gap: float | None = None
    total_rails: tuple[str, ...] = ()
    rails_mw: dict[str, float] = field(default_factory=dict)
    trace: tuple[tuple[float, ...], ...] = ()

    def contradiction(self) -> str:
        figures = (self.gross_j, self.mj_per_inference, self.mj_per_image)
        return "energy without its power" if self.mean_power_mw is None and any(figures) else ""

    @property
    def label(self) -> str:
        """The meter and what its figure covers, in words: "ina, module"; a modelled figure says so first."""
        words = ("MODELLED" if self.modelled else "", self.source, self.scope or "")
        return ", ".join(word for word in words if word)
