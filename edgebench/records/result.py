"""The outcome of one job, as data: the raw samples, the figures, and everything needed to check them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from edgebench.records.answers import Evaluation, Parity, Score
from edgebench.records.declared import (
    AboveZero,
    Amount,
    Count,
    Holding,
    Moment,
    Nanoseconds,
    Positive,
    Ratio,
    Ratios,
    Share,
    Times,
)
from edgebench.records.energy import Energy
from edgebench.records.jobs import Evidence, Job, Status, Stop
from edgebench.records.notices import Notice
from edgebench.records.race import Raced
from edgebench.specs import SCHEMA, Artifact, Effective, Layers

# The parts of a fingerprint that figures are made of; whatever else it has is shown as it is.
PARTS = (
    ("cpu", dict), ("cpu.model", str), ("cpu.logical_cores", int), ("cpu.affinity", list), ("cpu.isa", list),
    ("board", str),
    ("arch", str), ("python", str), ("nvpmodel", str), ("nvidia_cards", list), ("libraries", dict),
    ("swap_used_bytes", int), ("memory_available_bytes", int),
)  # fmt: skip
MachineState = Annotated[dict[str, Any], Holding(PARTS)]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Raw times of every request of one process, in order, none dropped.

    `wall_ns` spans the timed loop from its start, at `began_ns` of the machine's monotonic clock, to its end. With a
    schedule, latency counts from the scheduled time and `late_ns` is how long after it each request was started.
    `device_ns` is the computing alone, as the runtime reports it; empty if it reports none.
    """

    latency_ns: tuple[Count, ...]
    warmup_ns: tuple[Count, ...]
    wall_ns: Count
    late_ns: tuple[int, ...] = ()
    device_ns: tuple[Count, ...] = ()
    began_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class MemoryPeaks:
    """Peak memory of the worker in each phase, in bytes; None, with a `reason`, if it cannot be read.

    `uss_bytes` and `pss_bytes` are what the memory is made of once warm: the process's own pages, and those with its
    share of the pages that other processes map too. `gpu_bytes` is the peak seen on a discrete GPU (`gpu_source`).
    """

    load_bytes: Count | None
    first_inference_bytes: Count | None
    steady_bytes: Count | None
    source: str
    reason: str = ""
    uss_bytes: Count | None = None
    pss_bytes: Count | None = None
    gpu_bytes: Count | None = None
    gpu_source: str = ""

    @property
    def peak_bytes(self) -> int | None:
        known = [v for v in (self.load_bytes, self.first_inference_bytes, self.steady_bytes) if v is not None]
        return max(known, default=None)


@dataclass(frozen=True, kw_only=True)
class SustainedWindow:
    """One stretch of a sustained run, and the state of the machine at its end; None for what the machine does not say.

    `power_mw` is the mean over the stretch, where a meter ran beside it.
    """

    start_s: Amount
    n: Count
    median_ns: Nanoseconds
    max_ns: Nanoseconds
    mhz: Count | None
    temperature_c: float | None
    throttled: bool
    power_mw: float | None = None


@dataclass(frozen=True, kw_only=True)
class LoadGenVerdict:
    """What MLPerf's LoadGen says of a run: VALID or INVALID, its reasons, and its summary word for word.

    VALID is by the minima here, which are the user's: a submission to MLPerf takes 600 s and more. `hint` is ours.
    """

    valid: bool
    reasons: tuple[str, ...]
    figures: dict[str, float]
    summary: str
    version: str
    min_duration_s: Amount
    min_queries: Count
    hint: str = ""

    @property
    def word(self) -> str:
        return "VALID" if self.valid else "INVALID"


@dataclass(frozen=True)
class Yardstick:
    """How fast the machine itself is: medians of a few repetitions on one thread.

    `copy_ns`: to copy 32 MiB in memory; `loop_ns`: for 20,000 turns of a loop in Python, which takes longer at a lower
    clock or beside another load on the same core.
    """

    copy_ns: Nanoseconds
    loop_ns: Nanoseconds


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a scenario measured in one process; `extra`: figures that only this scenario has, by name."""

    samples: Samples | None = None
    windows: tuple[SustainedWindow, ...] = ()
    loadgen: LoadGenVerdict | None = None
    notices: tuple[Notice, ...] = ()
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What one process measured, and the machine's state `before` and `after`. Only the first launch has `layers`.

    `load_ns`: to load the runtime's library and open the artifact; `first_ns`: of the first inference after that.
    `extra`: figures that only this scenario has, by name.
    """

    effective: Effective
    memory: MemoryPeaks
    samples: Samples | None = None
    windows: tuple[SustainedWindow, ...] = ()
    loadgen: LoadGenVerdict | None = None
    layers: tuple[Layers, ...] = ()
    before: MachineState = field(default_factory=dict)
    after: MachineState = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    yardsticks: tuple[Yardstick, ...] = ()  # before and after
    load_ns: Nanoseconds | None = None
    first_ns: Nanoseconds | None = None
    extra: dict[str, float] = field(default_factory=dict, metadata={"json": "unless default"})


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A run on a schedule. A frame is missed if its answer comes later than `deadline_ms` after its scheduled time.

    `jitter_ns`: mean |latencyᵢ − latencyᵢ₋₁|, the interarrival jitter of RFC 3550 without its smoothing.
    """

    rate_hz: AboveZero
    deadline_ms: AboveZero
    frames: Count
    missed: Count
    miss_rate: Share
    jitter_ns: Amount


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """The last minute against the first. `slowdown` is the ratio of their medians, with its 95 % interval."""

    first_median_ns: Nanoseconds
    last_median_ns: Nanoseconds
    slowdown: Ratio
    slowdown_ci95: Ratios
    verdict: Literal["steady", "slowed", "throttled", "too_short"]


@dataclass(frozen=True)
class SearchPoint:
    """One setting that the search for the highest throughput tried; None if it could not run."""

    batch: Positive
    streams: Positive
    throughput_per_s: AboveZero | None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a result's launches, each launch weighing the same; `extra` are those of a plug-in's scenario.

    A percentile that n does not support is None (see `stats.min_samples`). `median_ci95_ns` is between launches, so
    None below MIN_LAUNCHES of them. Throughput is images through the wall time of the loops.
    """

    launches: Positive
    n: Positive
    median_ns: Nanoseconds | None
    median_ci95_ns: Times | None
    p90_ns: Nanoseconds | None
    p99_ns: Nanoseconds | None
    p999_ns: Nanoseconds | None
    mean_ns: AboveZero
    min_ns: Nanoseconds
    max_ns: Nanoseconds
    throughput_per_s: AboveZero
    device_median_ns: Nanoseconds | None = None
    percentile_method: str = "nearest-rank, launches weighted equally"
    camera: Camera | None = None
    sustained: Sustained | None = None
    extra: dict[str, float] = field(default_factory=dict, metadata={"json": "unless default"})

    def contradiction(self) -> str:
        """Why these are not figures of the same samples; empty if they may be."""
        times = (self.min_ns, self.median_ns, self.p90_ns, self.p99_ns, self.p999_ns, self.max_ns)
        known = [time for time in times if time is not None]
        return "" if known == sorted(known) else "its percentiles do not rise"


def titled(model: str, format: str, precision: str, runtime: str) -> str:
    """A model on a runtime, in words. What is in fp32 is not told so."""
    return f"{model} ({format}{'' if precision == 'fp32' else f', {precision}'}) on {runtime}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """The outcome of one job: self-contained, so that a report needs neither the artifact nor the device.

    `host`: the name of the board that measured it over ssh, without the user's name; empty for this machine. `race`:
    its part in the race that it was measured in; None if it was measured alone.
    """

    job: Job
    artifact: Artifact
    status: Status
    evidence: Evidence
    created: Moment
    message: str = ""
    launches: tuple[Launch, ...] = ()
    stop: Stop | None = None
    summary: Summary | None = None
    parity: Parity | None = None
    evaluation: Evaluation | None = None
    score: Score | None = field(default=None, metadata={"json": "unless default"})
    energy: Energy | None = None
    search: tuple[SearchPoint, ...] = ()
    notices: tuple[Notice, ...] = ()
    log_tail: str = ""
    host: str = ""
    race: Raced | None = field(default=None, metadata={"json": "unless default"})
    schema: int = SCHEMA

    def __repr__(self) -> str:
        """In a line: all launches with their samples would be a wall. `edgebench.records.jsonio.dumps` shows all."""
        median = self.summary and self.summary.median_ns
        told = f", median {median / 1e6:.3f} ms" if median else ""
        return f"<Result {self.title}: {self.job.scenario}, {self.status}, {self.evidence}{told}>"

    @property
    def file_name(self) -> str:
        """A name that sorts by time and cannot collide."""
        moment = "".join(c for c in self.created[:26] if c.isdigit())
        return f"{moment}-{self.job.runtime}-{self.job.identity[:12]}.json"

    @property
    def title(self) -> str:
        """What was run by what, as one line of several names it: "resnet18 (onnx, int8) on onnxruntime"."""
        return titled(self.artifact.model.name, self.artifact.format, self.artifact.precision, self.job.runtime)

    @property
    def effective(self) -> Effective | None:
        """What ran, as the first launch read it back."""
        return self.launches[0].effective if self.launches else None

    @property
    def layers(self) -> tuple[Layers, ...]:
        """In which precision its layers ran, and where; empty if the runtime cannot say."""
        return self.launches[0].layers if self.launches else ()

    @property
    def loadgen(self) -> LoadGenVerdict | None:
        """LoadGen's verdict, where it ran; it makes one launch."""
        return next((launch.loadgen for launch in self.launches if launch.loadgen), None)

    @property
    def peak_memory_bytes(self) -> int | None:
        """The highest peak of any launch."""
        known = [launch.memory.peak_bytes for launch in self.launches if launch.memory.peak_bytes is not None]
        return max(known, default=None)
