"""Asks LiteRT whether it opens a TensorFlow Lite file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench.records.linted import LintFinding


class LiteRtLinter:
    """An interpreter of LiteRT, with its tensors allocated and never run."""

    suffixes = {"tflite": ".tflite"}
    aliases = ("tflite", "tensorflow-lite")
    installs = {"ai_edge_litert": "edgebench[litert]"}

    def __init__(self) -> None:
        import ai_edge_litert.interpreter

        self._library = ai_edge_litert

    def parser(self) -> str:
        return f"LiteRT {self._library.__version__}"

    def lint(self, path: Path) -> Sequence[LintFinding]:
        from ai_edge_litert.interpreter import Interpreter

        fix = "convert it again without operators of its own (custom, Flex), or take a newer ai-edge-litert"
        try:
            Interpreter(str(path), num_threads=1).allocate_tensors()
        except (RuntimeError, ValueError) as error:
            return [LintFinding(kind="refused", reason=" ".join(str(error).split()), fix=fix)]
        return []

    @staticmethod
    def traps(path: Path) -> Sequence[LintFinding]:
        return []
