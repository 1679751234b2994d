"""A measurement to make, as data: of which artifact, under which conditions, and when it is finished."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgebench.errors import UsageError
from edgebench.records import digests
from edgebench.records.declared import AboveZero, AdapterName, Positive, Sha256
from edgebench.records.options import check, option
from edgebench.specs import Precision

SECONDS = "number of seconds"  # in errors: "give a positive number of seconds"

Status = Literal["ok", "failed", "timeout", "out_of_memory", "crashed", "unsupported"]
# `measured` on the named device; `emulated` elsewhere under its limits; `scripted` by the fake runtime.
Evidence = Literal["measured", "emulated", "scripted"]
LATENCY = "latency"  # the scenario if none is named, and the one that choices are made by
MIN_LAUNCHES = 5  # fewer say too little about how launches differ (Kalibera & Jones, ISMM 2013)
# Environment variables by which libraries of threads and of matrices choose how they compute. The number of OpenMP's
# threads is not among them: the job itself says it.
STEERS = re.compile(r"(OMP|GOMP|KMP|OPENBLAS|MKL|BLIS|GOTO|VECLIB|ONEDNN|DNNL|TBB)_[A-Z0-9_]{1,60}")
SET_BY_US = ("OMP_NUM_THREADS",)
SET_BY_IMPORTS = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")  # of scikit-learn and others; they change no speed
# Why no further launch was made.
Stop = Literal["precision", "launches", "max_seconds", "interrupted", "failed"]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of a measurement: what the options of a run share with the job that is made of them.

    In the options, None stands for the default of the device or the scenario; a job has the values. `threads` is the
    total over all `streams`. `rate_hz`: requests sent a second; `deadline_ms`: a later answer is late; both are None in
    a scenario without a schedule. `own`: the scenario's other options. `strict`: a layer that falls back to another
    provider is a failure. `unverified`: wrong answers are no failure, only a notice.
    """

    compute: str | None = option(
        None, "What the runtime computes on.  [default: the profile's]", metavar="cpu|cuda|gpu|npu|auto"
    )
    scenario: str = option(
        LATENCY, "What is asked of the model; single-stream to offline are MLPerf's, run by its own LoadGen."
    )
    batch: int | None = option(None, "Images a request.  [default: 1; searched by throughput]", least=1)
    streams: int | None = option(None, "Requests in flight.  [default: searched by throughput]", least=1)
    threads: int | None = option(None, "CPU threads of the runtime.  [default: the device's physical cores]", least=1)
    rate_hz: AboveZero | None = None
    deadline_ms: AboveZero | None = None
    own: dict[str, Any] = field(default_factory=dict, metadata={"json": "unless default"})
    warmup_s: float = option(0.5, "Seconds of warm-up, kept apart.", flag="--warmup")
    duration_s: float = option(2.0, "Seconds of measuring in each launch.", flag="--duration", above_0=SECONDS)
    time_limit_s: float | None = option(
        None, "Seconds a launch may take in all.  [default: measuring + 120]", flag="--time-limit", above_0=SECONDS
    )
    memory_limit_mib: int | None = option(
        None, "Stop a measurement that uses more resident memory.  [default: the device's]",
        flag="--memory-limit", metavar="MiB", least=1,
    )  # fmt: skip
    strict: bool = option(False, "Fail where a layer falls back to another provider, as from a GPU to the CPU.")
    unverified: bool = option(False, "Measure an artifact even if its answers differ from torch's, and label it.")


@dataclass(frozen=True, kw_only=True)
class Job(Conditions):
    """Everything that a measurement depends on; the hash of its content is its identity.

    `cores` and `memory_limit_mib` bound the worker process; `compute` is the runtime's device ("cpu", "cuda").
    `environment`: the variables that steer libraries of threads, as the worker inherits them.
    """

    artifact: Sha256
    runtime: AdapterName
    device: str
    compute: str = field()
    evidence: Evidence = "measured"
    batch: Positive = 1
    streams: Positive = 1
    precision: Precision = "fp32"
    max_iterations: Positive = 100_000
    time_limit_s: AboveZero = 120.0
    cores: Positive | None = None
    options: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict, metadata={"json": "unless default"})

    @property
    def identity(self) -> str:
        return digests.of_data(self)


def steering(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of an environment by which libraries compute otherwise than they would by themselves."""
    found = {name: value[:200] for name, value in environ.items() if STEERS.fullmatch(name) and value}
    return {name: found[name] for name in sorted(found) if name not in (*SET_BY_US, *SET_BY_IMPORTS)}


@dataclass(frozen=True)
class Policy:
    """How often a measurement is repeated: in `launches` processes, then in more until the 95 % interval of the median
    lies within ± `precision_target` (0: no more). Below MIN_LAUNCHES there is no interval, so exactly `launches` are
    made. No launch begins that would end after `max_seconds`."""

    launches: int = option(MIN_LAUNCHES, "Fresh processes to measure in, at least.", least=1)
    precision_target: float = option(
        0.01, "Go on until the median is known within ± this share; 0: stop after --launches."
    )
    max_seconds: float = option(60.0, "Make no launch that would end after this.", above_0=SECONDS)

    def check(self) -> None:
        """Raise UsageError for values that cannot be used."""
        check(self)
        if not 0 <= self.precision_target < 1:
            raise UsageError(
                f"--precision-target is {self.precision_target:g}", "give a share such as 0.01, or 0 for no target"
            )
