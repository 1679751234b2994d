"""A measurement as data: the job, the samples, and the result with all that it takes to believe or doubt it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from edgebench.jsonio import dumps
from edgebench.specs import SCHEMA, Artifact, Effective, Precision

Status = Literal["ok", "failed", "timeout", "out_of_memory", "crashed", "unsupported"]
# `measured` on the named device; `emulated` elsewhere under its limits; `scripted` by the fake runtime.
Evidence = Literal["measured", "emulated", "scripted"]


@dataclass(frozen=True)
class Job:
    """Everything that a measurement depends on; the hash of its content is its identity.

    `scenario`: "latency" (one request at a time) or "verify" (answers only, nothing timed). `cores` and
    `memory_limit_mib` bound the worker process; `compute` is the runtime's device ("cpu", "cuda").
    """

    artifact: str
    runtime: str
    device: str
    compute: str
    evidence: Evidence = "measured"
    scenario: Literal["latency", "verify"] = "latency"
    batch: int = 1
    precision: Precision = "fp32"
    threads: int | None = None
    warmup_s: float = 0.5
    duration_s: float = 3.0
    max_iterations: int = 100_000
    time_limit_s: float = 120.0
    memory_limit_mib: int | None = None
    cores: int | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return hashlib.sha256(dumps(self).encode()).hexdigest()


@dataclass(frozen=True)
class Samples:
    """Raw times of every request, in order, none dropped; `wall_ns` spans the timed loop from its start to its end."""

    latency_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    wall_ns: int


@dataclass(frozen=True)
class Summary:
    """The figures of a set of samples. A percentile that n does not support is None (see `stats.min_samples`)."""

    n: int
    median_ns: float
    median_ci95_ns: tuple[float, ...] | None
    p90_ns: int | None
    p99_ns: int | None
    mean_ns: float
    min_ns: int
    max_ns: int
    throughput_per_s: float
    percentile_method: str = "nearest-rank"


@dataclass(frozen=True)
class MemoryPeaks:
    """Peak resident memory of the worker in each phase, in bytes; None with a `reason` where it cannot be read."""

    load_bytes: int | None
    first_inference_bytes: int | None
    steady_bytes: int | None
    source: str
    reason: str = ""

    @property
    def peak_bytes(self) -> int | None:
        known = [v for v in (self.load_bytes, self.first_inference_bytes, self.steady_bytes) if v is not None]
        return max(known, default=None)


@dataclass(frozen=True)
class Parity:
    """An artifact's answers against torch's on held-out images. `relative_error` = max |a − b| / max |b|."""

    batches: tuple[int, ...]
    images: int
    relative_error: float | None
    top1_agreement: float
    non_finite: int
    accuracy: float
    tolerance: float
    passed: bool


@dataclass(frozen=True)
class Notice:
    """A typed warning with its remedy; it travels with the result."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Result:
    """The outcome of one job: self-contained, so that a report needs neither the artifact nor the device."""

    job: Job
    artifact: Artifact
    status: Status
    evidence: Evidence
    created: str
    message: str = ""
    effective: Effective | None = None
    samples: Samples | None = None
    summary: Summary | None = None
    memory: MemoryPeaks | None = None
    parity: Parity | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    log_tail: str = ""
    schema: int = SCHEMA
