"""The outcome of one job, as data: the raw samples, the figures, and everything needed to check them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from edgebench.records.answers import Evaluation, Parity, Score
from edgebench.records.energy import Energy
from edgebench.records.jobs import Evidence, Job, Status, Stop
from edgebench.records.notices import Notice
from edgebench.records.race import Raced
from edgebench.specs import SCHEMA, Artifact, Effective, Layers


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Raw times of every request of one process, in order, none dropped.

    `wall_ns` spans the timed loop from its start, at `began_ns` of the machine's monotonic clock, to its end. With a
    schedule, latency counts from the scheduled time and `late_ns` is how long after it each request was started.
    `device_ns` is the computing alone, as the runtime reports it; empty if it reports none.
    """

    latency_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    wall_ns: int
    late_ns: tuple[int, ...] = ()
    device_ns: tuple[int, ...] = ()
    began_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class MemoryPeaks:
    """Peak memory of the worker in each phase, in bytes; None, with a `reason`, if it cannot be read.

    `uss_bytes` and `pss_bytes` are what the memory is made of once warm: the process's own pages, and those with its
    share of the pages that other processes map too. `gpu_bytes` is the peak seen on a discrete GPU (`gpu_source`).
    """

    load_bytes: int | None
    first_inference_bytes: int | None
    steady_bytes: int | None
    source: str
    reason: str = ""
    uss_bytes: int | None = None
    pss_bytes: int | None = None
    gpu_bytes: int | None = None
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

    start_s: float
    n: int
    median_ns: int
    max_ns: int
    mhz: int | None
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
    min_duration_s: float
    min_queries: int
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

    copy_ns: int
    loop_ns: int


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

    `extra`: figures that only this scenario has, by name.
    """

    effective: Effective
    memory: MemoryPeaks
    samples: Samples | None = None
    windows: tuple[SustainedWindow, ...] = ()
    loadgen: LoadGenVerdict | None = None
    layers: tuple[Layers, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    yardsticks: tuple[Yardstick, ...] = ()  # before and after
    extra: dict[str, float] = field(default_factory=dict, metadata={"json": "unless default"})


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A run on a schedule. A frame is missed if its answer comes later than `deadline_ms` after its scheduled time.

    `jitter_ns`: mean |latencyᵢ − latencyᵢ₋₁|, the interarrival jitter of RFC 3550 without its smoothing.
    """

    rate_hz: float
    deadline_ms: float
    frames: int
    missed: int
    miss_rate: float
    jitter_ns: float


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """The last minute against the first. `slowdown` is the ratio of their medians, with its 95 % interval."""

    first_median_ns: int
    last_median_ns: int
    slowdown: float
    slowdown_ci95: tuple[float, ...]
    verdict: Literal["steady", "slowed", "throttled", "too_short"]


@dataclass(frozen=True)
class SearchPoint:
    """One setting that the search for the highest throughput tried; None if it could not run."""

    batch: int
    streams: int
    throughput_per_s: float | None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a result's launches, each launch weighing the same; `extra` are those of a plug-in's scenario.

    A percentile that n does not support is None (see `stats.min_samples`). `median_ci95_ns` is between launches, so
    None below MIN_LAUNCHES of them. Throughput is images through the wall time of the loops.
    """

    launches: int
    n: int
    median_ns: int | None
    median_ci95_ns: tuple[float, ...] | None
    p90_ns: int | None
    p99_ns: int | None
    p999_ns: int | None
    mean_ns: float
    min_ns: int
    max_ns: int
    throughput_per_s: float
    device_median_ns: int | None = None
    percentile_method: str = "nearest-rank, launches weighted equally"
    camera: Camera | None = None
    sustained: Sustained | None = None
    extra: dict[str, float] = field(default_factory=dict, metadata={"json": "unless default"})


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
    created: str
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
