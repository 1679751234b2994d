"""The scripts of findings/ have the form that its README asks for, and their runner tells what became of each.

They themselves need a network, and are not run here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

FOLDER = REPOSITORY / "findings"
SCRIPTS = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")
SAID = ("Installs", "Runs", "Expected", "Fails if", "Seen")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_finding_has_its_form(script: Path) -> None:
    assert os.access(script, os.X_OK) and script.suffix == ".sh", "an executable Bash program"
    first, *lines = script.read_text().splitlines()
    assert first == "#!/usr/bin/env bash"
    head = lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))]
    assert re.match(r"# .+\.$", head[0]) and head[1] == "#", "one sentence says what is found"
    said = [found[1] for line in head if (found := re.match(rf"# ({'|'.join(SAID)}):", line))]
    assert said == [*SAID]
    (packages,) = (line.removeprefix("# Installs: ").split() for line in head if line.startswith("# Installs: "))
    assert packages and all(re.fullmatch(r"[A-Za-z0-9_.-]+==\d[\w.]*", package) for package in packages)
    assert re.match(r"# Seen: \d{4}-\d\d-\d\d, ", next(line for line in head if line.startswith("# Seen:")))
    assert head[-1].startswith("#   "), "the output, line by line"
    body = "\n".join(lines[len(head) :])
    assert "edgebench" not in body and "mktemp -d" in body and "trap 'rm -rf" in body and "exit 3" in body
    assert not re.search(r"https?://", body), "packages come from where pip is set up to look"
    assert f"`{script.name}`" in (FOLDER / "README.md").read_text()


def test_the_runner_tells_what_became_of_each(tmp_path: Path) -> None:
    for name, code in (("still", 0), ("gone", 1), ("offline", 3), ("broken", 7)):
        (tmp_path / f"{name}.sh").write_text(f"#!/bin/sh\necho it is {name}\nexit {code}\n")
        (tmp_path / f"{name}.sh").chmod(0o755)

    def run(*names: str) -> subprocess.CompletedProcess[str]:
        paths = [str(tmp_path / f"{name}.sh") for name in names]
        command = [sys.executable, str(REPOSITORY / "scripts" / "findings"), *paths]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    done = run("still", "gone", "offline", "broken")
    told = dict(re.findall(r"^(\w+) +(\S.*?)  +\d+ s$", done.stdout, re.MULTILINE))
    assert told == {"still": "same", "gone": "changed", "offline": "could not install", "broken": "exit code 7"}
    assert done.returncode == 1 and "    it is gone" in done.stdout and "it is still" not in done.stdout
    assert run("still").returncode == 0
    refused = run("missing")
    assert refused.returncode == 2 and "openvino_int64" in refused.stderr
