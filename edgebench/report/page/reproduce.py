"""The commands that make a result again, starting from the images, quoted for a shell."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Sequence

from edgebench.adopting import preprocessing
from edgebench.artifact import REFERENCE
from edgebench.machine.scenario_registry import asked_by, find
from edgebench.records.options import flag, options_of
from edgebench.records.recipe import TrainConfig
from edgebench.records.result import Result
from edgebench.specs import Artifact, Training

# A checkpoint records where and how fast it ran; these differ on another machine.
ELSEWHERE = ("data_dir", "threads")


def commands(result: Result) -> str:
    """One line each: train, export (unless the checkpoint itself was measured), run. An adopted model: adopt, run."""
    made = result.artifact
    if made.adopted:
        measured = there = "repeat/adopted"
        lines = [("adopt", *_adopted(made), "--out", there)]
        if made.origin:
            measured = f"repeat/{made.format}"
            kept = ["--precision", made.precision] * (made.precision != "fp32")
            kept += ["--calibration", "CALIBRATION"] * bool(made.adopted.calibrated)
            lines.append(("export", there, "--target", made.format, *kept, "--out", measured))
        return _lines([*lines, ("run", measured, *_asked(result))])
    lines = [("train", *_recipe(_explicit(made.training)), "--out", "repeat/checkpoint")]
    measured = "repeat/checkpoint"
    if made.format != "checkpoint":
        measured = f"repeat/{made.format}"
        kept = ["--precision", made.precision] * (made.precision != "fp32")
        kept += ["--input", made.input_type] * (made.input_type != "float32")
        lines.append(("export", "repeat/checkpoint", "--target", made.format, *kept, "--out", measured))
    lines.append(("run", measured, *_asked(result)))
    return _lines(lines)


def _lines(found: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(" ".join(map(quote, ("edgebench", *line))) for line in found)


def _adopted(made: Artifact) -> Iterator[str]:
    """The file and the options of `edgebench adopt`; of inputs that were given, the files are not known."""
    named = made.adopted.file == f"timm:{made.adopted.network}"  # which has its own preprocessing
    yield made.adopted.file
    if made.adopted.network and not named:
        yield from ("--model", made.adopted.network)
    yield from ("--name", made.model.name)
    if made.preprocessing and not named:
        yield from ("--preprocess", preprocessing.told(made.preprocessing))
    if made.adopted.inputs == "given":
        yield from ("--inputs", "INPUTS.npz")
        return
    if made.adopted.inputs == "images":
        yield from ("--inputs", "PICTURES")
    for spec in made.inputs:
        if spec.sizes != spec.shape or made.model.origin == "file":  # a function's network says no sizes itself
            yield from ("--shape", f"{spec.name}={'x'.join(map(str, spec.sizes))}")
    yield from ("--seed", str(made.adopted.seed))


def remarks(result: Result) -> Iterator[str]:
    """What the commands alone cannot repeat."""
    if made := result.artifact.adopted:
        weights = [name for name in result.artifact.files if name != REFERENCE]  # whose file has a name of ours
        for name in () if result.artifact.origin else weights if made.network else (made.file,):
            yield f"The file {name} had the SHA-256 {result.artifact.files.get(name, 'that is not known')}."
        if result.artifact.model.origin == "file":
            yield f"The network's file had the SHA-256 {result.artifact.model.file_sha256}."
        if made.calibrated:
            yield f"int8 was calibrated on {made.calibrated} requests of the user's: give the same with --calibration."
        if made.inputs != "synthetic":
            yield "The inputs were the user's own: give the same files with --inputs."
        return
    config = result.artifact.training.config
    if config.data_dir:
        yield f"The images of {config.dataset} were in {config.data_dir}: give your folder with --data-dir."
    began = result.artifact.training.beginning
    if began and began.learned:
        yield f"The weights that it began with, {began.title}, had the SHA-256 {began.sha256}."
    if result.artifact.model.origin == "file":
        yield f"The network's file had the SHA-256 {result.artifact.model.file_sha256}."
    if result.artifact.precision == "int8":
        yield "The --calibration-images and --accuracy-drop of the int8 calibration were not recorded."
    if result.artifact.training.interrupted:
        yield "The training was interrupted, so training again as a whole gives another checkpoint."


def quote(word: str) -> str:
    """A word for a POSIX shell; unprintable characters are escaped in Bash's $'…'."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(c if c.isprintable() and c not in "\\'" else f"\\U{ord(c):08x}" for c in word) + "'"


def _explicit(training: Training) -> TrainConfig:
    """The recipe, with what `--init auto` became."""
    began = training.beginning
    if training.config.init != "auto" or began is None:
        return training.config
    how = {"random": "random", "file": began.path, "cache": "pretrained", "hub": "pretrained"}[began.source]
    return dataclasses.replace(training.config, init=how)


def _recipe(config: TrainConfig) -> Iterator[str]:
    """The options of `edgebench train` that are not its defaults."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default or value is None or field.name in ELSEWHERE:
            continue
        if isinstance(value, bool):
            yield flag(field.name) if value else f"--no-{flag(field.name)[2:]}"
        else:
            yield f"{flag(field.name)}={value}"


def _asked(result: Result) -> Iterator[str]:
    """The options of `edgebench run` that the job records, with as many launches as were made."""
    job = result.job
    given: dict[str, object] = {"--runtime": job.runtime, "--device": job.device, "--compute": job.compute}
    given |= {"--threads": job.threads, "--scenario": job.scenario, "--batch": job.batch}
    given["--warmup"] = f"{job.warmup_s:g}"
    scenario, own = find(job.scenario), asked_by(job)
    if not scenario.own_length:
        given["--duration"] = f"{job.duration_s:g}"
    if job.streams > 1:
        given["--streams"] = job.streams
    flags = {each.key: each.flag for each in options_of(scenario.options)}  # in the order of the help
    given |= {flags.get(key, flag(key)): _number(own[key]) for key in sorted(own, key=[*flags, *own].index)}
    given |= {"--launches": max(1, len(result.launches)), "--precision-target": 0}
    for name, value in given.items():
        if isinstance(value, bool):
            yield name if value else f"--no-{name[2:]}"
        elif value is not None:
            yield from (name, str(value))
    for name, value in job.options.items():
        yield from ("--runtime-option", f"{name}={value}")
    yield from ["--strict"] * job.strict + ["--unverified"] * job.unverified


def _number(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value
