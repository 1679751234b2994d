"""What a board may say to a desk, by type: each answer is decoded, and anything else ends the conversation."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from edgebench.errors import BadFile, EdgebenchError
from edgebench.records.declared import Amount, Count, Sha256, Sized, Within
from edgebench.records.decoding import decode

LARGEST_RESULT = 1 << 28
Answer = TypeVar("Answer")
Words = Annotated[str, Sized(0, 10_000)]


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The greeting of the agent: its version and the digest of its code."""

    edgebench: Annotated[str, Sized(1, 100)]
    code: Annotated[str, Sized(0, 100)] = ""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request failed."""

    error: Words
    fix: Words = ""


@dataclass(frozen=True)
class Nothing:
    """It is done."""


@dataclass(frozen=True)
class Lacks:
    """The files that have to be sent."""

    lacks: tuple[Sha256, ...]


@dataclass(frozen=True)
class Started:
    """Whether the job was here already."""

    known: bool


@dataclass(frozen=True)
class Done:
    """What was done, in words."""

    done: Words


@dataclass(frozen=True)
class RuntimesTried:
    """The fault of each runtime, "" if it works."""

    probes: dict[str, Words]


@dataclass(frozen=True)
class Ended:
    """How a job ended; None if something killed it."""

    exit_code: Annotated[int, Within(-255, 255)] | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """News of a job; none of it is a sign of life. `result`: as many bytes of one follow, which began `age_s` ago.
    `at`: positions in its files, from which to go on after a lost link."""

    status: Words | None = None
    line: str | None = None
    result: Annotated[int, Within(0, LARGEST_RESULT)] | None = None
    age_s: Amount = 0.0
    ended: Ended | None = None
    at: dict[str, Count] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BoardFacts:
    """What the installer saw. `before`: what was set up there, as the desk asked for it."""

    python: Words
    machine: Words
    cuda: Words | None = None
    l4t: Words | None = None
    device_tree: tuple[Words, ...] = ()
    modules: tuple[Words, ...] = ()
    before: dict[str, Any] | None = None
    free_bytes: Count = 0


@dataclass(frozen=True, kw_only=True)
class Installing:
    """What the installer says, and at the end the facts or that it is done."""

    say: Words | None = None
    facts: BoardFacts | None = None
    done: dict[str, Any] | None = None


def heard(kind: type[Answer], line: bytes, board: str) -> Answer | Refusal:
    """The answer in a line. Raises EdgebenchError for what is none."""
    try:
        found = json.loads(line.decode())
        if isinstance(found, dict) and "error" in found:
            return decode(Refusal, found, "its answer")
        if kind is Hello and isinstance(found, dict):  # that of another version may tell more
            found = {each.name: found[each.name] for each in dataclasses.fields(Hello) if each.name in found}
        return decode(kind, found, "its answer")
    except BadFile as error:
        raise EdgebenchError(f"{board}: {error.message}", "is it the right board?") from None
    except (ValueError, RecursionError) as error:
        raise EdgebenchError(f"{board}: its answer is not JSON: {error}", "is it the right board?") from None
