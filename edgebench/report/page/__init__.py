"""The report as a page: one HTML file with everything inside, which opens offline and can be read without scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

from edgebench import __version__
from edgebench.choosing.decision import Decision
from edgebench.errors import BadFile
from edgebench.machine.scenario_registry import find
from edgebench.records.result import Result
from edgebench.records.workspace import now
from edgebench.report.page import choices, details, latency, learning, measurements, pareto
from edgebench.report.page.markup import Html, el, join
from edgebench.results import store
from edgebench.results.figures import Row
from edgebench.specs import Artifact

HERE = Path(__file__).parent
SECTIONS = {
    "decision": "Decision", "pareto": "Accuracy and cost", "latency": "Latency", "batch": "Batch size",
    "sustained": "Sustained load", "learning": "Training", "measurements": "Measurements", "details": "In full",
}  # fmt: skip
ROWS = 200  # measurements on a page, each with all that is known of it; browsers and readers cannot handle more


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a page. `folder` holds the results of the rows; `problems` are the unreadable files."""

    folder: Path
    rows: Sequence[Row] = ()
    decisions: Sequence[Decision] = ()
    checkpoints: Sequence[Artifact] = ()
    problems: Sequence[str] = ()


def render(content: Content) -> str:
    """The whole page. Reads the results that it shows one at a time, and keeps only a summary of their raw samples."""
    problems = list(content.problems)
    chosen = [decision.chosen.row for decision in content.decisions if decision.chosen]
    # Chosen rows are always shown.
    rows = sorted(content.rows, key=lambda row: row not in chosen)[:ROWS]
    numbered = [(i, row) for i, row in enumerate(content.rows, 1) if row in set(rows)]
    read: dict[int, Result] = {}
    entries = []
    spread = []
    for i, row in numbered:
        try:
            result = store.read(content.folder / row.file)
            found = latency.distribution(result) if find(row.scenario).single_requests else None
            light = _light(result)
            entries.append(details.entry(i, row, light))
        except (BadFile, *store.CONTRADICTION) as error:  # one result hides no other
            problems.append(error.message if isinstance(error, BadFile) else f"{row.file} contradicts itself: {error}")
            entries.append(details.entry(i, row, None))
            continue
        if found:
            spread.append((i, row, found))
        read[i] = light
    sustained = [(i, row, read[i]) for i, row in numbered if find(row.scenario).over_time and i in read]
    limits = content.decisions[0].limits.given() if content.decisions else {}
    sections = join([
        choices.section(content.decisions, {row: i for i, row in numbered}, read),
        measurements.filters([row for _, row in numbered]),
        pareto.section(numbered, chosen, limits),
        latency.distributions(spread),
        latency.batches(numbered, read),
        latency.timelines(sustained),
        learning.section(content.checkpoints),
        measurements.section(numbered, len(content.rows) - len(numbered)) if numbered else None,
        _details(entries),
    ])  # fmt: skip
    main = el("main", _problems(problems), sections)
    body = join([_header(content, sections), main, _footer()])
    return document(f"edgebench: {_about(content)}", body)


def document(title: str, body: Html) -> str:
    """The body in the frame of page.html, with a policy that allows this style and this script only."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    frame = Template((HERE / "page.html").read_text(encoding="utf-8"))
    return frame.substitute(title=el("title", title), policy=policy, style=style, script=script, body=body)


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _light(result: Result) -> Result:
    """A result without its raw samples, which make up most of it."""
    return replace(result, launches=tuple(replace(launch, samples=None) for launch in result.launches))


def _about(content: Content) -> str:
    counts = {"measurement": len(content.rows), "training": len(content.checkpoints)}
    return " and ".join(f"{n:,} {what}{'s' * (n != 1)}" for what, n in counts.items() if n)


def _header(content: Content, sections: Html) -> Html:
    devices = ", ".join(dict.fromkeys(row.device for row in content.rows))
    models = len({row.model for row in content.rows} | {c.model.name for c in content.checkpoints})
    told = f"{_about(content)} of {models} model{'s' * (models != 1)}" + (f" on {devices}" if devices else "")
    links = [el("li", el("a", t, href=f"#{name}")) for name, t in SECTIONS.items() if f' id="{name}" aria' in sections]
    nav = el("nav", el("ul", *links), aria_label="Sections")
    return el("header", el("p", "edgebench report", class_="brand"), el("h1", told), nav)


def _problems(problems: Sequence[str]) -> Html | None:
    if not problems:
        return None
    items = [el("li", problem) for problem in problems[:20]]
    items += [el("li", f"and {len(problems) - 20} more")] if len(problems) > 20 else []
    summary = el("summary", f"{len(problems)} file{'s' * (len(problems) != 1)} could not be read")
    return el("section", el("details", summary, el("ul", *items)), aria_label="Problems", class_="problems")


def _details(entries: Sequence[Html]) -> Html | None:
    if not entries:
        return None
    return el(
        "section", el("h2", "Every measurement in full", id="details-heading"), *entries,
        id="details", aria_labelledby="details-heading",
    )  # fmt: skip


def _footer() -> Html:
    return el("footer", el("p", f"Made by edgebench {__version__} at {now()[:16].replace('T', ' ')} UTC."))
