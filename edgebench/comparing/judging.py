"""Compares two sets of results cell by cell: pairs what is alike, refuses what is not, and judges the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from edgebench.comparing import history, measured, pairing, ratio
from edgebench.comparing.history import CellHistory
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.machine.scenario_registry import find
from edgebench.records.energy import Energy
from edgebench.records.jobs import MIN_LAUNCHES
from edgebench.records.result import Launch, Result
from edgebench.results import stats, store

ComparedOutcome = Literal[
    "faster", "slower", "equivalent", "inconclusive", "failed", "refused", "only in base", "only in new"
]
ALTERNATE = "`edgebench ab` alternates the two, so that what happens on the machine happens to both"
# What `--fail-on` implies: a failure where base had a figure is worse than slow, and no verdict proves nothing.
FAILING: dict[str, set[ComparedOutcome]] = {
    "slower": {"slower", "failed"},
    "inconclusive": {"inconclusive", "refused", "only in base"},
}


@dataclass(frozen=True, kw_only=True)
class EnergyRatio:
    """The gross energy per image of both sides, in mJ, and new ÷ base, from one power pass each: there is no verdict.

    `of`: the meter or meters, and what they cover. The ratio is None, with a `reason`, if a side has no energy, or if
    the sides are of different kinds: another scope, or modelled against measured.
    """

    base_mj: float | None = None
    new_mj: float | None = None
    ratio: float | None = None
    of: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ComparedCell:
    """One measurement that both sides made, or should have made, with its verdict.

    `ratio` is new ÷ base with its 95 % interval; above 1 is slower. `fastest` is the same for the fastest requests.
    Times are per request or per image, as the scenario defines. `launches` and `disturbed`: (base, new).
    `history`: that of all results of both sides, where it was asked for.
    """

    model: str
    format: str
    runtime: str
    scenario: str
    setting: str
    outcome: ComparedOutcome
    reason: str = ""
    remedy: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    fastest: float | None = None
    p: float | None = None
    p_holm: float | None = None
    base_ms: float | None = None
    new_ms: float | None = None
    launches: tuple[int, ...] = ()
    disturbed: tuple[int, ...] = ()
    changed: tuple[str, ...] = ()
    energy: EnergyRatio | None = None
    history: CellHistory | None = field(default=None, metadata={"json": "unless default"})

    @property
    def name(self) -> str:
        return f"{self.model} ({self.format}) on {self.runtime}, {self.scenario}, {self.setting}"


@dataclass(frozen=True)
class Comparison:
    """All cells of two sets of results; `base` and `new` say where they were read from."""

    base: str
    new: str
    band: float
    cells: tuple[ComparedCell, ...]

    def failing(self, fail_on: Sequence[str]) -> list[ComparedCell]:
        """The cells that `--fail-on` names."""
        outcomes = set().union(*(FAILING[name] for name in fail_on))
        return [cell for cell in self.cells if cell.outcome in outcomes]


def load(path: Path) -> tuple[list[Result], list[BadFile]]:
    """The results of a workspace, a folder of results or one file, and an error for each file that is not a result."""
    if path.is_file():
        return [store.read(path)], []
    if not path.is_dir():
        raise BadFile(f"{path} does not exist", "give a workspace, a folder of results or one result's JSON file")
    folder = store.folder_in(path)
    found, problems = store.read_all(folder)
    found = [result for result in found if find(result.job.scenario).timed]
    if not found:
        raise BadFile(f"there are no results in {folder}", "make some: `edgebench run`")
    return found, problems


def compare(
    base: Sequence[Result], new: Sequence[Result], *, band: float = ratio.BAND,
    names: tuple[str, str] = ("base", "new"), with_history: bool = False, since: datetime | None = None,
) -> Comparison:  # fmt: skip
    """Pair the newest results of each cell and judge them. Raises EdgebenchError if nothing pairs.

    `with_history`: a cell whose history over both sides, from `since` on, says that it became slower is slower.
    """
    if not 0 <= band < 0.5:
        raise UsageError(f"--band is {band:g}", "give a share such as 0.02")
    pairs = pairing.paired(pairing.newest(base), pairing.newest(new))
    if not any(left and right for left, right in pairs):
        sides = (
            f"{name} has {'; '.join(sorted({_bare(r).name for r in side})) or 'nothing'}"
            for name, side in zip(names, (base, new), strict=True)
        )
        raise EdgebenchError(
            f"nothing in {names[0]} is comparable with anything in {names[1]}\n  " + "\n  ".join(sides),
            "compare results of the same model, format, runtime and scenario",
        )
    outcomes = [_unjudged(left, right) for left, right in pairs]
    corrected = iter(ratio.holm([seen.p for _, seen in outcomes if seen]))
    tests = sum(seen is not None for _, seen in outcomes)
    cells = [_judged(cell, seen, next(corrected), tests, band) if seen else cell for cell, seen in outcomes]
    if with_history:
        cells = [
            _beside_history(cell, newest, [*base, *new], band, since)
            for cell, (_, newest) in zip(cells, pairs, strict=True)
        ]
    return Comparison(*names, band, tuple(sorted(cells, key=lambda cell: cell.name)))


def _beside_history(
    cell: ComparedCell, new: Result | None, results: Sequence[Result], band: float, since: datetime | None
) -> ComparedCell:
    """A slow rise is slower, though each result was hardly slower than the one before it."""
    if new is None or new.status != "ok":
        return cell
    key = history.same_series(new)
    made = history.history([result for result in results if history.same_series(result) == key], band=band, since=since)
    cell = replace(cell, history=next(iter(made.cells), None))
    if not made.slower or cell.outcome in ("slower", "refused"):
        return cell
    reason = f"by its history: {cell.history.ratio:.3f} × the level of {cell.history.lowest[:10]}"
    return replace(cell, outcome="slower", reason=reason, remedy="see `edgebench history`; --since accepts a level")


def _bare(result: Result) -> ComparedCell:
    return ComparedCell(**measured.named(result), outcome="inconclusive")


def _unjudged(base: Result | None, new: Result | None) -> tuple[ComparedCell, ratio.Witnesses | None]:
    """Judge a pair without regard to the other pairs."""
    cell = _bare(new or base)
    if base is None or new is None:
        only = new or base
        why = "" if only.status == "ok" else f"there it ended as {only.status}: {only.message}"
        return replace(cell, outcome="only in base" if new is None else "only in new", reason=why), None
    unlike = pairing.differences(pairing.asked(base), pairing.asked(new))
    if base.status == new.status == "ok":
        unlike += pairing.differences(pairing.ran(base), pairing.ran(new))
    if unlike:
        return replace(
            cell, outcome="refused", reason=f"unlike: {'; '.join(unlike)}", remedy="measure both alike"
        ), None
    if base.status != "ok":
        return replace(cell, outcome="refused", reason=f"base has no figure: {base.status}: {base.message}"), None
    if new.status != "ok":
        return replace(cell, outcome="failed", reason=f"{new.status}: {new.message}"), None
    if not (base.launches and new.launches):
        return replace(cell, reason="a side has no launches"), None
    changed = tuple(pairing.differences(pairing.free(base), pairing.free(new)))
    return _weighed(replace(cell, changed=changed, energy=_energies(base, new)), base, new)


def _energies(base: Result, new: Result) -> EnergyRatio | None:
    """None if neither side has energy."""
    left, right = base.energy or Energy(), new.energy or Energy()
    both = EnergyRatio(base_mj=left.mj_per_image, new_mj=right.mj_per_image)
    if both.base_mj is None and both.new_mj is None:
        return None
    if both.base_mj is None or both.new_mj is None:
        side, lacking = ("base", left) if both.base_mj is None else ("new", right)
        return replace(both, reason=f"{side} has no energy: {lacking.reason or 'it was measured without a meter'}")
    if (left.scope, left.modelled) != (right.scope, right.modelled):
        return replace(both, reason=f"energy is not comparable: {left.label} in base, {right.label} in new")
    of = left.label if left.label == right.label else f"{left.label} in base, {right.label} in new"
    return replace(both, ratio=both.new_mj / both.base_mj, of=of)


def _weighed(cell: ComparedCell, base: Result, new: Result) -> tuple[ComparedCell, ratio.Witnesses | None]:
    sides = [measured.timed(r) for r in (base, new)]
    clean = [measured.clean(r) for r in (base, new)]
    made, kept = [len(side) for side in sides], [len(side) for side in clean]
    cell = replace(cell, launches=tuple(kept), disturbed=tuple(m - k for m, k in zip(made, kept, strict=True)))
    if min(made) == 0:
        why = find(cell.scenario).not_compared or "a side has no samples"
        return replace(cell, reason=why, remedy="compare the scenario latency or throughput"), None
    enough = min(kept) >= MIN_LAUNCHES
    shown = clean if enough else sides
    times = [[measured.times(launch, r) for launch in side] for side, r in zip(shown, (base, new), strict=True)]
    medians = [stats.Pool(side).percentile(0.5) for side in times]
    cell = replace(cell, base_ms=medians[0] / 1e6, new_ms=medians[1] / 1e6, ratio=medians[1] / medians[0])
    if min(made) < MIN_LAUNCHES:
        why = f"{made[0]} launch{'es' * (made[0] != 1)} in base and {made[1]} in new; each side needs {MIN_LAUNCHES}"
        repeated = find(cell.scenario).repeated
        fix = "edgebench run --launches 9" if repeated else "compare the scenario latency"
        return replace(cell, reason=why, remedy=fix), None
    if not enough:
        return replace(
            cell, reason=_why_disturbed([base, new], sides, clean), remedy=f"stop the load, or: {ALTERNATE}"
        ), None
    requests = [[measured.requests(launch, r) for launch in side] for side, r in zip(clean, (base, new), strict=True)]
    machine = measured.machine_changes({base.job.compute, new.job.compute}, *clean)
    return cell, ratio.weigh(*times, *requests, machine)


def _why_disturbed(results: list[Result], sides: list[list[Launch]], clean: list[list[Launch]]) -> str:
    codes = Counter(code for result in results for code in measured.seen(result))
    left = " and ".join(f"{len(k)} of {len(s)} in {n}" for k, s, n in zip(clean, sides, ("base", "new"), strict=True))
    seen = ", ".join(f"{code} ({n})" for code, n in codes.most_common())
    return f"launches were disturbed: {seen}; {left} were not; each side needs {MIN_LAUNCHES}"


def _judged(cell: ComparedCell, seen: ratio.Witnesses, p_holm: float, tests: int, band: float) -> ComparedCell:
    outcome, reason = seen.verdict(p_holm, band)
    remedy = ""
    if outcome == "inconclusive":
        few = ratio.least_p(*cell.launches) * tests > ratio.ALPHA
        remedy = (
            f"more launches: {tests} cells need more of each"
            if few
            else f"edgebench run --launches 15, or: {ALTERNATE}"
        )
    if outcome != "inconclusive" and sum(cell.disturbed):
        reason = f"without {sum(cell.disturbed)} disturbed launches"
    return replace(
        cell, outcome=outcome, reason=reason, remedy=remedy, fastest=seen.fastest, p=seen.p, p_holm=p_holm,
        ratio=seen.ratio.ratio, low=seen.ratio.low, high=seen.ratio.high,
    )  # fmt: skip
