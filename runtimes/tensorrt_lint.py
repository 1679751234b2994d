"""Asks NVIDIA's ONNX parser what it takes: TensorRT's own, and TensorRT-RTX's, which needs neither card nor driver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from edgebench.errors import Unsupported
from edgebench.records.linted import LintFinding

SAME_CODE = (  # of TensorRT-RTX's parser
    "shares its code with TensorRT's own: what it refuses, TensorRT refuses; that it takes a file is a strong hint "
    "for TensorRT, and no proof"
)


class TensorRtRtxLinter:
    """The parser of TensorRT-RTX."""

    suffixes = {"onnx": ".onnx"}
    aliases = ("rtx",)
    installs = dict.fromkeys(("tensorrt_rtx_libs", "tensorrt_rtx_bindings"), "edgebench[tensorrt-rtx]")
    install_note = "90 MB, under NVIDIA's licence; it needs neither a card nor a driver"
    product = "TensorRT-RTX"

    def __init__(self) -> None:
        self._library = self._load()
        from edgebench.runtimes.tensorrt_log import log

        self._log = log(self._library)
        try:
            self._builder = self._library.Builder(self._log)
        except TypeError as error:  # pybind11 reports a null pointer this way
            said = " ".join(line.strip() for line in self._log.lines) or "it does not say why"
            raise Unsupported(f"{self.product} does not start: {said}", "check the driver: nvidia-smi") from error

    def _load(self) -> ModuleType:
        from edgebench.runtimes import tensorrt_rtx_library

        return tensorrt_rtx_library.load()

    def parser(self) -> str:
        return f"{self.product} {self._library.__version__}"

    def lint(self, path: Path) -> Sequence[LintFinding]:
        from edgebench.runtimes import tensorrt_refusals

        trt = self._library
        self._log.lines.clear()  # what it said of another file
        network = self._builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, self._log)
        if parser.parse_from_file(str(path)):  # by path: weights kept outside the ONNX file are found beside it
            return []
        said = list(self._log.lines)
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        found = [tensorrt_refusals.placed(tensorrt_refusals.finding(error, said), error, path) for error in errors]
        return found or [LintFinding(kind="refused", reason=" ".join(said) or "it does not say why")]

    @staticmethod
    def traps(path: Path) -> Sequence[LintFinding]:
        from edgebench.runtimes import tensorrt_traps

        return tensorrt_traps.traps(path)


class TensorRtLinter(TensorRtRtxLinter):
    """TensorRT's own parser, where there is a card; elsewhere that of TensorRT-RTX stands in."""

    aliases = ("trt",)
    stand_in = "tensorrt_rtx"
    stand_in_means = SAME_CODE
    stand_in_lacks = ("*_TRT", "NonZero", "DeformConv", "RoiAlign")  # TensorRT has plug-ins for them
    installs = {"tensorrt": "edgebench[tensorrt]"}
    install_note = "a Jetson has TensorRT from JetPack: make the environment with --system-site-packages there"
    product = "TensorRT"

    def _load(self) -> ModuleType:
        import tensorrt

        return tensorrt
