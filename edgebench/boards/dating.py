"""When a result of a board was made: by the clock that nobody sets there, and by the desk's.

A board without a clock chip has a wrong time until something sets it, which may be in the middle of a run.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

BEGAN = "began.json"
CLOCKS_AGREE_S = 30.0  # a smaller difference may be the delay of the answer


def began() -> dict[str, Any]:
    """This moment, for the file BEGAN of a job's folder."""
    return {"boot": _boot(), "monotonic_s": time.monotonic()}


def age_s(folder: Path, text: str) -> float:
    """How long ago the result in `text` was begun, in s. It is not older than its job, as long as nobody rebooted.

    A result with the times of a launch tells by the monotonic clock when it began; another by the clock on the wall,
    as it is now.
    """
    result = json.loads(text)
    age, oldest = time.time() - datetime.fromisoformat(result["created"]).timestamp(), float("inf")
    job = _told(folder / BEGAN)
    if job.get("boot") == _boot():
        oldest = time.monotonic() - job["monotonic_s"]
        samples = (result["launches"] or [{}])[0].get("samples") or {}
        if samples.get("began_ns") is not None:
            age = time.monotonic() - samples["began_ns"] / 1e9
    return min(max(age, 0.0), max(oldest, 0.0))


def moment(created: str, age_s: float, now: datetime) -> tuple[str, float]:
    """When a result was made by the desk's clock, and how far the board's was behind it then, in s; 0 if they agree.

    Raises ValueError or OverflowError for what is no time.
    """
    said = datetime.fromisoformat(created)
    behind_s = round((now - timedelta(seconds=age_s) - said).total_seconds())
    if abs(behind_s) <= CLOCKS_AGREE_S:
        behind_s = 0
    corrected = min(said + timedelta(seconds=behind_s), now)  # nothing comes from the future
    return corrected.astimezone(timezone.utc).isoformat(timespec="microseconds"), behind_s


def said(behind_s: float) -> str:
    """How far a clock is off, in words."""
    units = ((86400, "days"), (3600, "hours"), (60, "minutes"))
    unit, name = next((each for each in units if abs(behind_s) >= 2 * each[0]), (1, "seconds"))
    return f"was {abs(behind_s) / unit:.0f} {name} {'behind' if behind_s > 0 else 'ahead'}"


def _told(path: Path) -> dict[str, Any]:
    """What `began` said; nothing where a power cut, or an edgebench that did not say it, left no whole file."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
