"""What an exporter, a runtime, a meter and a scenario must offer, and what each may state about itself.

Write one: exporters/README.md, runtimes/README.md; CONTRIBUTING.md has scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from edgebench.records.energy import Sample, Scope
from edgebench.records.jobs import Conditions, Job
from edgebench.records.result import Launch, Measured, Result, Samples, Summary
from edgebench.specs import Artifact, Effective, Exported, ExportOptions, Layers, Precision, SessionOptions

if TYPE_CHECKING:
    import numpy as np


# An adapter's facts are class attributes of these names; what it does not state is as below. `registry.facts` reads
# them from the class, also on machines where its library is missing: so an adapter imports its library in `__init__`
# and in the functions that use it, not at the top of the file.


@dataclass(frozen=True, kw_only=True)
class RuntimeFacts:
    """What a runtime states about itself; `accepts` alone is a must.

    aliases: other names that a user may type.
    installs: by Python module, what pip is asked for where it is missing; install_note: what else helps there.
    libraries: the distributions whose versions change what it answers or how fast. They are recorded with each
        result, and a sweep measures again when one of them changes.
    native: the formats for which it is meant where no runtime is named.
    suffixes: by format, how the name of the model file ends.
    requirements: what pip installs on a board for it, "{cuda}" being the major version of the board's CUDA; None where
        edgebench cannot set it up. system_module: the Python module that has to come with the board's own system.
    suits: the kinds of machine whose new device profile lists it: "cuda", an architecture such as "x86_64", or "any".
    only_by_name: it runs only when it is named, for what it tells is no measurement.
    baseline: `tune` tells every speed-up against it, and measures it as it comes.
    infer_py: what a deployed folder's infer.py does with it on a CPU: it reads SETTINGS and defines `run`, from float32
        pixels (1, 3, h, w) to logits. Empty where infer.py cannot be written for it.
    """

    accepts: frozenset[str] = frozenset()
    aliases: tuple[str, ...] = ()
    installs: Mapping[str, str] = field(default_factory=dict)
    install_note: str = ""
    libraries: tuple[str, ...] = ()
    native: tuple[str, ...] = ()
    suffixes: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] | None = None
    system_module: str = ""
    suits: tuple[str, ...] = ()
    only_by_name: bool = False
    baseline: bool = False
    infer_py: str = ""


@dataclass(frozen=True, kw_only=True)
class ExporterFacts:
    """What an exporter states about itself; those without a counterpart here are explained at `Exporter`.

    aliases, installs, install_note: as a runtime's.
    libraries: the distributions whose versions change what it makes; libraries_for: those that one precision adds. A
        sweep exports again when one of them changes.
    """

    accepts: Mapping[Precision, tuple[str, Precision]] = field(default_factory=dict)
    verify_on: str = "cpu"
    aliases: tuple[str, ...] = ()
    installs: Mapping[str, str] = field(default_factory=dict)
    install_note: str = ""
    libraries: tuple[str, ...] = ()
    libraries_for: Mapping[Precision, tuple[str, ...]] = field(default_factory=dict)

    @property
    def on_device(self) -> bool:
        """Whether it has to be made on the device that will run it."""
        return self.verify_on != "cpu"


@dataclass(frozen=True, kw_only=True)
class MeterFacts:
    """What a meter states about itself.

    installs, install_note: as a runtime's.
    sees: the computes whose draw is in its figure, "cpu" or "cuda". A meter of the processor does not see what computes
        on a graphics card; a Jetson's module has both on it.
    scope: what its figure covers; None where the device's profile says.
    machines: what it is for, in words.
    place: where it stands in the order in which `--power auto` tries meters, lowest first: what is nearest to the whole
        and costs the machine least. A model comes last.
    takes_watts: it needs what the user declares with `--watts`.
    """

    installs: Mapping[str, str] = field(default_factory=dict)
    install_note: str = ""
    sees: tuple[str, ...] = ()
    scope: Scope | None = None
    machines: str = ""
    place: int = 70
    takes_watts: bool = False


class Exporter(Protocol):
    """Turns an artifact of one format into another, or into another precision. See ExporterFacts for what it may state.

    `accepts` says for each precision that it can make the format and precision that it starts from, which lets exports
    chain: checkpoint → onnx → tensorrt.
    """

    accepts: Mapping[Precision, tuple[str, Precision]]
    # Whether it can put normalisation into the graph of what it made itself; if not, it starts from what has it there.
    bakes_input: bool
    produces: str
    verify_with: str  # the runtime that opens the product to compare it with torch …
    verify_on: str  # … and what it runs on: "cpu", or "cuda" where it has to be made on the device itself

    def check(self, precision: Precision) -> None:
        """Raise Unsupported, with the fix, if this machine lacks what such an export needs. Cheap; before work."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        """Write the model's files into the empty folder `out`. Raises EdgebenchError with the fix."""


Run = Callable[["dict[str, np.ndarray]"], "dict[str, np.ndarray]"]


class Session(Protocol):
    """An opened model; a context manager. The harness alone reads the clock."""

    effective: Effective

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference, done on return: the outputs lie in host memory, and a later run does not change them."""

    def lanes(self, count: int) -> Sequence[Run]:
        """As many functions like `run`, safe to call at the same time from a thread each.

        Empty where the runtime takes one request at a time; then it has no part in scenarios with more in flight.
        """

    def layers(self) -> Sequence[Layers]:
        """What the graph became, a `Layers` for each precision and provider; empty where the runtime does not tell.

        Called once, when all is measured; it may open the model again.
        """

    def device_time_ns(self) -> int | None:
        """How long the computing of the last `run` took by the runtime's own account; None where it does not tell."""

    def close(self) -> None:
        """Give everything back; may be called twice."""

    def __enter__(self) -> Session: ...

    def __exit__(self, *exc: object) -> None: ...


class Runtime(Protocol):
    """Opens artifacts of the formats in `accepts` on a compute such as "cpu" or "cuda"; takes no arguments when made.

    See RuntimeFacts for what it may state.
    """

    accepts: frozenset[str]

    def version(self) -> str:
        """The version of the library underneath."""

    def computes(self) -> tuple[str, ...]:
        """What it can run on here and now, best first; empty if there is nothing."""

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> Session:
        """Load the model, ready to run. Never falls back: what cannot be had raises Unsupported with the fix."""


class Meter(Protocol):
    """Tells what is drawn right now by all that is in its `scope`; ours are in edgebench/machine/power/, a file each.

    It is made with a `Place` (edgebench.machine.power.place), which tells where to look, and raises Unsupported, with
    the fix, where it does not work. It is opened for one power pass and read by one thread, `interval_s` apart; 0 where
    `read` itself waits for a source that goes at its own pace. `streams`: whatever it tells is new. Where it is False,
    a value that never changes is taken for a sensor that is stuck. `total_rails`: the rails that add up to the whole.
    See MeterFacts for what it may state.
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


@dataclass(frozen=True)
class NoOptions:
    """Of a scenario that has no options of its own."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is asked of an opened model, and what is made of the answers; ours are in edgebench/measuring/scenarios/.

    It is found by an entry point of its name in the group `edgebench.scenarios`. A record of functions and not a class
    of methods, since most scenarios need few of them: what is left out is as in the scenario latency.

    libraries: the distributions whose versions change what it measures; a sweep measures again when one changes.
    options: a frozen dataclass of `records.options.option` fields; they become flags, TOML keys and arguments. A job
        holds each in its field of that name, or in `own`.
    check(asked, own): raises UsageError for what cannot be run; `own` is an `options`, as everywhere here.
    settle(asked, own): the fields of the job that these options decide, where it is not one field an option.
    asked_by(job): the other way round: the values of its options that made a job.
    perform(session, requests, job, tell): measures; None where nothing is timed.
    summarise(job, launches, summary): adds what the scenario alone tells of the launches that came to an end.

    repeated: in fresh processes. crowded: several requests are in flight. searches: the best batch and the best number
    of requests in flight, unless they are given. own_length: `--duration` has no meaning.
    single_requests: the latencies are of requests that did not wait for each other by design: their spread is shown.
    over_time: it has windows, which are shown. unit: what a request is called in sentences.

    compared_by: what `compare` takes the time of; with a reason in `not_compared` it takes none.
    power: its energy is measured by doing the same once more after it, or beside it, or not, for the reason `no_power`.
    power_margin_s(job): by how much longer the pass after it has to be than the window that counts, and
    power_window(job, samples): of that pass, the length in nanoseconds and the requests that count.

    headline(result): the figures that answer its question. verdict(result): one word. figures(result): those that stand
    for the summary's fields where a result has no summary. objections(result): a line each on why a result that is ok
    is not to be trusted, and the fix; objection(result): the same in short.
    """

    name: str
    help: str
    libraries: tuple[str, ...] = ()
    options: type = NoOptions
    check: Callable[[Conditions, Any], None] | None = None
    settle: Callable[[Conditions, Any], dict[str, Any]] | None = None
    asked_by: Callable[[Job], dict[str, Any]] | None = None
    perform: Callable[[Session, Sequence[dict[str, Any]], Job, Callable[[str], None]], Measured] | None = None
    summarise: Callable[[Job, Sequence[Launch], Summary], Summary] | None = None
    repeated: bool = True
    crowded: bool = False
    searches: bool = False
    own_length: bool = False
    single_requests: bool = False
    over_time: bool = False
    unit: str = "inference"
    compared_by: Literal["request", "image"] = "request"
    not_compared: str = ""
    power: Literal["after", "beside", "none"] = "after"
    no_power: str = ""
    power_margin_s: Callable[[Job], float] | None = None
    power_window: Callable[[Job, Samples], tuple[int, int]] | None = None
    headline: Callable[[Result], str] | None = None
    verdict: Callable[[Result], str] | None = None
    figures: Callable[[Result], dict[str, float | None]] | None = None
    objections: Callable[[Result], tuple[str, ...]] | None = None
    objection: Callable[[Result], str] | None = None

    @property
    def timed(self) -> bool:
        """Whether it is for `edgebench run`."""
        return self.perform is not None


class Pixels(Protocol):
    """Images of one size, in memory or not: `pixels[rows]` is uint8 (len(rows), size, size, 3), RGB.

    `rows` is an int64 array in any order, or a slice.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray: ...
