"""TensorRT's last complaints, for both of its adapters. Needs TensorRT."""

from __future__ import annotations

from collections import deque

import tensorrt as trt


class Log(trt.ILogger):
    """Keeps TensorRT's last warnings and errors, which say why something came back as None or False."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=12)

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        if severity <= trt.ILogger.Severity.WARNING:
            self.lines.append(f"  [{severity.name}] {msg}")
