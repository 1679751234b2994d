"""`estimate`: the floor under a model on a device and on this machine, held against what was measured there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgebench import artifact
from edgebench.errors import BadFile, Unsupported, UsageError
from edgebench.estimating import foreign_layers, host_peaks, roofline
from edgebench.estimating.host_peaks import HostPeaks
from edgebench.estimating.onnx_layers import CountedLayers, layers
from edgebench.estimating.roofline import Held, Roof, TimeFloor
from edgebench.machine import locks, registry
from edgebench.machine.device import available_cores, load_profile
from edgebench.machine.fingerprint import cpu_model
from edgebench.machine.foreign_load import ForeignLoad
from edgebench.machine.profiles import Profile
from edgebench.records.batches import batch_refused, only_batch
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace
from edgebench.results import store
from edgebench.specs import Artifact


@dataclass(frozen=True, kw_only=True)
class DeviceFloor:
    """The floor on a device, and the latencies that were measured there; `profile` is None for this machine.

    `notice`: a sentence if other programs took their part of this machine's peaks. Without a floor, `reason` and `fix`
    say why, and nothing is held against it.
    """

    profile: Profile | None
    floor: TimeFloor | None
    measured: tuple[Held, ...] = ()
    notice: str = ""
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelFloor:
    """The floors under one model: `device`, where one was named, and `here`, this machine's."""

    artifact: Artifact
    batch: int
    device: DeviceFloor | None
    here: DeviceFloor | None


def estimate(
    artifacts: Sequence[Artifact], workspace: Workspace, *, device: str | None = None, batch: int = 1,
    here: bool = True, named: bool = True, on_left_out: Callable[[str], None] = lambda sentence: None,
    on_wait: Callable[[], None] = lambda: None,
) -> list[ModelFloor]:  # fmt: skip
    """The floors under models on a device of this name, and `here` on this machine, whose peaks a benchmark measures.

    The layers are read from ONNX: another artifact stands for the ONNX artifact of its checkpoint and precision; one
    that has none is an error if it was `named`, else passed over. `on_left_out` hears of results that cannot be read.
    Raises UsageError where nothing is to be estimated, and Unsupported where no device has a floor.
    """
    check_places(device, here=here)
    profile = load_profile(device) if device else None
    found = [one for given in artifacts if (one := _as_onnx(given, workspace, named))]
    models = list({one.identity: one for one in found}.values())
    if not models:
        raise UsageError("there is no ONNX artifact, by which layers are read", "`edgebench export --target onnx`")
    results = _results(workspace, on_left_out)
    roof = roofline.of_profile(profile) if profile else None
    peaks, notice = _benchmark(on_wait) if here else (None, "")
    made = []
    for model in models:
        graph, size = _counted(model, batch), only_batch(model) or batch
        there = mine = None
        if profile:
            there = _held(profile, graph, roof, [r for r in results if r.job.device == profile.name], model, size)
        if here:
            mine = _held(None, graph, roofline.of_host(peaks), [r for r in results if _was_here(r)], model, size)
            mine = replace(mine, notice=notice)
        made.append(ModelFloor(artifact=model, batch=size, device=there, here=mine))
    found = [floor for one in made for floor in (one.device, one.here) if floor]
    if not any(one.floor for one in found):
        raise Unsupported(found[0].reason, found[0].fix)
    return made


def check_places(device: str | None, *, here: bool) -> None:
    """Raise UsageError if there is nothing to estimate for."""
    if not (device or here):
        raise UsageError("--no-here leaves no device to estimate for", "--device PROFILE")


def _held(
    profile: Profile | None, graph: CountedLayers, roof: Roof, results: Sequence[Result], model: Artifact, size: int
) -> DeviceFloor:
    """The floor under this roof, and the measurements of the model among `results` beside it."""
    try:
        floor = roofline.floor(graph.layers, roof, graph.uncounted)
    except Unsupported as error:
        return DeviceFloor(profile=profile, floor=None, reason=error.message, fix=error.fix)
    held = roofline.held(results, model, size, floor.floor_ms)
    return DeviceFloor(profile=profile, floor=floor, measured=held)


def _counted(model: Artifact, batch: int) -> CountedLayers:
    """The layers; of an adopted model at the sizes that it was adopted with."""
    if model.adopted is None:
        return CountedLayers(tuple(layers(artifact.model_file(model, ".onnx"), batch)), {})
    if batch != 1 and (refused := batch_refused(model, batch)):
        raise UsageError(*refused)
    return foreign_layers.count(model)


def _benchmark(on_wait: Callable[[], None]) -> tuple[HostPeaks, str]:
    """This machine's peaks, and a sentence if other programs took their part of them."""
    with locks.device_to_ourselves(on_wait):
        watch = ForeignLoad()
        found, notice = host_peaks.measure(), watch.notice()
    why = f"{notice.message}: these peaks are too low, and the floor too high" if notice else ""
    return found, why


def _as_onnx(found: Artifact, workspace: Workspace, named: bool) -> Artifact | None:
    """The artifact itself if it is ONNX, else the ONNX artifact of the same checkpoint and precision."""
    for one in workspace.family(found) if found.format != "onnx" else [found]:
        if one.format == "onnx" and one.precision == found.precision:
            return one
    if not named:
        return None
    makes = registry.facts("exporters", "onnx")
    fix = "`edgebench export --target onnx`, or name the ONNX artifact that it was made from"
    if found.adopted and found.format not in {*(format for format, _ in makes.accepts.values()), *makes.also.values()}:
        fix = "edgebench estimate FILE.onnx, the file that it was converted from"
    raise UsageError(f"{found.path.name} is {found.format}: its layers are read from an ONNX of {found.precision}", fix)


def _results(workspace: Workspace, on_left_out: Callable[[str], None]) -> list[Result]:
    found = []
    for path in sorted(workspace.results.glob("*.json")):
        try:
            found.append(store.read(path, samples=False))
        except BadFile as error:
            on_left_out(f"left out: {error.message}")
    return found


def _was_here(result: Result) -> bool:
    """Whether it was measured on the CPU of a machine such as this one: its fingerprint has no name of a machine."""
    if result.job.compute != "cpu" or result.job.evidence != "measured":
        return False
    cpus = [launch.before.get("cpu") or {} for launch in result.launches]
    return {(cpu.get("model"), len(cpu.get("affinity") or ())) for cpu in cpus} == {(cpu_model(), available_cores())}
