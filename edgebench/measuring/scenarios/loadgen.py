"""MLPerf's own LoadGen sends queries and a session answers: four scenarios, with LoadGen's verdict and reasons."""

from __future__ import annotations

import math
import queue
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.errors import Unsupported
from edgebench.measuring import loop
from edgebench.measuring.scenarios import loadgen_figures
from edgebench.measuring.scenarios.lanes import lanes as lanes_of
from edgebench.measuring.scenarios.loadgen_log import Parsed, parse, read_detail
from edgebench.protocols import Scenario, Session
from edgebench.records import replacing
from edgebench.records.jobs import Job
from edgebench.records.result import LoadGenVerdict, Measured

ESTIMATE_S = 0.5  # of measuring before the run: LoadGen must be told which rate to expect
# Offline's one query is prepared beforehand; with too low an estimate it would end before the minimum duration.
OFFLINE_MARGIN = 1.25
MIN_BACKLOG = 10  # a server may lag by at least so many queries: a burst of arrivals is no overload


@dataclass(frozen=True, kw_only=True)
class Load:
    """How LoadGen asks in one of its scenarios, which it calls `name`.

    `min_queries`: as its early-stopping rule demands (99 % confidence, one query discarded); `query_s`: how long a
    query takes, from the job and the requests answered per second. `queued`: LoadGen sends queries without waiting for
    answers. `largest_batch`: images of a query, which may share an inference. `set`: what else LoadGen is told.
    """

    name: str
    min_queries: int
    query_s: Callable[[Job, float], float]
    queued: bool = False
    counts_samples: bool = False
    largest_batch: int = 1
    set: Callable[[Any, Job, LoadGenPlan], None] = lambda settings, job, plan: None


@dataclass(frozen=True, kw_only=True)
class LoadGenPlan:
    """The numbers that LoadGen is told. `capacity_per_s`: requests answered per second in a run beforehand.

    `needed_s` is how long the load's `min_queries` would take, `budget_s` how long LoadGen may send queries: the rest
    of the time limit is for loading, the backlog and verifying.
    """

    capacity_per_s: float
    needed_s: float
    budget_s: float
    min_queries: int
    backlog: int


def scenario(name: str, help: str, load: Load, **given: Any) -> Scenario:
    """The scenario in which LoadGen asks like this load."""

    def measure(
        session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]
    ) -> Measured:
        return Measured(loadgen=perform(load, lanes_of(session, job), requests, job))

    return Scenario(
        name=name,
        help=help,
        libraries=("mlcommons-loadgen",),
        perform=measure,
        repeated=False,  # LoadGen has its own rules of repetition
        crowded=load.queued,
        not_compared="its figures are LoadGen's own",
        power="none",
        no_power="LoadGen's scenarios are run once; --scenario latency measures energy",
        headline=loadgen_figures.headline,
        verdict=loadgen_figures.verdict,
        figures=loadgen_figures.figures,
        objections=loadgen_figures.objections,
        objection=loadgen_figures.objection,
        **given,
    )


def perform(load: Load, lanes: Sequence[loop.Run], requests: Sequence[loop.Request], job: Job) -> LoadGenVerdict:
    """Let LoadGen ask like this load. Raises Unsupported if it is not installed.

    Queries of single-stream and multi-stream are answered on LoadGen's own thread, which waits for them anyway. Those
    of server and offline are answered by one thread for each of `lanes`, so that LoadGen never waits for an answer.
    """
    library = _library()
    plan = make_plan(load, job, _capacity_per_s(lanes, requests, job))
    with replacing.scratch() as logs:
        queries, samples = _run(
            library, _settings(library, load, job, plan), load.queued, lanes, requests, job.batch, str(logs)
        )
        summary = Path(logs, "mlperf_log_summary.txt").read_text(errors="replace")
        version, errors = read_detail(Path(logs, "mlperf_log_detail.txt").read_text(errors="replace"))
    parsed = parse(summary)
    count = {"samples": samples} if load.counts_samples else {"queries": queries}
    figures = {name: value for name, value in parsed.figures.items() if _supported(name, queries)}
    return LoadGenVerdict(
        valid=parsed.valid,
        reasons=() if parsed.valid else parsed.reasons + errors,
        figures={**figures, **{name: float(number) for name, number in count.items()}},
        summary=summary,
        version=version,
        min_duration_s=job.duration_s,
        min_queries=plan.min_queries,
        hint="" if parsed.valid else hint(load, job, plan, parsed, queries),
    )


def _library() -> Any:
    try:
        import mlperf_loadgen
    except ModuleNotFoundError:
        raise Unsupported("MLPerf's LoadGen is not installed", "pip install 'edgebench[mlperf]'") from None
    except ImportError as error:
        raise Unsupported(f"MLPerf's LoadGen does not load: {error}", "reinstall mlcommons-loadgen") from error
    return mlperf_loadgen


def _capacity_per_s(lanes: Sequence[loop.Run], requests: Sequence[loop.Request], job: Job) -> float:
    """Requests answered per second, from a short run after the warm-up."""
    bounds = {"warmup_s": job.warmup_s, "duration_s": ESTIMATE_S, "max_iterations": job.max_iterations}
    if len(lanes) == 1:
        seen = loop.one_at_a_time(lanes[0], requests, **bounds)
    else:
        seen = loop.many_at_once(lanes, requests, **bounds)
    return len(seen.latency_ns) * 1e9 / max(1, seen.wall_ns)


def make_plan(load: Load, job: Job, capacity_per_s: float) -> LoadGenPlan:
    """As many queries as the early-stopping rule demands, if the time limit allows; else the fewest asked for.

    A run that must be INVALID for lack of queries then ends without taking minutes.
    """
    slack_s = max(0.0, job.time_limit_s - job.warmup_s - job.duration_s)
    budget_s = job.duration_s + slack_s / 2
    needed_s = load.min_queries * load.query_s(job, capacity_per_s)
    backlog_s = min(max(1.0, 10 * (job.deadline_ms or 0) / 1e3), slack_s / 4)
    return LoadGenPlan(
        capacity_per_s=capacity_per_s,
        needed_s=needed_s,
        budget_s=budget_s,
        min_queries=load.min_queries if needed_s <= budget_s else 1,
        backlog=max(MIN_BACKLOG, math.ceil(capacity_per_s * backlog_s)),
    )


def _settings(library: Any, load: Load, job: Job, plan: LoadGenPlan) -> Any:
    settings = library.TestSettings()
    settings.scenario = getattr(library.TestScenario, load.name)
    settings.mode = library.TestMode.PerformanceOnly
    settings.min_duration_ms = max(1, round(job.duration_s * 1e3))
    settings.max_duration_ms = math.ceil(plan.budget_s * 1e3)
    settings.min_query_count = plan.min_queries
    query_ns = max(1, round(load.query_s(job, plan.capacity_per_s) * 1e9))
    settings.single_stream_expected_latency_ns = query_ns
    settings.multi_stream_expected_latency_ns = query_ns
    settings.multi_stream_samples_per_query = load.largest_batch
    settings.offline_expected_qps = plan.capacity_per_s * job.batch * OFFLINE_MARGIN
    load.set(settings, job, plan)
    return settings


def _run(
    library: Any,
    settings: Any,
    queued: bool,
    lanes: Sequence[loop.Run],
    requests: Sequence[loop.Request],
    batch: int,
    logs: str,
) -> tuple[int, int]:
    """Let LoadGen ask until it has enough. Returns how many queries and samples it asked; its files go to `logs`."""
    errors: list[BaseException] = []
    asked = {"queries": 0, "samples": 0}
    waiting: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()

    def answer(run: loop.Run, samples: list[Any]) -> None:
        """One inference. Images that share one were prepared together beforehand, under the index of the first."""
        if not errors:
            try:
                run(requests[samples[0].index])
            except BaseException as error:  # raised through LoadGen's C++ it would kill the process
                errors.append(error)
        library.QuerySamplesComplete([library.QuerySampleResponse(sample.id, 0, 0) for sample in samples])

    def serve(run: loop.Run) -> None:
        while samples := waiting.get():
            answer(run, samples)

    def issue(samples: list[Any]) -> None:
        asked["queries"] += 1
        asked["samples"] += len(samples)
        for start in range(0, len(samples), batch):
            pass_on(samples[start : start + batch])

    pass_on: Callable[[list[Any]], None] = waiting.put if queued else lambda samples: answer(lanes[0], samples)
    threads = [threading.Thread(target=serve, args=(run,), name=f"lane-{i}") for i, run in enumerate(lanes)]
    system = library.ConstructSUT(issue, lambda: None)
    library_of_samples = library.ConstructQSL(len(requests), len(requests), lambda _: None, lambda _: None)
    with loop.collection_off():
        for thread in threads:
            thread.start()
        try:  # LoadGen reads an audit.config from the folder it is told, not from the current one
            audit = str(Path(logs, "audit.config"))
            library.StartTestWithLogSettings(system, library_of_samples, settings, _log_settings(library, logs), audit)
        finally:
            for _ in threads:
                waiting.put(None)
            for thread in threads:
                thread.join()
            library.DestroyQSL(library_of_samples)
            library.DestroySUT(system)
    if errors:
        raise errors[0]
    return asked["queries"], asked["samples"]


def _log_settings(library: Any, logs: str) -> Any:
    output = library.LogOutputSettings()
    output.outdir = logs
    settings = library.LogSettings()
    settings.log_output = output
    settings.enable_trace = False
    return settings


def _supported(name: str, queries: int) -> bool:
    """Whether this many queries bound this percentile: LoadGen prints p99.9 even of ten."""
    from edgebench.results import stats

    found = re.fullmatch(r"p(\d\d)(\d*)_latency_ns", name)
    return not found or queries >= stats.min_samples(float(f"0.{found[1]}{found[2]}"))


def hint(load: Load, job: Job, plan: LoadGenPlan, parsed: Parsed, queries: int) -> str:
    """What to do about an INVALID run, in plain words."""
    unmet = {reason.removesuffix(" satisfied: NO") for reason in parsed.reasons if reason.endswith(" satisfied: NO")}
    if "Performance constraints" in unmet:
        if job.rate_hz > plan.capacity_per_s:
            within = f"{float(f'{0.7 * plan.capacity_per_s:.2g}'):g}"
            return f"this machine answers {plan.capacity_per_s:,.3g} queries/s, not {job.rate_hz:,g}: --rate {within}"
        return f"too many answers took longer than {job.deadline_ms:.4g} ms: lower --rate or raise --deadline-ms"
    if plan.min_queries < load.min_queries:
        limit_s = math.ceil(job.warmup_s + job.duration_s + 2.5 * (plan.needed_s - job.duration_s))
        faster = f" or --batch {load.largest_batch}" if job.batch < load.largest_batch else ""
        return (
            f"its verdict needs {load.min_queries} queries, which take about {plan.needed_s:,.0f} s, more than the "
            f"time limit allows: --time-limit {limit_s}{faster}"
        )
    if "Early stopping" in unmet:
        more = re.search(r"at least (\d+) more queries", " ".join(parsed.reasons))
        longer_s = 1.5 * (queries + int(more[1]) if more else 2 * queries) * load.query_s(job, plan.capacity_per_s)
        return f"its verdict needs more queries: --duration {math.ceil(longer_s)}"
    if "Min duration" in unmet:
        return "it ran faster than in the warm-up, which sets the load: use a longer --warmup"
    return "it ran slower than in the warm-up, which sets the load: use a higher --time-limit"
