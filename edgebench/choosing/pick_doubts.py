"""What speaks against the answer of a pick, in sentences: what was left out, never timed, not counted or disturbed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgebench.choosing.decision import Decision
from edgebench.choosing.ready_pick import ReadyPick
from edgebench.machine.scenario_registry import find
from edgebench.records.result import Result


def of(
    decision: Decision, ready: ReadyPick, results: Sequence[Result], left_out: Mapping[str, str], told: Sequence[str]
) -> list[str]:  # fmt: skip
    """The sentences, for the notes of the decision. `told`: those that the pick told while it worked."""
    return [
        *_chosen(decision, results), *([ready.site.notice] if ready.site.notice else []),
        *_untimed(decision, ready, results), *told, *_left_out("left out", left_out),
        *without_weights(ready.unavailable),
    ]  # fmt: skip


def uncounted(decision: Decision) -> str:
    """A sentence where the answers of what was chosen were never counted, and so nothing is known of its accuracy."""
    if decision.chosen is None or decision.chosen.row.deployed_accuracy is not None:
        return ""
    return (
        "the accuracy of what was chosen was not counted before the time was over: `edgebench evaluate` counts it, or "
        "the same command goes on with a longer --budget"
    )


def _chosen(decision: Decision, results: Sequence[Result]) -> Iterator[str]:
    if (chosen := decision.chosen) is None:
        return
    if missing := uncounted(decision):
        yield missing
    for result in results:
        same = result.created == chosen.row.created and result.job.artifact == chosen.row.artifact
        if same and result.job.runtime == chosen.row.runtime:
            yield from (f"when it was measured: {each.message} (next: {each.remedy})" for each in result.notices)


def _untimed(decision: Decision, ready: ReadyPick, results: Sequence[Result]) -> Iterator[str]:
    """The runtimes on which what was chosen was never timed, each with the reason."""
    yield from (f"{name} was not timed: {why}" for name, why in ready.untimed.items())
    if decision.chosen is None:
        return
    network = decision.chosen.row.network
    ours = [
        result for result in results
        if network == (result.artifact.origin or result.job.artifact) and find(result.job.scenario).timed
    ]  # fmt: skip
    for name in ready.asked.runtimes:
        found = [result for result in ours if result.job.runtime == name]
        if not any(result.status == "ok" for result in found):
            why = f"{found[-1].status}: {found[-1].message}" if found else "no time was left for it"
            yield f"what was chosen was not timed on {name}: {why}"


def without_weights(unavailable: Mapping[str, str]) -> Iterator[str]:
    """Which networks are no candidates, in one line, with the reason of the first: the others' are of the same kind."""
    for model, why in list(unavailable.items())[:1]:
        yield f"left out, because their weights cannot be had: {', '.join(unavailable)} ({model}: {why})"


def _left_out(what: str, models: Mapping[str, str]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for model, why in models.items():
        reasons.setdefault(why, []).append(model)
    yield from (f"{what}: {', '.join(found)}: {why}" for why, found in reasons.items())
