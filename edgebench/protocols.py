"""What an exporter, a runtime and a meter must offer. Write one: exporters/README.md, runtimes/README.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgebench.records.energy import Sample, Scope
from edgebench.specs import Artifact, Effective, Exported, ExportOptions, Precision, SessionOptions

if TYPE_CHECKING:
    import numpy as np


class Exporter(Protocol):
    """Turns an artifact of one format into another, or into another precision.

    `accepts` says for each precision that it can make the format and precision that it starts from, which lets exports
    chain: checkpoint → onnx → tensorrt.
    """

    accepts: Mapping[Precision, tuple[str, Precision]]
    # Whether it can put normalisation into the graph of what it made itself; if not, it starts from what has it there.
    bakes_input: bool
    produces: str
    verify_with: str  # the runtime that opens the product to compare it with torch …
    verify_on: str  # … and the compute device it does so on: "cpu" or "cuda"

    def check(self, precision: Precision) -> None:
        """Raise Unsupported, with the fix, if this machine lacks what such an export needs. Cheap; before work."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        """Write the model's files into the empty folder `out`. Raises EdgebenchError with the fix."""


class Session(Protocol):
    """An opened model; a context manager. The harness alone reads the clock.

    A session may offer three things more. `lanes(count)` returns as many functions like `run`, safe to call at the same
    time from a thread each: without it the runtime takes no part in `--scenario throughput` beyond one request at a
    time. `device_time_ns()` returns how long the computing of the last `run` took by the runtime's own account.
    `layers()` returns what its graph became, a `Layers` for each precision and provider; it is called once, when all
    is measured, and may open the model again.
    """

    effective: Effective

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference, done on return: the outputs lie in host memory, and a later run does not change them."""

    def close(self) -> None:
        """Give everything back; may be called twice."""

    def __enter__(self) -> Session: ...

    def __exit__(self, *exc: object) -> None: ...


class Runtime(Protocol):
    """Opens artifacts of the formats in `accepts` on a compute device such as "cpu" or "cuda"."""

    accepts: frozenset[str]

    def version(self) -> str:
        """The version of the library underneath."""

    def devices(self) -> tuple[str, ...]:
        """The compute devices that would work here and now, best first; empty if there is none."""

    def open(self, artifact: Artifact, device: str, options: SessionOptions) -> Session:
        """Load the model, ready to run. Never falls back: what cannot be had raises Unsupported with the fix."""


class Meter(Protocol):
    """Tells what is drawn right now by all that is in its `scope`; ours are in edgebench/machine/power/, a file each.

    It is opened for one power pass and read by one thread, `interval_s` apart; 0 where `read` itself waits for a source
    that goes at its own pace. `streams`: whatever it tells is new. Where it is False, a value that never changes is
    taken for a sensor that is stuck. `total_rails`: the rails that add up to the whole.
    """

    name: str
    scope: Scope | None
    modelled: bool
    streams: bool
    interval_s: float
    total_rails: tuple[str, ...]

    def read(self) -> Sample | None:
        """A look; None if it told nothing this time (a sensor that is asleep). It waits for a second at most.

        Raises EdgebenchError if it will never tell anything again.
        """

    def close(self) -> None:
        """Give everything back and leave no process; may be called twice."""


class Pixels(Protocol):
    """Images of one size, in memory or not: `pixels[rows]` is uint8 (len(rows), size, size, 3), RGB.

    `rows` is an int64 array in any order, or a slice.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray: ...
