"""Runs one job on a board over ssh: sends its files, follows it across lost connections, fetches its results."""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from edgebench import artifact as folders
from edgebench.boards import dating
from edgebench.boards.messages import Event, Lacks, Nothing, Started
from edgebench.boards.ssh import Connection, Host, LinkLost
from edgebench.errors import BadFile, EdgebenchError
from edgebench.records import digests, jsonio
from edgebench.records.result import Result
from edgebench.results import store
from edgebench.specs import Artifact

PATIENCE_S = 900.0  # how long to reconnect after a lost link, while the job continues there
LONGEST_PAUSE_S = 30.0
ALIVE_S = 5.0  # how often the desk sends a sign of life
SILENCE_LIMIT_S = 30.0  # the board sends something every 3 s
LOOK_S = 0.5
STOP_LIMIT_S = 60.0  # the supervisor there gives `edgebench run` 30 s
DEADLINE_S = 7 * 24 * 3600.0  # no job takes longer; a stream without an end does
MOST_RESULTS = 10_000
INTERRUPTED = 130  # a shell's exit code for SIGINT


@dataclass(frozen=True, kw_only=True)
class Order:
    """The job for a board: `edgebench run` or `evaluate` with these arguments, and the artifacts.

    `folder`: where the results are saved; `board`: the board's name in them; `images`: a file for `--images`.
    """

    arguments: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    folder: Path
    board: str
    images: Path | None = None

    @property
    def identity(self) -> str:
        """The job's name on the board: the same order from the same desk finds the job that it started."""
        desk = [str(self.folder.resolve()), platform.node()]
        asked = [list(self.arguments), [artifact.identity for artifact in self.artifacts], self.board, desk]
        return digests.of_bytes(json.dumps(asked).encode())[:32]


@dataclass(frozen=True)
class Watch:
    """Callbacks: the present `status`, a `line` that the board printed, a `result` and its file, whether to stop."""

    status: Callable[[str], None] = lambda text: None
    line: Callable[[str], None] = lambda text: None
    result: Callable[[Result, Path], None] = lambda result, path: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(kw_only=True)
class _JobState:
    """What is known of a running job, across connections."""

    started: bool = False
    began: float = field(default_factory=time.monotonic)
    stopping_since: float = 0.0
    results: int = 0
    clock_told: bool = False
    exit_code: int | None = None
    at: dict[str, int] = field(default_factory=dict)


def run(host: Host, order: Order, watch: Watch) -> int | None:
    """Run the order on `host`, over as many connections as necessary. Returns the exit code, None if it was killed.

    Each result is saved in `order.folder` before the next one comes. Before the job has started, every failure is
    raised; afterwards, a lost link is reconnected. When all results have arrived, the job is removed from the board;
    until then, the same order fetches them.
    """
    order.folder.mkdir(parents=True, exist_ok=True)
    job = _JobState()
    try:
        _patiently(host, job, watch, lambda connection: _carry_out(connection, order, job, watch))
    except KeyboardInterrupt:
        if job.started:
            raise
        return INTERRUPTED
    if job.started:
        _patiently(host, job, watch, lambda connection: connection.ask(Nothing, "forget", job=order.identity))
    return job.exit_code


def _patiently(host: Host, job: _JobState, watch: Watch, act: Callable[[Connection], object]) -> None:
    """Do something over a connection. Once the job has started, a lost connection is replaced, after growing pauses."""
    deadline, pause_s = None, 1.0
    while True:
        began = time.monotonic()
        try:
            with Connection(host, stopped=lambda: watch.stopped() and not job.started) as connection:
                watch.status("connecting")
                connection.greet()
                act(connection)
                return
        except LinkLost as lost:
            if not job.started:
                raise
            now = time.monotonic()
            if now - began > LONGEST_PAUSE_S:  # the connection had worked for a while
                deadline, pause_s = None, 1.0
            deadline = deadline or now + PATIENCE_S
            if now > deadline or watch.stopped():
                raise EdgebenchError(
                    f"{lost.message}; the job continues there",
                    "repeat the command: it fetches the results once it can connect",
                ) from None
            watch.status(f"the link is lost, the job continues; trying again ({lost.message})")
            while time.monotonic() < now + pause_s and not watch.stopped():
                time.sleep(0.1)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _carry_out(connection: Connection, order: Order, job: _JobState, watch: Watch) -> None:
    contents, files = _contents(order.artifacts)
    images = digests.of_file(order.images) if order.images else None
    if order.images and images:
        files[images] = order.images
    if not job.started:
        _send(connection, files, watch)
    if watch.stopped() and not job.started:
        job.exit_code = INTERRUPTED
        return
    answer = connection.ask(
        Started, "start", job=order.identity, arguments=list(order.arguments), folders=contents, images=images,
        clock=time.time(),
    )  # fmt: skip
    if answer.known and not job.started:
        watch.line("this job was started there before, and its results were not fetched: picking it up")
    if job.started and not answer.known:
        watch.line("the job is gone there, with what it had measured: it begins again")
    job.started = True
    _follow(connection, order, job, watch)


def _contents(artifacts: Sequence[Artifact]) -> tuple[dict[str, dict[str, str]], dict[str, Path]]:
    """The folders to make there (folder → file name → sha256), and for each sha256 a local file that has it."""
    contents: dict[str, dict[str, str]] = {}
    files: dict[str, Path] = {}
    for artifact in artifacts:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", artifact.path.resolve().name).lstrip(".-")[:100] or "artifact"
        name = plain if plain not in contents else f"{plain}-{artifact.identity[:8]}"
        manifest = artifact.path / folders.manifest_name(artifact.format)
        contents[name] = artifact.files | {manifest.name: digests.of_file(manifest)}
        files |= {sha256: folders.file_in(artifact, file) for file, sha256 in artifact.files.items()}
        files[contents[name][manifest.name]] = manifest
    return contents, files


def _send(connection: Connection, files: Mapping[str, Path], watch: Watch) -> None:
    """Send the files that the board does not have yet."""
    sizes = {sha256: path.stat().st_size for sha256, path in files.items()}
    answer = connection.ask(Lacks, "lacks", files=sizes, clock=time.time())
    lacking = [sha256 for sha256 in dict.fromkeys(answer.lacks) if sha256 in files]
    for number, sha256 in enumerate(lacking, 1):
        if watch.stopped():
            return
        size = files[sha256].stat().st_size
        watch.status(f"sending file {number} of {len(lacking)}, {size / 2**20:.1f} MiB")
        connection.send(files[sha256], sha256)


def _follow(connection: Connection, order: Order, job: _JobState, watch: Watch) -> None:
    """Receive the news of the job until it has ended, and save its results."""
    connection.tell({"do": "follow", "job": order.identity, "at": job.at})
    said = heard = time.monotonic()
    while True:
        now = time.monotonic()
        if watch.stopped() and not job.stopping_since:
            connection.tell({"do": "stop"})
            job.stopping_since = now
            watch.status("stopping")
        if job.stopping_since and now - job.stopping_since > STOP_LIMIT_S:
            raise EdgebenchError(f"{connection.host.name} was told to stop, and does not", "look at it there")
        if now - job.began > DEADLINE_S:
            raise EdgebenchError(f"{connection.host.name} is at work for {DEADLINE_S / 3600:.0f} h", "look at it there")
        if now - said > ALIVE_S:
            connection.tell({})
            said = now
        if not connection.waiting(LOOK_S):
            if now - heard > SILENCE_LIMIT_S:
                raise LinkLost(f"{connection.host.name} does not answer any more")
            continue
        heard, event = now, connection.hear(Event, SILENCE_LIMIT_S)
        if event.result is not None:
            job.results += 1
            if job.results > MOST_RESULTS:
                raise BadFile(f"{order.board} sent more than {MOST_RESULTS:,} results", "is it the right board?")
            _keep(connection.body(event.result), event.age_s, order, job, watch)
        elif event.status is not None:
            watch.status(event.status)
        elif event.line is not None:
            watch.line(event.line)
        job.at = event.at or job.at
        if event.ended:
            job.exit_code = event.ended.exit_code
            return


def _keep(content: bytes, age_s: float, order: Order, job: _JobState, watch: Watch) -> None:
    """Save a result from the board, if it is whole and of an artifact that was sent; the desk chooses its file name."""
    where = f"a result from {order.board}"
    try:
        result = jsonio.decode(Result, json.loads(content), where)
        store.check(result, where)
        moment, behind_s = dating.moment(result.created, age_s, datetime.now(timezone.utc))
    except (ValueError, OverflowError, RecursionError) as error:
        raise BadFile(f"{where} is damaged: {error}", "run it again") from None
    ours = next((a for a in order.artifacts if a.identity == result.artifact.identity == result.job.artifact), None)
    if ours is None:
        raise BadFile(f"{order.board} sent a result that was not requested", "is it the right board?")
    if behind_s and not job.clock_told:
        job.clock_told = True
        watch.line(f"its clock {dating.said(behind_s)}: its results are dated by the clock here")
    result = replace(result, artifact=replace(ours, path=Path()), host=order.board, created=moment)
    watch.result(result, store.save(result, order.folder))
