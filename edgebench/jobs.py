"""A measurement as data: the job, the samples, and the result with all that it takes to believe or doubt it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from edgebench.answers import Evaluation, Parity
from edgebench.energy import Energy
from edgebench.errors import UsageError, positive
from edgebench.jsonio import dumps
from edgebench.specs import SCHEMA, Artifact, Effective, Layers, Precision
from edgebench.yardstick import Yardstick

Status = Literal["ok", "failed", "timeout", "out_of_memory", "crashed", "unsupported"]
# `measured` on the named device; `emulated` elsewhere under its limits; `scripted` by the fake runtime.
Evidence = Literal["measured", "emulated", "scripted"]
# latency: one request after another; throughput: `streams` at once; camera: on a schedule; sustained: for minutes, with
# the clocks and the heat beside it; the four of MLPerf on its own LoadGen. Nothing is timed by verify, which compares
# the answers with torch's on a few images, and by evaluate, which counts the right ones of the whole test split.
LOADGEN = ("single-stream", "multi-stream", "server", "offline")
Scenario = Literal[
    "latency", "throughput", "camera", "sustained", "single-stream", "multi-stream", "server", "offline", "verify",
    "evaluate",
]  # fmt: skip
UNTIMED = ("verify", "evaluate")  # not to be asked of `edgebench run`
MULTI_STREAM_SAMPLES = 8  # in each query of MLPerf's multi-stream
MIN_LAUNCHES = 5  # fewer say too little about how launches differ (Kalibera & Jones, ISMM 2013)
# Why no further launch was made.
Stop = Literal["precision", "launches", "max_seconds", "interrupted", "failed"]


@dataclass(frozen=True)
class Job:
    """Everything that a measurement depends on; the hash of its content is its identity.

    `cores` and `memory_limit_mib` bound the worker process; `compute` is the runtime's device ("cpu", "cuda");
    `threads` is the total over all `streams`. `rate_hz`: frames (camera) or queries (server) a second that are sent;
    `deadline_ms`: when a frame is late, or the bound on the server's p99. `strict`: a layer that falls back to
    another provider is a failure; `unverified`: wrong answers are not, but a notice.
    """

    artifact: str
    runtime: str
    device: str
    compute: str
    evidence: Evidence = "measured"
    scenario: Scenario = "latency"
    batch: int = 1
    streams: int = 1
    precision: Precision = "fp32"
    threads: int | None = None
    rate_hz: float | None = None
    deadline_ms: float | None = None
    warmup_s: float = 0.5
    duration_s: float = 2.0
    max_iterations: int = 100_000
    time_limit_s: float = 120.0
    memory_limit_mib: int | None = None
    cores: int | None = None
    strict: bool = False
    unverified: bool = False
    options: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return hashlib.sha256(dumps(self).encode()).hexdigest()


@dataclass(frozen=True)
class Policy:
    """When a measurement is done: `launches` processes at least, then as many as it takes for a 95 % interval of the
    median within ± `precision_target` (0: no more), while another still fits into `max_seconds`."""

    launches: int = MIN_LAUNCHES
    precision_target: float = 0.01
    max_seconds: float = 60.0

    def check(self) -> None:
        """Raise UsageError for what cannot be done."""
        if self.launches < 1:
            raise UsageError(f"--launches is {self.launches}", "give at least 1")
        if not 0 <= self.precision_target < 1:
            raise UsageError(
                f"--precision-target is {self.precision_target:g}", "give a share such as 0.01, or 0 for no target"
            )
        positive("--max-seconds", self.max_seconds)


@dataclass(frozen=True)
class Samples:
    """Raw times of every request of one process, in order, none dropped.

    `wall_ns` spans the timed loop from its start, at `began_ns` of the machine's monotonic clock, to its end. With a
    schedule, latency counts from the scheduled time and `late_ns` is how long after it each request was started.
    `device_ns` is the computing alone, by the runtime's own account; empty where it has none.
    """

    latency_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    wall_ns: int
    late_ns: tuple[int, ...] = ()
    device_ns: tuple[int, ...] = ()
    began_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class MemoryPeaks:
    """Peak memory of the worker in each phase, in bytes; None, with a `reason`, where it cannot be read.

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


@dataclass(frozen=True)
class Notice:
    """A typed warning with its remedy; it travels with the result."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Window:
    """One stretch of a sustained run, and the state of the machine at its end; None is what it does not tell.

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


@dataclass(frozen=True)
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
class Launch:
    """What one process measured, and the machine around it. The first launch asks for the `layers`."""

    effective: Effective
    memory: MemoryPeaks
    samples: Samples | None = None
    windows: tuple[Window, ...] = ()
    loadgen: LoadGenVerdict | None = None
    layers: tuple[Layers, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    yardsticks: tuple[Yardstick, ...] = ()  # before and after


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Sustained:
    """The last minute against the first. `slowdown` is the ratio of their medians, with its 95 % interval."""

    first_median_ns: int
    last_median_ns: int
    slowdown: float
    slowdown_ci95: tuple[float, ...]
    verdict: Literal["steady", "slowed", "throttled", "too_short"]


@dataclass(frozen=True)
class Point:
    """One setting that the search for the most throughput tried; None where it could not run."""

    batch: int
    streams: int
    throughput_per_s: float | None
    message: str = ""


@dataclass(frozen=True)
class Summary:
    """The figures of a result's launches, each launch weighing the same.

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


@dataclass(frozen=True)
class Result:
    """The outcome of one job: self-contained, so that a report needs neither the artifact nor the device.

    `host`: what the board is called that it was measured on over ssh, without any user's name; empty: right here.
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
    energy: Energy | None = None
    search: tuple[Point, ...] = ()
    notices: tuple[Notice, ...] = ()
    log_tail: str = ""
    host: str = ""
    schema: int = SCHEMA

    @property
    def effective(self) -> Effective | None:
        """What ran, as the first launch read it back."""
        return self.launches[0].effective if self.launches else None

    @property
    def layers(self) -> tuple[Layers, ...]:
        """In what its layers ran, and where; empty where the runtime cannot tell."""
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
