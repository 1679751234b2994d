"""The errors that a user can meet. Each says what is wrong and how to fix it, and has an exit code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import click

from edgebench.records.terminal import printable

FARTHER = 0.15  # a name that is so much less alike than the closest one is not meant


class EdgebenchError(click.ClickException):
    """A foreseen failure, shown as one message, never as a traceback (exit code 1).

    `message` says what is wrong and where, `fix` what the user can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix

    def __str__(self) -> str:
        return printable(f"{self.message}\n  fix: {self.fix}" if self.fix else self.message)

    def format_message(self) -> str:
        return str(self)


class UsageError(EdgebenchError):
    """The request itself is wrong: an unknown name, an impossible number (exit code 2)."""

    exit_code = 2


class Unsupported(EdgebenchError):
    """This machine, runtime or version cannot do it. A measurement that fails with it has status `unsupported`."""


class OutOfMemory(EdgebenchError):
    """The device has no memory left. A measurement that fails with it has status `out_of_memory`."""


class BadFile(EdgebenchError):
    """A file or folder of the user is missing, damaged or not of the right kind."""


class NewerFile(BadFile):
    """A file that a newer edgebench wrote. It is not damaged, so nothing may replace it."""


class VerificationFailed(EdgebenchError):
    """An artifact opened, but its answers differ from the checkpoint's."""


def positive(option: str, value: float, unit: str = "number of seconds") -> None:
    """Raise UsageError unless `value` is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{option} is {value:g}", f"give a positive {unit}")


def refuse_unknown_options(adapter: str, given: Iterable[str], known: Iterable[str] = ()) -> None:
    """Raise UsageError for an option that the adapter does not have: ignoring it would mislead the user."""
    known = list(known)
    for key in given:
        if key not in known:
            fix = f"it has {', '.join(known)}" if known else "drop it: it has none"
            raise UsageError(f"{adapter} has no option {key!r}", fix)


def one_of(adapter: str, given: Mapping[str, str], key: str, values: Sequence[str]) -> str:
    """The value of an adapter's option; the first of `values` if it is not given. Raises UsageError for another one."""
    if (value := given.get(key, values[0])) not in values:
        raise UsageError(f"{adapter}'s option {key} is {value!r}", f"{key}={' or '.join(values)}")
    return value


def unknown_name(
    kind: str, name: str, known: Iterable[str], where: str = "", aliases: Mapping[str, str] = MappingProxyType({})
) -> UsageError:
    """A UsageError that offers the closest known names. `where` names the command that lists them all; `aliases` are
    other words for known names, which are offered in their place."""
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), [*known, *aliases], n=3, cutoff=0.5)
    alike = [difflib.SequenceMatcher(None, other, name.lower()).ratio() for other in close]
    close = [aliases.get(other, other) for other, ratio in zip(close, alike, strict=True) if ratio > alike[0] - FARTHER]
    close = list(dict.fromkeys(close)) or [other for other in known if name.lower() in other][:3]
    if close:
        fix = f"did you mean {' or '.join(close)}?"
    else:
        fix = f"choose one of {', '.join(known)}" if 0 < len(known) <= 20 else ""
    if where:
        fix = f"{fix} {where} lists all" if fix else f"{where} lists all"
    return UsageError(f"unknown {kind} {name!r}", fix)
