"""Several requests in flight: one function for each, to be called in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgebench.errors import Unsupported
from edgebench.protocols import Session
from edgebench.records.jobs import Job


def lanes(session: Session, job: Job) -> Sequence[Callable[[dict[str, Any]], Any]]:
    """As many functions as the job has streams. Raises Unsupported if the session runs one request at a time."""
    if job.streams == 1:
        return [session.run]
    if not (found := session.lanes(job.streams)):
        raise Unsupported(f"{job.runtime} runs one request at a time", "--streams 1")
    return found
