"""Computes a lower bound of a model's latency, layer by layer, from a device's peaks. It is a floor, not a forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgebench.errors import Unsupported
from edgebench.estimating.host_peaks import HostPeaks
from edgebench.estimating.onnx_layers import Layer
from edgebench.machine.profiles import Profile
from edgebench.records.jobs import LATENCY
from edgebench.records.result import Result
from edgebench.specs import Artifact


@dataclass(frozen=True, kw_only=True)
class Roof:
    """A device's peaks: GFLOP/s by precision (for int8, GOP/s), and the memory bandwidth.

    Weights are read from memory once per inference, except for `cache_bytes` that may stay on the chip. `source` says
    where the figures come from, and `fix` what to do where one is absent.
    """

    gflops: dict[str, float]
    bandwidth_gb_s: float | None
    cache_bytes: int
    source: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class LayerFloor:
    """A layer and the least time that it takes. `bound` names the peak that sets it."""

    name: str
    operator: str
    precision: str
    macs: int
    weight_bytes: int
    floor_us: float
    bound: Literal["compute", "memory"]


@dataclass(frozen=True, kw_only=True)
class TimeFloor:
    """The sum of the layers' floors. `uncounted`: a sentence on layers that are not counted, without which the floor is
    lower."""

    floor_ms: float
    roof: Roof
    layers: tuple[LayerFloor, ...]
    uncounted: str = ""
    evidence: Literal["estimated-floor"] = "estimated-floor"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A measured median beside the floor of the machine that it was measured on."""

    runtime: str
    threads: int | None
    created: str
    median_ms: float
    floor_ms: float

    @property
    def ratio(self) -> float:
        return self.median_ms / self.floor_ms


def of_profile(profile: Profile) -> Roof:
    """The peaks that a profile declares; those it does not declare are absent."""
    peaks = {"fp32": profile.peaks.fp32_gflops, "fp16": profile.peaks.fp16_gflops, "int8": profile.peaks.int8_gops}
    known = {precision: value for precision, value in peaks.items() if value is not None}
    return Roof(
        gflops=known, bandwidth_gb_s=profile.memory.bandwidth_gb_s, cache_bytes=0,
        source=f"declared by the profile {profile.name}",
        fix="add it, with its source, to [peaks] or [memory] bandwidth_gb_s of a profile of your own",
    )  # fmt: skip


def of_host(peaks: HostPeaks) -> Roof:
    """The peaks measured here; only fp32, since numpy has no fast product of other types."""
    source = f"measured here with numpy on {peaks.cores} cores"
    return Roof(
        gflops={"fp32": peaks.fp32_gflops}, bandwidth_gb_s=peaks.bandwidth_gb_s, cache_bytes=peaks.cache_bytes,
        source=source, fix="estimate the fp32 model, or give --device PROFILE",
    )  # fmt: skip


def floor(layers: Sequence[Layer], roof: Roof, uncounted: Mapping[str, int] | None = None) -> TimeFloor:
    """Σ over the layers of max(2 · MACs / peak, bytes of weights / bandwidth).

    The roofline (Williams et al., 2009) with only the unavoidable traffic: activations may stay on the chip, and so may
    weights up to the size of its cache. `uncounted`: by operator, how many layers are not among `layers`. Raises
    Unsupported if a peak that the layers need is not known: with one roof of two there is no floor worth its name.
    """
    told = ", ".join(f"{count} {operator}" for operator, count in sorted((uncounted or {}).items()))
    if not layers:
        raise Unsupported(f"there is no floor: no layer can be counted ({told or 'it has none with products'})")
    total = sum(layer.weight_bytes for layer in layers)
    from_memory = max(0.0, 1 - roof.cache_bytes / total) if total else 0.0
    wanted = sorted({layer.precision for layer in layers} - set(roof.gflops))
    absent = [f"no peak for {precision}" for precision in wanted]
    absent += ["no memory bandwidth"] * (roof.bandwidth_gb_s is None and from_memory > 0)
    if absent:
        raise Unsupported(f"there is no floor: {' and '.join(absent)} {roof.source}", roof.fix)
    floors = tuple(_layer_floor(layer, roof, from_memory) for layer in layers)
    return TimeFloor(
        floor_ms=sum(layer.floor_us for layer in floors) / 1000, roof=roof, layers=floors,
        uncounted=f"not counted, so the floor is lower: {told}" if told else "",
    )  # fmt: skip


def _layer_floor(layer: Layer, roof: Roof, from_memory: float) -> LayerFloor:
    compute = 2 * layer.macs / roof.gflops[layer.precision] / 1000  # FLOP / (GFLOP/s) = ns
    memory = layer.weight_bytes * from_memory / roof.bandwidth_gb_s / 1000 if from_memory else 0.0
    return LayerFloor(
        name=layer.name,
        operator=layer.operator,
        precision=layer.precision,
        macs=layer.macs,
        weight_bytes=layer.weight_bytes,
        floor_us=max(compute, memory),
        bound="compute" if compute >= memory else "memory",
    )


def held(results: Sequence[Result], artifact: Artifact, batch: int, floor_ms: float) -> tuple[Held, ...]:
    """The measured latencies of the model in this precision, newest first, beside a floor; without emulated ones."""
    origin = artifact.origin or artifact.identity
    found = [
        Held(
            runtime=r.job.runtime,
            threads=r.job.threads,
            created=r.created,
            median_ms=r.summary.median_ns / 1e6,
            floor_ms=floor_ms,
        )
        for r in results
        if r.status == "ok" and r.evidence == "measured" and r.job.scenario == LATENCY and r.job.batch == batch
        and (r.artifact.origin or r.artifact.identity) == origin and r.artifact.precision == artifact.precision
        and r.summary is not None and r.summary.median_ns
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.created, reverse=True))
