"""In a worker that evaluates: asks its runtime what it opens, then judges one artifact after another.

Each request is a frame of JSON with the names of files, each answer an empty frame: what was found is in a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection  # only its frames of bytes are used; nothing is ever unpickled
from pathlib import Path

from edgebench import artifact as folder
from edgebench.measuring import loop, probing
from edgebench.records import jsonio
from edgebench.records.jobs import Job
from edgebench.records.probe import ProbeAnswers
from edgebench.records.result import Launch, MemoryPeaks, Result

MOST_BYTES = 1 << 20  # of a request
SHARED = "a process that evaluates several artifacts holds more than this one needs"


def serve(connection: Connection, run_job: Callable[..., Result], tell: Callable[[str], None]) -> None:
    """Do what is asked until the other side closes the connection."""
    with contextlib.suppress(EOFError):
        while True:
            asked = json.loads(connection.recv_bytes(MOST_BYTES))
            if asked["cores"]:  # as a job has it, and before its libraries look at the processors
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked["cores"]])
            jsonio.write(Path(asked["result"]), _probed(asked) if "runtime" in asked else _judged(asked, run_job, tell))
            connection.send_bytes(b"")


def _probed(asked: dict[str, str]) -> ProbeAnswers:
    with loop.collection_off():  # it takes a sixth of what its imports take
        return ProbeAnswers(tuple(probing.probes([("runtimes", asked["runtime"])])))


def _judged(asked: dict[str, str], run_job: Callable[..., Result], tell: Callable[[str], None]) -> Result:
    """The result, without what a process that did more than this cannot know. The session's memory is given back."""
    job, artifact = jsonio.read(Job, Path(asked["job"])), folder.read(Path(asked["artifact"]))
    answers = Path(asked["answers"]) if asked["answers"] else None
    result = run_job(job, artifact, images=Path(asked["images"]), answers=answers, tell=tell)
    give_back()
    return replace(result, launches=tuple(map(_own, result.launches)))


def _own(launch: Launch) -> Launch:
    memory = MemoryPeaks(
        load_bytes=None, first_inference_bytes=None, steady_bytes=None, source=launch.memory.source, reason=SHARED
    )
    return replace(launch, memory=memory, load_ns=None, first_ns=None)


def give_back() -> None:
    """Free what is no longer in use, down to the system: the next artifact has the memory limit to itself."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's; others give it back by themselves
        trim(0)
