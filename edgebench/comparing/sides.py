"""The two sides of `ab`, from artifacts: the runtime, threads, options and interpreter of each."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from edgebench.comparing import ab, ratio
from edgebench.comparing.ab import AbComparison, Make
from edgebench.errors import UsageError, positive
from edgebench.machine import registry
from edgebench.machine.device import detect, place
from edgebench.measuring import alternating, running
from edgebench.measuring.options import RunOptions
from edgebench.specs import Artifact


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side. `runtime`: by default the one for the artifact's format; `python`: an interpreter with edgebench, by
    default this one."""

    artifact: Artifact
    runtime: str | None = None
    threads: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None


def compare_artifacts(
    a: Side, b: Side, *, compute: str | None = None, batch: int | None = None, band: float = ratio.BAND,
    max_seconds: float = 60.0, on_launch: Callable[[int, ratio.Ratio | None], None] = lambda launches, so_far: None,
    on_wait: Callable[[], None] = lambda: None,
) -> AbComparison:  # fmt: skip
    """Is B slower than A on this machine? Both are alive at once, and their bursts alternate (ab.py).

    A difference within ± `band` counts as none. Raises UsageError for settings that make no sense.
    """
    positive("--max-seconds", max_seconds)
    if not 0 <= band < 1:
        raise UsageError(f"--band is {band:g}", "give a share such as 0.02")
    base, new = (_contestant(side, compute, batch) for side in (a, b))
    return ab.compare(base, new, max_seconds=max_seconds, band=band, on_launch=on_launch, on_wait=on_wait)


def _contestant(side: Side, compute: str | None, batch: int | None) -> Make:
    """What makes the contestant of this side when a launch begins."""
    python = side.python or sys.executable
    if shutil.which(python) is None:
        raise UsageError(f"{python} is not a program", "give the path of a Python, such as ../next/.venv/bin/python")
    found, profile = side.artifact, detect()
    placement = place(profile, require_device=True, environ={})
    asked = RunOptions(
        runtimes=(side.runtime or registry.native(found.format),), compute=compute, batch=batch, threads=side.threads
    )
    (planned,) = running.plan([found], profile, placement, asked)
    return partial(alternating.contestant, replace(planned.job, options=dict(side.options)), found, python=python)
