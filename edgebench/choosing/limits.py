"""The limits of a choice, one for each limit in the table of figures, and the criteria that decide."""

from __future__ import annotations

import dataclasses
import inspect
import math
import shlex
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from edgebench.errors import UsageError, unknown_name
from edgebench.records.options import flag
from edgebench.results.columns import Criterion
from edgebench.results.figures import LIMITS
from edgebench.results.recalls import BY_CLASS, RECALL

Prefer = Literal["accuracy", "latency", "energy", "size"]
# By preference, the criteria in the order in which they decide: the next one decides among ties.
ORDER = {best: (best, *(n for n in typing.get_args(Prefer) if n != best)) for best in typing.get_args(Prefer)}
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Bound:
    """A limit that is set. `name`: in the table of figures; `of`: the class that it is about, if it is about one."""

    name: str
    value: float
    of: str = ""

    @property
    def criterion(self) -> Criterion:
        return (LIMITS | BY_CLASS)[self.name]

    @property
    def told(self) -> str:
        """As an option: "--max-p99-ms 20", "--min-class-recall defect=0.95"."""
        value = shlex.quote(f"{self.of}={self.value:g}") if self.name in BY_CLASS else f"{self.value:g}"
        return f"{flag(self.name)} {value}"


def _check(self: Limits) -> None:
    """Raise UsageError for an impossible limit, such as a negative one or an accuracy above 1."""
    if not isinstance(self.min_class_recall, dict):
        raise UsageError(
            f"--min-class-recall is {self.min_class_recall!r}, not a limit for each class",
            'give a positive number for each class: {"defect": 0.95}',
        )
    for bound in self.bounds():
        limit, value = bound.criterion.limit, bound.value
        said = f"{flag(bound.name)}{f' of {bound.of!r}' if bound.name in BY_CLASS else ''} is {value:g}"
        if not (math.isfinite(value) and value > 0):
            raise UsageError(said, f"give a positive number: {limit.unit}")
        if value > limit.most:
            percent = f": {value / 100:g} for {value:g} %" if value <= 100 else ""
            raise UsageError(said, f"{bound.criterion.name} is a share between 0 and {limit.most:g}{percent}")


def _given(self: Limits) -> dict[str, float]:
    """The limits of a single number that are set, by name."""
    return {name: bound for name in LIMITS if (bound := getattr(self, name)) is not None}


def _bounds(self: Limits) -> list[Bound]:
    """All limits that are set, in the order of the table."""
    by_class = (Bound(RECALL.limit.name, value, name) for name, value in self.min_class_recall.items())
    return [*(Bound(name, value) for name, value in self.given().items()), *by_class]


Limits = dataclasses.make_dataclass(
    "Limits",
    [
        *((name, float | None, dataclasses.field(default=None)) for name in LIMITS),
        *((name, dict[str, float], dataclasses.field(default_factory=dict)) for name in BY_CLASS),
    ],
    frozen=True, kw_only=True,
    namespace={
        "__doc__": """What a choice must keep within: a field for each limit of the table of figures, None where there
        is no limit. 1 MB is 10⁶ bytes; accuracy is a share in (0, 1]; `min_class_recall` has a share by class.

        Latency is that of a request; accuracy is the exported artifact's own on its runtime, over the whole test split.
        """,
        "__module__": __name__, "check": _check, "given": _given, "bounds": _bounds,
    },
)  # fmt: skip


def read_recalls(option: str, given: Sequence[str]) -> dict[str, float]:
    """The limits of `--min-class-recall NAME=SHARE`, by class. A name may hold "=" itself: the last one counts."""
    found: dict[str, float] = {}
    for item in given:
        name, separator, text = item.rpartition("=")
        try:
            share = float(text)
        except ValueError:
            separator, share = "", 0.0
        if not (separator and name):
            raise UsageError(f"{option} {item!r} is not CLASS=SHARE", "for example defect=0.95")
        if name in found:
            raise UsageError(f"{option} names the class {name!r} twice", "give each class once")
        found[name] = share
    return found


def known_classes(limits: Limits, classes: Sequence[str]) -> None:
    """Raise UsageError for a limit on a class that is not among `classes`."""
    for name in limits.min_class_recall:
        if name not in classes:
            raise unknown_name("class for --min-class-recall", name, classes)


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
    limits += [inspect.Parameter(name, by_name, default={}, annotation="dict[str, float]") for name in BY_CLASS]
    function.__signature__ = signature.replace(parameters=[*kept, *limits])
    lines = [f"    {name}: {criterion.limit.help}" for name, criterion in (LIMITS | BY_CLASS).items()]
    function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__), "", "Limits:", *lines])
    return function
