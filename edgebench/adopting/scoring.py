"""`python -m edgebench.adopting.scoring ASKED.json ANSWER.json`: a user's function judges answers, in its own process.

The function is trusted since the user named it. What it prints goes where other runtimes print; it gets no terminal.
"""

from __future__ import annotations

import math
import numbers
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.machine.children import Child, end_with_parent
from edgebench.measuring import judging, testset
from edgebench.records import digests, jsonio, replacing, user_functions
from edgebench.records.answers import Score
from edgebench.records.result import Result

LIMIT_S = 3600.0
EXAMPLE = "def score(answers, pictures): … return a number, or a dict of numbers by name"


@dataclass(frozen=True, kw_only=True)
class ToScore:
    """What to score: the function, the file of the answers, the names of the outputs and of the pictures. Without
    answers, the function is only loaded."""

    function: str
    answers: str = ""
    outputs: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The figures by name, or what is wrong and how to mend it."""

    figures: dict[str, float] | None = None
    error: str = ""
    fix: str = ""


def split(function: str) -> tuple[Path, str]:
    """The file and the name of FILE.py:NAME. Raises UsageError, or BadFile if there is no such file."""
    file, name = user_functions.split(function, "metric.py:score")
    user_functions.read(file)
    return file, name


def check(function: str) -> None:
    """Raise UsageError now, and not after all answers, if there is no such function or its file cannot be loaded."""
    file, name = split(function)
    told = _asked(ToScore(function=f"{file.resolve()}:{name}"))
    if told.error:
        raise UsageError(told.error, told.fix)


def add(result: Result, images: Path, answers: Path, function: str) -> Result:
    """The result with what the function makes of the answers; failed, with the reason, if it fails."""
    file, name = split(function)
    with testset.opened(images, result.artifact) as test:
        facts = test.facts
    outputs = tuple(spec.name for spec in result.artifact.outputs)
    asked = ToScore(function=f"{file.resolve()}:{name}", answers=str(answers), outputs=outputs, pictures=facts.pictures)
    digest = digests.of_file(file)
    told = _asked(asked)
    if told.figures is None:
        return replace(result, status="failed", message=f"{told.error}\n  fix: {told.fix}")
    score = Score(
        function=f"{file.name}:{name}", file_sha256=digest, images=len(facts.pictures), figures=told.figures,
        test=judging.pictures(facts),
    )  # fmt: skip
    return replace(result, score=score)


def _asked(asked: ToScore) -> Scored:
    with replacing.scratch() as exchange:
        asked_file, answer_file = Path(exchange, "asked.json"), Path(exchange, "answer.json")
        jsonio.write(asked_file, asked)
        command = [sys.executable, "-m", "edgebench.adopting.scoring", str(asked_file), str(answer_file)]
        ending = Child(command).wait(time_limit_s=LIMIT_S)
        try:
            return jsonio.read(Scored, answer_file)
        except BadFile:
            return Scored(error=f"{asked.function}: its process {ending.how}: {ending.last_line}", fix="correct it")


def scored(asked: ToScore) -> dict[str, float]:
    """Call the function. Raises UsageError, with the line of the user's file, for whatever goes wrong in it."""
    path, name = split(asked.function)
    sys.path.insert(0, str(path.parent))  # what lies beside it can be imported
    function = user_functions.load(path, name, user_functions.read(path))
    if not asked.answers:
        return {}
    answers = judging.answers_in(Path(asked.answers), asked.outputs, len(asked.pictures))
    try:
        found = function(answers, list(asked.pictures))
    except (Exception, SystemExit) as error:  # the user's function can raise anything
        raise UsageError(f"{path}:{name} fails: {user_functions.told(error, path)}", "correct it") from None
    figures = found if isinstance(found, dict) else {name: found}
    line = f"{path}, line {function.__code__.co_firstlineno}" if hasattr(function, "__code__") else str(path)
    if not figures or not all(isinstance(key, str) and key for key in figures):
        raise UsageError(f"{line}: {name} returns a dict without names: {str(found)[:80]}", EXAMPLE)
    for key, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            kind = type(value).__name__
            raise UsageError(f"{line}: {name} returns {kind} {'for ' + repr(key) if found is figures else ''}", EXAMPLE)
        if not math.isfinite(value):
            raise UsageError(f"{line}: {name} returns {float(value)} for {key!r}", "return a finite number")
    return {key: float(value) for key, value in figures.items()}


def main(arguments: list[str]) -> None:
    end_with_parent()
    asked_file, answer_file = map(Path, arguments)
    try:
        answer = Scored(figures=scored(jsonio.read(ToScore, asked_file)))
    except EdgebenchError as error:
        answer = Scored(error=error.message, fix=error.fix)
    except MemoryError:
        answer = Scored(error="the answers need more memory than there is", fix="score fewer pictures")
    jsonio.write(answer_file, answer)


if __name__ == "__main__":
    main(sys.argv[1:])
