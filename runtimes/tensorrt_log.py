"""TensorRT's last complaints, for all that use one of its libraries."""

from __future__ import annotations

from collections import deque
from types import ModuleType
from typing import Any


def log(trt: ModuleType) -> Any:
    """A logger for this library, TensorRT or TensorRT-RTX. Its `lines` are the last warnings and errors, which say why
    something came back as None or False."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.lines: deque[str] = deque(maxlen=12)

        def log(self, severity: Any, msg: str) -> None:
            if severity <= trt.ILogger.Severity.WARNING:
                self.lines.append(f"  [{severity.name}] {msg}")

    return Log()
