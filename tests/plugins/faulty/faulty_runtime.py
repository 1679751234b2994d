"""A third party's runtime and exporter, found through entry points alone, that fail in every way a real one can."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from edgebench.runtimes.fake import FakeSession

from edgebench.artifact import file_in, read_reference
from edgebench.errors import Unsupported
from edgebench.specs import Artifact, Exported, ExportOptions, SessionOptions


class Faulty:
    """`--runtime-option fault=NAME` chooses the fault; it strikes in the timed loop unless it is about loading.
    The variables FAULTY_FAULT and FAULTY_ONLY do so for all artifacts, and for the one of that folder."""

    accepts = frozenset({"onnx", "checkpoint"})

    def version(self) -> str:
        return "1.0"

    def computes(self) -> tuple[str, ...]:
        return ("cpu",)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> FaultySession:
        fault = options.extra.get("fault") or os.environ.get("FAULTY_FAULT", "none")
        if os.environ.get("FAULTY_ONLY", artifact.path.name) != artifact.path.name:
            fault = "none"
        if fault == "unsupported":
            raise Unsupported("this board has no such accelerator", "use another board")
        if fault == "orphan":  # leaves a grandchild behind
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            Path(options.extra["pidfile"]).write_text(str(child.pid))
        return FaultySession(artifact, fault, options)


class FaultySession(FakeSession):
    """Answers rightly a few hundred times, so that verification is past when the fault strikes."""

    def __init__(self, artifact: Artifact, fault: str, options: SessionOptions) -> None:
        super().__init__(artifact, [0.0], options)
        self._fault, self._runs, self._hoard = fault, 0, []
        self._after = len(read_reference(artifact).labels) * 3

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self._runs += 1
        outputs = super().run(inputs)
        if self._fault == "nan":
            return {name: value * np.nan for name, value in outputs.items()}
        if self._fault == "wrong":
            return {name: value[:, ::-1].copy() for name, value in outputs.items()}
        if self._fault == "garbage":
            os.write(1, b'{"status": "ok"}\n\xff\xfe\x00 garbage')
        if self._runs < self._after:
            return outputs
        if self._fault == "segfault":
            ctypes.string_at(0)
        elif self._fault == "hang":
            time.sleep(600)
        elif self._fault == "leak":
            self._hoard.append(np.ones(8 << 20))  # 64 MB, touched
            time.sleep(0.02)
        elif self._fault == "memory_error":
            raise MemoryError
        elif self._fault == "raise":
            raise RuntimeError("the driver said no")
        elif self._fault in ("exit", "orphan"):
            sys.stderr.write("I leave you\n")
            os._exit(3)
        return outputs


class WrongExporter:
    """Says that it copied the ONNX file, but gives other answers: its reference cannot agree."""

    accepts = {"fp32": ("onnx", "fp32")}  # noqa: RUF012
    bakes_input = False
    produces, verify_with, verify_on = "wrong", "faulty", "cpu"

    def check(self, precision: str) -> None:
        """Always ready to do harm."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        shutil.copy(file_in(source, "model.onnx"), out / "model.onnx")
        return Exported(files=("model.onnx",), inputs=source.inputs, outputs=source.outputs, tools={"wrong": "1"})
