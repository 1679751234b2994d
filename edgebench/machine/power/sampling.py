"""Reads a meter on a thread, at the meter's own interval, while something else runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from edgebench.errors import EdgebenchError
from edgebench.protocols import Meter
from edgebench.records.energy import Sample


class Sampler:
    """A context manager that reads a meter until it is closed, and then closes the meter.

    `samples`: all readings with a value, in order. `error`: why the meter stopped working; None while it works.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.error: EdgebenchError | None = None
        self._samples: list[Sample] = []
        self._stop, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._look, name="power", daemon=True)

    @property
    def samples(self) -> Sequence[Sample]:
        return self._samples[:]

    def _look(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                sample = self.meter.read()
            except Exception as error:  # a meter can raise anything, and must not end the run
                known = isinstance(error, EdgebenchError)
                self.error = error if known else EdgebenchError(f"{type(error).__name__}: {error}")
                self._ended.set()
                return
            if sample is not None:
                self._samples.append(sample)
            # Missed looks are not made up for: they would all come at once.
            due = max(due + self.meter.interval_s, time.monotonic())
            if self.meter.interval_s:
                self._stop.wait(due - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Let it read for this time, or until the meter stops working."""
        self._ended.wait(seconds)

    def wait_past(self, at_ns: int, limit_s: float = 3.0) -> None:
        """Wait for a reading after that moment, which closes the window before it."""
        deadline = time.monotonic() + limit_s
        while self.error is None and time.monotonic() < deadline:
            if self._samples and self._samples[-1].at_ns >= at_ns:
                return
            time.sleep(0.02)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        self.meter.close()
