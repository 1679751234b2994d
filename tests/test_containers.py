"""The container files: what a linter for them would say, and that everything which they name is in the repository."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

from edgebench.cli import COMMANDS

FILES = sorted((REPOSITORY / "containers").glob("*.Dockerfile"))
KNOWN = {"FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
SENT = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def steps(text: str) -> list[tuple[str, str]]:
    """The instructions of a container file, each with what follows it, on one line."""
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], " ".join(line.split()[1:])) for line in lines if line.strip()]


def faults(text: str) -> list[str]:
    """What hadolint would say of it, by the rules that matter here."""
    found, user = [], "root"
    for n, (step, what) in enumerate(steps(text)):
        if step not in KNOWN:
            found.append(f"unknown instruction {step}")
        if (step == "FROM") != (n == 0):
            found.append("FROM comes first, and once")
        if step == "FROM" and not re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", what):
            found.append(f"no version of {what}")
        if step == "RUN":
            if subprocess.run(["sh", "-n", "-c", what], capture_output=True).returncode:
                found.append(f"the shell does not read: {what}")
            if "apt-get" in what and not (
                what.startswith("apt-get update &&") and what.endswith("rm -rf /var/lib/apt/lists/*")
                and "install --yes --no-install-recommends" in what
            ):  # fmt: skip
                found.append("apt-get without its update, its cleaning, or what it must not bring")
            if "pip install" in what and ("--no-cache-dir" not in what or "--constraint" not in what):
                found.append("pip keeps its cache, or takes any versions")
            if "sudo" in what or "curl" in what:
                found.append("sudo or a download without a hash")
        if step in ("ENTRYPOINT", "CMD") and not isinstance(json.loads(what), list):
            found.append(f"{step} through a shell, which keeps signals from the program")
        if step == "WORKDIR" and not what.startswith("/"):
            found.append("WORKDIR is relative")
        user = what if step == "USER" else user
    return found + ["it runs as root"] * (user == "root")


def test_there_is_one_for_each_kind_of_machine() -> None:
    assert [path.stem for path in FILES] == ["arm64", "jetpack", "x86"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_container_file_is_sound_and_names_what_there_is(path: Path) -> None:
    text = path.read_text()
    assert faults(text) == []
    project = (REPOSITORY / "pyproject.toml").read_text()
    for named in re.findall(r"/opt/edgebench(?:/([\w./]+))?(?:\[([\w,-]+)\])?", text):
        inside, extras = named
        assert not inside or (inside in SENT and (REPOSITORY / inside).is_file()), inside
        for extra in filter(None, extras.split(",")):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    commands = [shlex.split(line[1:]) for line in text.splitlines() if line.startswith("#   docker")]
    built, ran = commands
    assert built[:2] == ["docker", "build"] and built[built.index("-f") + 1] == f"containers/{path.name}"
    image = built[built.index("-t") + 1]
    assert ran[ran.index(image) + 1] in COMMANDS
    assert "--ipc=host" in ran and "/tmp:/tmp" in ran, "measurements wait for each other by locks there"


def test_what_is_sent_to_a_build_is_the_package_and_nothing_else() -> None:
    assert all((REPOSITORY / name).exists() for name in SENT)
    built = re.findall(r'^"edgebench[\w.]*" = "([\w]+)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert {*built} <= {*SENT} and not {"runs", "tests", ".git"} & {*SENT}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("python:3.11-slim-bookworm", "python", "no version"),
        ("python:3.11-slim-bookworm", "python:latest", "no version"),
        ("USER robot", "USER root", "as root"),
        ("--no-cache-dir", "", "keeps its cache"),
        ("apt-get update", "true", "apt-get without"),
        ('["edgebench"]', '"edgebench"', "keeps signals"),
        ("&& rm", "&& (rm", "does not read"),
    ],
)
def test_each_rule_finds_its_fault(old: str, new: str, says: str) -> None:
    text = (REPOSITORY / "containers" / "x86.Dockerfile").read_text()
    assert old in text and any(says in fault for fault in faults(text.replace(old, new)))
