"""What an exporter, a runtime, a meter and a scenario must offer, and what each may state about itself.

How to write one: exporters/README.md, runtimes/README.md; CONTRIBUTING.md for meters and scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:  # who looks for an adapter needs none of it
    import numpy as np

    from edgebench.records.energy import Sample, Scope
    from edgebench.records.jobs import Conditions, Job
    from edgebench.records.result import Launch, Measured, Result, Samples, Summary
    from edgebench.specs import Artifact, Effective, Exported, ExportOptions, Foreign, Layers, Precision, SessionOptions


# An adapter's facts are class attributes with these names; the defaults are below. `registry.facts` reads them from the
# class, also on machines without its library. So an adapter imports its library in `__init__` and in the functions that
# use it, not at the top of the file.


@dataclass(frozen=True, kw_only=True)
class RuntimeFacts:
    """What a runtime states about itself; only `accepts` is required.

    aliases: other names that a user may type. suffixes: by format, how the name of the model file ends.
    installs: by module, what pip installs; install_note: what else helps. shared: by shared library, what helps.
    libraries: the distributions whose versions change its answers or its speed, so a sweep measures again.
    native: the formats for which it is the default. only_by_name: it runs only when named, as it measures nothing.
    adopts: the formats whose files from elsewhere it reads (`signature`); it is the reference for their answers.
    requirements: what pip installs on a board for it; "{cuda}" stands for the major version of the board's CUDA; None
        if edgebench cannot set it up. system_module: the Python module that must come with the board's own system.
    suits: the kinds of machine whose new device profile lists it: "cuda", an architecture such as "x86_64", or "any".
    on: what it may compute on. takes: by option its possible values, none for any; "name." stands for all that begin
        so. What is None is not checked before it is opened.
    tunes: by an option of the runtime, the values beside its default that `tune` tries on the CPU.
    baseline: `tune` states every speed-up relative to it, and measures it with default settings.
    infer_py: the code with which a deployed folder's infer.py uses it on a CPU: it reads SETTINGS and defines `run`,
        from float32 pixels (1, 3, h, w) to logits. Empty if infer.py cannot be written for it.
    """

    accepts: frozenset[str] = frozenset()
    aliases: tuple[str, ...] = ()
    installs: Mapping[str, str] = field(default_factory=dict)
    install_note: str = ""
    shared: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    native: tuple[str, ...] = ()
    adopts: tuple[str, ...] = ()
    suffixes: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] | None = None
    system_module: str = ""
    suits: tuple[str, ...] = ()
    only_by_name: bool = False
    on: tuple[str, ...] | None = None
    takes: Mapping[str, tuple[str, ...]] | None = None
    tunes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    baseline: bool = False
    infer_py: str = ""


@dataclass(frozen=True, kw_only=True)
class ExporterFacts:
    """What an exporter states about itself; `Exporter` explains the attributes that this list leaves out.

    aliases, installs, install_note, shared: as a runtime's. inputs: those that its product may take.
    also: by a format in `accepts`, the format of an adopted model that it starts from as well.
    libraries: the distributions whose versions change its product; libraries_for: those that one precision adds.
    """

    accepts: Mapping[Precision, tuple[str, Precision]] = field(default_factory=dict)
    verify_on: str = "cpu"
    also: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("float32", "uint8")
    aliases: tuple[str, ...] = ()
    installs: Mapping[str, str] = field(default_factory=dict)
    install_note: str = ""
    shared: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    libraries_for: Mapping[Precision, tuple[str, ...]] = field(default_factory=dict)

    @property
    def on_device(self) -> bool:
        """Whether the export must be made on the device that will run it."""
        return self.verify_on != "cpu"


@dataclass(frozen=True, kw_only=True)
class MeterFacts:
    """What a meter states about itself.

    installs, install_note: as a runtime's. takes_watts: it needs what the user declares with `--watts`.
    sees: the computes whose power its figure includes, "cpu" or "cuda". A meter of the processor does not see a
        graphics card; on a Jetson, the module's power includes both.
    scope: what its figure covers; None if the device's profile says so. machines: what it is for, in words.
    auto_order: when `--power auto` tries it, lowest first. Ours have 10 to 60, the power model 90: first what covers
        most of the device and costs it least to read.
    """

    installs: Mapping[str, str] = field(default_factory=dict)
    install_note: str = ""
    sees: tuple[str, ...] = ()
    scope: Scope | None = None
    machines: str = ""
    auto_order: int = 70
    takes_watts: bool = False


class Exporter(Protocol):
    """Turns an artifact of one format into another, or into another precision. ExporterFacts lists what it may state.

    `accepts` maps each precision that it can make to the format and precision that it starts from. So exports can
    chain: checkpoint → onnx → tensorrt.
    """

    accepts: Mapping[Precision, tuple[str, Precision]]
    # Whether it can put normalisation into the graph of its own product; if not, it starts from a source that has it.
    bakes_input: bool
    produces: str
    verify_with: str  # the runtime that opens the product to compare it with torch …
    verify_on: str  # … and its compute: "cpu", or "cuda" if the export must be made on the device itself

    def check(self, precision: Precision) -> None:
        """Raise Unsupported, with the fix, if this machine lacks what the export needs. Cheap; called before work."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        """Write the model's files into the empty folder `out`. Raises EdgebenchError with the fix."""

    def unrun(self) -> str:  # only one that builds for other machines needs this
        """Why nothing here runs its product, which is then never called verified; empty if it can be run."""

    @staticmethod
    def handed(source: Artifact, out: Path) -> Path:  # only one that changes the source's file on the way needs this
        """The file as the target's own parser gets it, for `lint`; what has to be made for that goes into `out`."""


Run = Callable[["dict[str, np.ndarray]"], "dict[str, np.ndarray]"]


class Session(Protocol):
    """An opened model; a context manager. Only the harness reads the clock."""

    effective: Effective

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference, complete on return: the outputs lie in host memory, and later runs do not change them."""

    def lanes(self, count: int) -> Sequence[Run]:
        """As many functions like `run`, each safe to call in a thread of its own at the same time as the others; empty
        if it takes one request at a time, and so runs no scenario with more in flight."""

    def layers(self) -> Sequence[Layers]:
        """What the graph became, one `Layers` per precision and provider; empty if the runtime does not report it.
        Called once, after all measurements; it may open the model again."""

    def device_time_ns(self) -> int | None:
        """How long the last `run` computed, as the runtime reports it, in ns; None if it does not report it."""

    def close(self) -> None:
        """Release everything; may be called twice."""

    def __enter__(self) -> Session: ...

    def __exit__(self, *exc: object) -> None: ...


class Runtime(Protocol):
    """Opens artifacts of the formats in `accepts` on a compute such as "cuda". RuntimeFacts lists what it may state."""

    accepts: frozenset[str]

    def version(self) -> str:
        """The version of the library underneath."""

    def computes(self) -> tuple[str, ...]:
        """What it can run on here, best first; empty if nothing. runtimes/README.md: `lacking`, for what it could."""

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> Session:
        """Load the model, ready to run. Never falls back: raises Unsupported, with the fix, for what it cannot do."""

    def signature(self, path: Path) -> Foreign:
        """What the file of a model from elsewhere takes and returns; only a runtime that states `adopts` needs this.

        Called in a process of its own. Raises BadFile, with the fix, for what cannot be measured here.
        """


class Meter(Protocol):
    """Measures the present power of all that is in its `scope`; ours are in edgebench/machine/power/, one file each.

    It is made with a `Place` (edgebench.machine.power.place), which says where to look, and raises Unsupported, with
    the fix, if it does not work. It is opened for one power pass and read by one thread, every `interval_s`; 0 if
    `read` waits for a source that sets the pace itself. `streams`: every value it returns is new. If False, a value
    that never changes counts as a stuck sensor. `total_rails`: the rails that add up to the whole. It may have
    `faults`: why a rail could not be read, and how often, by (rail, reason). MeterFacts lists what it may state.
    """

    name: str
    scope: Scope | None
    modelled: bool
    streams: bool
    interval_s: float
    total_rails: tuple[str, ...]

    def read(self) -> Sample | None:
        """One reading; None if there was none this time (a sensor that is asleep). It waits for at most a second.

        Raises EdgebenchError if no reading will ever come again.
        """

    def close(self) -> None:
        """Release everything and leave no process behind; may be called twice."""


@dataclass(frozen=True)
class NoOptions:
    """The options of a scenario that has none of its own."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What a scenario asks of an opened model, and what it makes of the answers; ours are in measuring/scenarios/.

    An entry point of its name in the group `edgebench.scenarios` names it. It is a record of functions, not a class
    with methods, because most scenarios need few of them: the defaults are those of the scenario latency.

    libraries: the distributions whose versions change what it measures; a sweep measures again when one changes.
    options: a frozen dataclass of `records.options.option` fields; they become flags, TOML keys and arguments. A job
        holds each in its field of that name, or in `own`.
    check(asked, own): raises UsageError for what cannot be run; `own` is an `options` object, here and below.
    settle(asked, own): the fields of the job that these options determine, if they are not one field per option.
    asked_by(job): the reverse: the values of its options that made a job.
    perform(session, requests, job, tell): measures; None if nothing is timed.
    summarise(job, launches, summary): adds what only this scenario derives from the complete launches.

    batch: images a request, if nothing else is said. repeated: it is repeated in fresh processes. crowded: several
    requests are in flight. searches: it finds the best batch and number of requests in flight, unless they are given.
    own_length: `--duration` does not apply. single_requests: its requests do not wait for each other by design, so the
    page shows how latencies spread. over_time: it has windows, which the page shows. unit: the name of a request in
    sentences.

    compared_by: the time that `compare` uses; none if `not_compared` gives a reason. power: whether its energy is
    measured by repeating it afterwards, beside it, or not at all, for the reason `no_power`. power_margin_s(job): how
    much longer the pass afterwards must be than the window that counts. power_window(job, samples): the length of that
    pass in nanoseconds and the requests that count.

    headline(result): the figures that answer its question. verdict(result): one word. figures(result): those that
    replace the fields of the summary if a result has none. objections(result): one line for each reason not to trust a
    result that is ok, and the fix; objection(result): the same in short.
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
    batch: int = 1
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
        """Whether `edgebench run` offers it."""
        return self.perform is not None


class Pixels(Protocol):
    """Images of one size, in memory or not: `pixels[rows]` is uint8 (len(rows), size, size, 3), RGB.

    `rows` is an int64 array in any order, or a slice.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray: ...
