"""The limits of a choice, one for each limit in the table of figures, and the criteria that decide."""

from __future__ import annotations

import dataclasses
import inspect
import math
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from edgebench.errors import UsageError
from edgebench.records.options import flag
from edgebench.results.figures import LIMITS

Prefer = Literal["accuracy", "latency", "energy", "size"]
# By preference, the criteria in the order in which they decide: the next one decides among ties.
ORDER = {best: (best, *(n for n in typing.get_args(Prefer) if n != best)) for best in typing.get_args(Prefer)}
Function = TypeVar("Function", bound=Callable[..., Any])


def _check(self: Limits) -> None:
    """Raise UsageError for an impossible limit, such as a negative one or an accuracy above 1."""
    for name, bound in self.given().items():
        limit = LIMITS[name].limit
        if not (math.isfinite(bound) and bound > 0):
            raise UsageError(f"{flag(name)} is {bound:g}", f"give a positive number: {limit.unit}")
        if bound > limit.most:
            percent = f": {bound / 100:g} for {bound:g} %" if bound <= 100 else ""
            raise UsageError(
                f"{flag(name)} is {bound:g}", f"{LIMITS[name].name} is a share between 0 and {limit.most:g}{percent}"
            )


def _given(self: Limits) -> dict[str, float]:
    """The limits that are set, by name."""
    return {name: bound for name in LIMITS if (bound := getattr(self, name)) is not None}


Limits = dataclasses.make_dataclass(
    "Limits", [(name, float | None, dataclasses.field(default=None)) for name in LIMITS], frozen=True, kw_only=True,
    namespace={
        "__doc__": """What a choice must keep within: a field for each limit of the table of figures, None where there
        is no limit. 1 MB is 10⁶ bytes; accuracy is a share in (0, 1].

        Latency is that of a request; accuracy is the exported artifact's own on its runtime, over the whole test split.
        """,
        "__module__": __name__, "check": _check, "given": _given,
    },
)  # fmt: skip


def highest_percentile(limits: Limits) -> float | None:
    """The highest percentile of the latency that has a limit, as a share."""
    columns = (LIMITS[name].column for name in limits.given())
    return max((column.percentile for column in columns if column.percentile), default=None)


def documented(function: Function) -> Function:
    """Decorates a function that takes `**limits`: puts each limit into its signature and its docstring."""
    signature = inspect.signature(function)
    kept = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    by_name = inspect.Parameter.KEYWORD_ONLY
    limits = [inspect.Parameter(name, by_name, default=None, annotation="float | None") for name in LIMITS]
    function.__signature__ = signature.replace(parameters=[*kept, *limits])
    lines = [f"    {name}: {criterion.limit.help}" for name, criterion in LIMITS.items()]
    function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__), "", "Limits:", *lines])
    return function
