"""How fast an artifact of lower precision is beside the fp32 artifact that it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.records.declared import AdapterName, Ratio
from edgebench.records.notices import Notice, notice


@dataclass(frozen=True, kw_only=True)
class BesideFp32:
    """Its time as a multiple of fp32's, `ratio`, with the 95 % interval from `low` to `high`: both ran by turns on
    `runtime`, one request at a time, on the machine that made the artifact, whose processor is `cpu`."""

    runtime: AdapterName
    cpu: str
    ratio: Ratio
    low: Ratio
    high: Ratio

    @property
    def slower(self) -> bool:
        """Whether it is slower than fp32 for certain."""
        return self.low > 1

    @property
    def told(self) -> str:
        """As in "2.1 × as fast as fp32 on onnxruntime (2.0 to 2.2)"."""
        ratio, low, high = (1 / value for value in (self.ratio, self.high, self.low))
        doubt = "" if self.slower or self.high < 1 else ", which is not distinguishable"
        return f"{ratio:.2f} × as fast as fp32 on {self.runtime} ({low:.2f} to {high:.2f}{doubt})"


def cpu_kind(fingerprint: Mapping[str, Any]) -> str:
    """The processor of a fingerprint, with the instruction sets by which runtimes choose their kernels."""
    cpu = fingerprint.get("cpu") or {}
    return " ".join(str(part) for part in (cpu.get("model"), *(cpu.get("isa") or ())) if part)


def slower(known: Sequence[BesideFp32], runtime: str, precision: str, fingerprint: Mapping[str, Any]) -> list[Notice]:
    """That the export found an artifact slower than fp32, on this runtime and such a processor."""
    here = [one for one in known if (one.runtime, one.cpu) == (runtime, cpu_kind(fingerprint)) and one.slower]
    return [notice("slower_than_fp32", precision=precision, told=one.told) for one in here]
