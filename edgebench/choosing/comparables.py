"""Which rows can be ranked together: of one device, machine, evidence and test split, and with power of one scope."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence

from edgebench.choosing.decision import Aside
from edgebench.errors import EdgebenchError, UsageError, unknown_name
from edgebench.results import context
from edgebench.results.columns import Known
from edgebench.results.context import TestSplit
from edgebench.results.figures import Row, split_of

EVIDENCE = ("measured", "emulated", "scripted")  # only the best available is ranked


def of_device(rows: Sequence[Row], device: str | None, scenario: str) -> tuple[list[Row], str, list[str]]:
    """The rows of the device and scenario, the device's name, and notes. Without a name it is the only one of which
    there is the best evidence: emulated results beside those of a measured device are no reason to ask."""
    devices = sorted({row.device for row in rows})
    if not rows:
        raise EdgebenchError("there are no results to choose from", "make some: `edgebench run`, `edgebench evaluate`")
    notes = []
    if device is None:
        usable = [row for row in rows if not _unusable(row)] or rows
        best = min(EVIDENCE.index(row.evidence) for row in usable)
        meant = sorted({row.device for row in usable if row.evidence == EVIDENCE[best]})
        if len(meant) > 1:
            raise UsageError(f"there are results of several devices: {', '.join(meant)}", "say which: --device NAME")
        (device,) = meant
        notes = [f"{other} has no {EVIDENCE[best]} results: --device {other}" for other in devices if other != device]
    if device not in devices:
        from edgebench.machine.profiles import profile_names

        if device in profile_names():
            raise EdgebenchError(
                f"there are no results of {device}, but of {', '.join(devices)}",
                f"`edgebench run --device {device}`, or choose by another --device",
            )
        raise unknown_name("device in the results", device, devices)
    scenarios = sorted({row.scenario for row in rows if row.device == device})
    if scenario not in scenarios:
        raise EdgebenchError(
            f"there are no results of the scenario {scenario} on {device}, but of {', '.join(scenarios)}",
            f"`edgebench run --device {device} --scenario {scenario}`, or choose by another --scenario",
        )
    return [row for row in rows if row.device == device and row.scenario == scenario], device, notes


def together(rows: Sequence[Row], batch: int | None) -> tuple[list[Row], list[Aside]]:
    """The rows that can be ranked together (usable, of the same batch size, evidence and machine), and the others."""
    aside: list[Aside] = []
    if batch is not None:
        rows = _apart(rows, aside, lambda r: f"batch {r.batch}, not {batch}" if r.batch != batch else "")
    rows = _apart(rows, aside, _unusable)
    evidence = next((e for e in EVIDENCE if any(r.evidence == e for r in rows)), "")
    rows = _apart(rows, aside, lambda r: f"{r.evidence}, not {evidence}" if r.evidence != evidence else "")
    machine = max(rows, key=lambda r: r.created).machine if rows else ()
    why = "another machine ({}) than the one measured last"
    rows = _apart(rows, aside, lambda r: why.format(", ".join(r.machine) or "unknown") * (r.machine != machine))
    return rows, aside


def one_scope(rows: Sequence[Row], figures: list[dict[str, Known]]) -> tuple[str, bool]:
    """The scope of the power figures that are compared, which is that of most rows. The others become unknown."""
    scopes = Counter((row.power_scope, row.power_modelled) for row in rows if row.power_scope)
    if not scopes:
        return "", False
    one = min(scopes, key=lambda scope: (scope[1], -scopes[scope], scope))
    for row, found in zip(rows, figures, strict=True):
        if row.power_scope and (row.power_scope, row.power_modelled) != one:
            mine, others = _named(row.power_scope, row.power_modelled), _named(*one)
            why = f"its power covers the {mine}, the others' the {others}"
            other = Known(value=None, reason=why, fix="measure all with one meter")
            found |= {name: other for name in ("power", "energy") if name in found}
    return one


def _named(scope: str, modelled: bool) -> str:
    return f"{scope}, modelled" if modelled else scope


def _apart(rows: Sequence[Row], aside: list[Aside], why: Callable[[Row], str]) -> list[Row]:
    """The rows for which `why` gives no reason; the others go to `aside`, with the reason."""
    reasons = [why(row) for row in rows]
    aside += [Aside(row=row, reason=reason) for row, reason in zip(rows, reasons, strict=True) if reason]
    return [row for row, reason in zip(rows, reasons, strict=True) if not reason]


def _unusable(row: Row) -> str:
    if row.status != "ok":
        return f"{row.status}: {row.message}" if row.message else row.status
    return "its answers differ from torch's" if "unverified" in row.warnings else ""


def of_dataset(rows: Sequence[Row], dataset: str | None) -> list[Row]:
    """The rows of a dataset, which is given by its name, or as NAME@HASH of its test images. None: all.

    Raises UsageError for one that no row is of.
    """
    found = [row for row in rows if dataset is None or context.named(split_of(row), dataset)]
    if found or not rows:
        return found
    raise unknown_name("dataset in the results", dataset, {row.dataset for row in rows})


def one_test_split(rows: Sequence[Row]) -> tuple[TestSplit | None, list[str]]:
    """The test split of rows that are to be ranked, and notes on it. Raises UsageError if they are of several."""
    found = context.grouped(rows, split_of)
    if len(found) > 1:
        names = [split.dataset for split in found]
        options = [split.dataset if names.count(split.dataset) == 1 else split.label for split in found]
        raise UsageError(
            f"these results are of {len(found)} test splits, whose accuracies cannot be compared: "
            f"{', '.join(split.told for split in found)}",
            f"say which: {' or '.join(f'--dataset {shlex.quote(option)}' for option in options)}",
        )
    split = next(iter(found), None)
    unsure = sum(not row.test_sha256 for row in rows)
    if split is None or not split.sha256 or not unsure:
        return split, []
    results = f"{unsure} result{'s' * (unsure > 1)}"
    return split, [
        f"an older edgebench did not record the test images of {results}: by the dataset's name and their number they "
        "are those of the others"
    ]
