"""ONNX Runtime with a planted slowdown: after each inference it stays busy for a share of the time that this took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from edgebench.runtimes.onnxruntime import OnnxRuntime

from edgebench.protocols import Run, Session
from edgebench.specs import Artifact, Layers, SessionOptions


class Slowed(OnnxRuntime):
    """`--runtime-option by=0.05` makes it 5 % slower; 0 is the same code with nothing planted."""

    native = ()
    aliases = ()
    on, takes = ("cpu",), {"by": ()}

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> SlowedSession:
        by = float(options.extra.get("by", "0"))
        return SlowedSession(super().open(artifact, compute, replace(options, extra={})), by)


class SlowedSession:
    def __init__(self, session: Session, by: float) -> None:
        self._session, self._by = session, by
        self.effective = session.effective

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        began = time.perf_counter_ns()
        outputs = self._session.run(inputs)
        done = time.perf_counter_ns()
        until = done + (done - began) * self._by
        while time.perf_counter_ns() < until:
            pass
        return outputs

    def lanes(self, count: int) -> Sequence[Run]:
        return []

    def layers(self) -> Sequence[Layers]:
        return []

    def device_time_ns(self) -> int | None:
        return None

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> SlowedSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
