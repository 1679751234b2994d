"""Everything about one measurement, folded: figures, warnings, the commands that repeat it, and the machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgebench.adopting import preprocessing
from edgebench.adopting.told import inputs_told
from edgebench.records.result import Result
from edgebench.report.headline import headline
from edgebench.report.page import reproduce
from edgebench.report.page.markup import Html, el, parted, table
from edgebench.report.written import MISSING
from edgebench.results.figures import Row, judged_by
from edgebench.specs import Artifact

LONGEST = 200  # characters of a fingerprint's value


def entry(number: int, row: Row, result: Result | None) -> Html:
    """A folded entry; if the result could not be read, its row alone."""
    name = el("b", parted(row.name), class_="name")
    what = (row.format, row.runtime, row.precision_told, f"{row.scenario}, batch {row.batch}", row.device)
    small = el("small", " · ".join(what))
    status = row.status if row.status != "ok" else row.evidence
    parts: list[object] = []
    if row.message:
        parts.append(el("p", row.message, class_="bad"))
    if told := judged_by(row):
        parts.append(el("p", f"{told[:1].upper()}{told[1:]}."))
    if row.score:
        parts.append(el("p", f"Score: {row.score}."))
    if result is not None:
        parts += [el("p", headline(result)) if result.summary or result.loadgen else None, *_figures(result)]
    return el(
        "details",
        el("summary", name, " ", small, " ", el("span", status, class_="tag" if row.status == "ok" else "tag bad")),
        el("div", *parts, id=f"row-{number}", class_="entry"),
        data_row=number,
    )


def _figures(result: Result) -> Iterator[Html]:
    if result.notices:
        told = [el("li", el("b", n.code), f": {n.message}. ", el("i", f"Remedy: {n.remedy}.")) for n in result.notices]
        yield el("h3", "Warnings")
        yield el("ul", *told, class_="warnings")
    yield el("h3", "To repeat it")
    yield el("pre", el("code", reproduce.commands(result)), tabindex=0)
    for remark in reproduce.remarks(result):
        yield el("p", remark, class_="note")
    made = result.artifact.adopted
    facts = {
        "artifact": result.job.artifact, "exported from": result.artifact.source or None,
        "checkpoint": None if made else result.artifact.origin or result.artifact.identity,
        **(_adopted(result.artifact) if made else {}), "job": result.job.identity,
        "measured at": result.created, "ran on": result.effective and result.effective.provider,
        "runtime's version": result.effective and result.effective.version,
        f"parity with {made.reference}" if made else "parity with torch": (
            result.parity and result.parity.relative_error
        ),
        **{f"made with {name}": version for name, version in result.artifact.tools.items()},
    }  # fmt: skip
    yield el("h3", "What it was")
    yield table("Identity", ["", ""], [[name, value] for name, value in facts.items() if value is not None])
    before, after = (dict(flat(launch)) for launch in _machine(result))
    if before:
        told = [[name, *(_short(side.get(name)) for side in (before, after))] for name in before | after]
        changed = [line for line in told if line[1] != line[2]]
        kept = [line[:2] for line in told if line[1] == line[2]]
        yield el("h3", "Machine")
        if changed:
            yield table("What changed from before the first launch to after the last", ["", "before", "after"], changed)
        if kept:
            count = f"{len(kept)} value{'s' * (len(kept) != 1)} that did not change"
            yield el("details", el("summary", count), table("The machine before and after", ["", ""], kept))


def _adopted(found: Artifact) -> dict[str, Any]:
    """What is known of a model from elsewhere."""
    made = found.adopted
    return {
        "adopted from": made.file, "inputs": f"{made.inputs}: {inputs_told(found)}",
        "pictures": preprocessing.told(found.preprocessing) if found.preprocessing else None,
        "reference": made.reference, "weights": made.quantized_told or None,
        "its work depends on values": ", ".join(made.steered_by) or None,
        "not compared": ", ".join(made.unrepeatable) or None,
    }  # fmt: skip


def _machine(result: Result) -> tuple[dict[str, Any], dict[str, Any]]:
    return (result.launches[0].before, result.launches[-1].after) if result.launches else ({}, {})


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """A nested dictionary as names with dots and plain values."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        yield name, ", ".join(map(str, value)) or None
    else:
        yield name, value


def _short(value: Any) -> str:
    told = MISSING if value is None else str(value)
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"
