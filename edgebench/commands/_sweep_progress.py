"""The progress of a sweep: a live table of its cells on a terminal; elsewhere a line for each step that ends."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from edgebench.records.result import Result
    from edgebench.sweeping.matrix import Cell, Matrix
    from edgebench.sweeping.steps import StepOutcome
    from edgebench.sweeping.sweep import ReadySweep
    from edgebench.sweeping.work import SweepState

REDRAW_S = 0.5
COLUMNS = ("model", "subset", "seed", "target", "precision", "runtime", "device")
ORDER = {"running": 0, "failed": 1, "waiting": 2, "ok": 3}  # of the rows, where not all of them fit
DOING = {
    "train": "training", "adopt": "adopting", "export": "exporting", "evaluate": "evaluating", "measure": "measuring",
}  # fmt: skip


class SweepProgress:
    """Shows each `SweepState` of a sweep, with the time left; also prints sentences. A context manager."""

    def __init__(self, ready: ReadySweep) -> None:
        from rich.console import Console
        from rich.live import Live

        from edgebench.sweeping.records import Records

        self._matrix, self._at_once, self._kept = ready.matrix, ready.at_once, Records(ready.workspace)
        self._durations = ready.durations()
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._figures: dict[str, str] = {}
        self._told: set[tuple[str, str]] | None = None
        self._drawn_at = 0.0
        self._waits = ""

    def __enter__(self) -> SweepProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, state: SweepState) -> None:
        from edgebench.sweeping.work import waits

        for outcome in state.outcomes.values():
            self._durations.learn(outcome)
        if (waiting := waits(state, self._kept)) and waiting != self._waits:
            self.say(waiting)
        self._waits = waiting
        if self._live is None:
            self._lines(state)
        elif time.monotonic() - self._drawn_at > REDRAW_S or len(state.outcomes) == len(state.steps):
            self._drawn_at = time.monotonic()
            self._live.update(self._table(state), refresh=True)

    def _lines(self, state: SweepState) -> None:
        """A line for each step that ended since the last look; what was done before this sweep is counted once."""
        ended = [outcome for outcome in state.outcomes.values() if outcome.status != "running"]
        marks = {(outcome.step.identity, outcome.status) for outcome in ended}
        if self._told is None:
            self._told = marks if len(marks) < len(state.steps) else set()
            if self._told:
                self.say(f"{len(marks)} of {len(state.steps)} steps are done already")
        for outcome in ended:
            mark = (outcome.step.identity, outcome.status)
            if mark not in self._told and outcome.attempts:  # without an attempt, what it needs has failed
                self._told.add(mark)
                took = "" if outcome.seconds is None else f" in {outcome.seconds:.1f} s"
                what = f"{self._name(outcome)}: {outcome.status}{took}"
                said = f": {_first_line(outcome.message)}" if outcome.message else ""
                self.say(f"[{len(marks)}/{len(state.steps)}] {what}{said}; {self._left(state)}")

    def say(self, sentence: str) -> None:
        """Print a line; on a terminal above the table."""
        from edgebench.records.terminal import printable

        self._console.print(printable(sentence), highlight=False, markup=False, soft_wrap=True)

    def _name(self, outcome: StepOutcome) -> str:
        """What the step does, and the first cell that needs it."""
        cell = next((c for c in self._matrix.cells if outcome.step in c.steps), None)
        if cell is None or outcome.step.kind in ("train", "adopt"):
            return outcome.step.title
        whole = cell.whose
        made = "" if outcome.step.kind == "export" else f", {cell.target} {cell.precision}"
        return f"{outcome.step.title} ({whole}{made})"

    def _left(self, state: SweepState) -> str:
        from edgebench.records.workspace import now
        from edgebench.sweeping.estimate import clock

        left = self._durations.left(state.steps, state.outcomes, self._at_once, now())
        more = f" and {sum(left.unknown.values())} steps of unknown length" if left.unknown else ""
        return f"{clock(left.seconds)} left{more}"

    def _table(self, state: SweepState) -> Table:
        from rich.markup import escape
        from rich.table import Table

        from edgebench.records.terminal import printable

        found = [(cell, cell.state(state.outcomes)) for cell in self._matrix.cells]
        counts = {name: sum(_of(outcome) == name for _, outcome in found) for name in ORDER}
        title = f"{counts['ok']} of {len(found)} cells done, {counts['failed']} failed; {self._left(state)}"
        table = Table(*COLUMNS, "state", title=escape(title), title_justify="left", header_style="bold", pad_edge=False)
        room = max(3, shutil.get_terminal_size().lines - 8)
        rows = sorted(found, key=lambda pair: ORDER[_of(pair[1])]) if len(found) > room else found
        for cell, outcome in rows[:room]:
            style = {"failed": "red", "ok": "green", "running": "bold"}.get(_of(outcome), "dim")
            names = [str(getattr(cell, name)) for name in COLUMNS]
            told = self._state(cell, outcome)
            table.add_row(*(escape(printable(text)) for text in (*names, told)), style=style)
        if len(rows) > room:
            table.caption = f"and {len(rows) - room} more cells"
        return table

    def _state(self, cell: Cell, outcome: StepOutcome | None) -> str:
        if outcome is None:
            return "waiting"
        if outcome.status == "running":
            phase = self._kept.phase(outcome.step.identity)
            return f"{DOING[outcome.step.kind]}{f': {phase}' if phase else ''}"
        if outcome.status != "ok":
            return f"{outcome.status}: {_first_line(outcome.message)}"
        identity = outcome.step.identity
        if identity not in self._figures:
            self._figures[identity] = _figures(*self._results(cell, outcome))
        return self._figures[identity]

    def _results(self, cell: Cell, outcome: StepOutcome) -> tuple[Result, float | None]:
        accuracy = None
        for step in cell.steps[:-1]:
            if step.kind == "evaluate" and (before := self._kept.read(step.identity)) and before.path:
                evaluation = self._kept.result(before).evaluation
                accuracy = evaluation.accuracy if evaluation else None
        return self._kept.result(outcome), accuracy


def _of(outcome: StepOutcome | None) -> str:
    if outcome is None:
        return "waiting"
    return outcome.status if outcome.status in ("ok", "running") else "failed"


def _figures(result: Result, accuracy: float | None) -> str:
    from edgebench.report.headline import headline

    return headline(result).partition(" (")[0] + ("" if accuracy is None else f", accuracy {accuracy:.2%}")


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0]


def failures(matrix: Matrix, outcomes: Mapping[str, StepOutcome]) -> Sequence[str]:
    """A sentence for each failed step of the sweep, with the cells that failed with it."""
    causes: dict[str, list[str]] = {}
    for cell in matrix.cells:
        ending = cell.state(outcomes)
        if ending is not None and ending.status not in ("ok", "running"):
            name = f"{cell.whose}, {cell.target} {cell.precision} on {cell.runtime}"
            causes.setdefault(f"{ending.status}: {ending.message}", []).append(name)
    return [
        f"{why}\n  in {', '.join(cells[:3])}{f' and {len(cells) - 3} more cells' if len(cells) > 3 else ''}"
        for why, cells in causes.items()
    ]
