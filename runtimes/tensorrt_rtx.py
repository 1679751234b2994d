"""TensorRT-RTX: plans on NVIDIA's RTX cards, for which they may have been built on another machine."""

from __future__ import annotations

from types import ModuleType

from edgebench.runtimes.tensorrt import TensorRt


class TensorRtRtx(TensorRt):
    """Opens plans of the version that is here, on a card of an architecture that they were built for."""

    accepts = frozenset({"tensorrt_rtx"})
    native = ("tensorrt_rtx",)
    aliases = ("rtx",)
    suffixes = {"tensorrt_rtx": ".engine"}
    installs = dict.fromkeys(("tensorrt_rtx_libs", "tensorrt_rtx_bindings", "cuda"), "edgebench[tensorrt-rtx]")
    install_note = "90 MB, under NVIDIA's licence; it runs on a card with NVIDIA's driver"
    requirements = None  # under NVIDIA's licence: whoever accepts that installs it
    system_module = ""
    libraries = ("tensorrt_rtx_cu12_libs", "tensorrt_rtx_cu13_libs")
    suits = ()  # profiles of RTX cards name it
    product = "TensorRT-RTX"
    anew = "a plan runs on the version and architectures it was built for: here, `edgebench export --target rtx`"

    def _load(self) -> ModuleType:
        from edgebench.runtimes import tensorrt_rtx_library

        return tensorrt_rtx_library.load()

    def _unfit(self, tools: dict[str, str]) -> str:
        here = self._cuda.gpu()["compute_capability"]
        if here not in (built := tools.get("architectures", here)).split(", "):
            return f"the plan was built for the architectures {built}; the card here has {here}"
        version = tools.get("tensorrt_rtx", self.version())
        if version != self.version():
            return f"the plan was built with TensorRT-RTX {version}; here it is {self.version()}"
        return ""
