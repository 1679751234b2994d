"""A measurement to make, as data: what it is of, how it is asked, and when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edgebench.errors import UsageError, positive
from edgebench.records import digests
from edgebench.specs import Precision

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
        return digests.of_data(self)


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
