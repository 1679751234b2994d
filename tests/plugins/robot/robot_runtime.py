"""A plug-in's runtime: opens what the plug-in's exporter makes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.specs import Artifact, Effective, SessionOptions


class RobotRuntime:
    accepts = frozenset({"robot"})
    suffixes = {"robot": ".robot"}
    aliases = ("rb",)
    libraries = ("robotlib",)

    def __init__(self) -> None:
        import onnxruntime

        self._library = onnxruntime

    def version(self) -> str:
        return "1"

    def computes(self) -> tuple[str, ...]:
        return ("cpu",)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> RobotSession:
        refuse_unknown_options("the robot runtime", options.extra)
        if compute != "cpu":
            raise Unsupported(f"the robot runtime does not run on {compute!r}", "--compute cpu")
        content = model_file(artifact, self.suffixes[artifact.format]).read_bytes()
        session = self._library.InferenceSession(content[::-1], providers=["CPUExecutionProvider"])
        return RobotSession(session, artifact)


class RobotSession:
    def __init__(self, session: Any, artifact: Artifact) -> None:
        self._session, self._output = session, artifact.outputs[0].name
        self.effective = Effective(provider="robot", precision=artifact.precision, threads=None, version="1")

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._session is None:
            raise EdgebenchError("the robot session is closed", "open the artifact again")
        return {self._output: self._session.run(None, inputs)[0]}

    def lanes(self, count: int) -> list:
        return []

    def layers(self) -> list:
        return []

    def device_time_ns(self) -> None:
        return None

    def close(self) -> None:
        self._session = None

    def __enter__(self) -> RobotSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
