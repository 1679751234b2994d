"""The composite action: its steps run in bash with stand-ins of edgebench and gh, and the comment is written once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY
from test_docs import check_command_line

ACTION = REPOSITORY / "action.yml"
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
STEPS = {step["name"]: step for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"]}
# Tells what it was called with, and writes the file that --out names.
EDGEBENCH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$LOG"
while [ $# -gt 0 ]; do if [ "$1" = --out ]; then echo "table of $0" > "$2"; fi; shift; done
exit ${CODE:-0}
"""
# The comments of a pull request in a file: a list that is read, a comment that is made or changed.
GH = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
file, words = Path(os.environ["COMMENTS"]), sys.argv[1:]
known = json.loads(file.read_text()) if file.exists() else []
if "--jq" in words:
    marker = words[words.index("--jq") + 1].split('"')[1]
    print("\\n".join(str(n) for n, body in enumerate(known) if body.startswith(marker)))
else:
    assert os.environ["GH_TOKEN"] == "secret"
    body = Path(words[-1].removeprefix("body=@")).read_text()
    if "PATCH" in words:
        known[int(words[3].split("/")[-1])] = body
    else:
        known.append(body)
    file.write_text(json.dumps(known))
"""


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name, text in (("edgebench", EDGEBENCH), ("gh", GH)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "models").mkdir()
    for name in ("a.onnx", "b b.onnx"):
        (tmp_path / "models" / name).touch()
    return tmp_path


def step(runner: Path, name: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one step as GitHub does: bash -e -o pipefail, with its variables."""
    assert set(env) - {"CODE"} <= set(STEPS[name]["env"])
    told = {
        "PATH": f"{runner / 'bin'}:{os.environ['PATH']}", "RUNNER_TEMP": str(runner),
        "GITHUB_ACTION_PATH": str(REPOSITORY), "GITHUB_PATH": str(runner / "path"), "LOG": str(runner / "log"),
        "GITHUB_OUTPUT": str(runner / "output"), "GITHUB_STEP_SUMMARY": str(runner / "summary"),
        "GITHUB_REPOSITORY": "o/r", "COMMENTS": str(runner / "comments.json"),
        **dict.fromkeys(STEPS[name]["env"], ""), **env,
    }  # fmt: skip
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", STEPS[name]["run"]], cwd=runner, env=told,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_what_pip_gets_is_this_commit_with_the_packages_and_its_commands_are_found(runner: Path) -> None:
    """A stand-in of Python makes an environment whose pip tells what it was called with."""
    python = """#!/usr/bin/env bash
[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin"
printf '#!/usr/bin/env bash\\nprintf "<%%s>" "$@" > "$LOG"\\n' > "$3/bin/pip" && chmod +x "$3/bin/pip"
"""
    (runner / "bin" / "python3").write_text(python)
    (runner / "bin" / "python3").chmod(0o755)
    done = step(runner, "Install", PACKAGE="onnxruntime  openvino>=2025")
    assert done.returncode == 0, done.stderr
    assert (runner / "log").read_text() == f"<install><--quiet><{REPOSITORY}><onnxruntime><openvino>=2025>"
    assert (runner / "path").read_text() == f"{runner}/edgebench/bin\n"
    assert STEPS["Install"]["if"] == "inputs.package != 'none'"


def test_models_are_measured_and_the_results_are_named(runner: Path) -> None:
    done = step(runner, "Measure", MODELS="models/*", DEVICE="cpu", LAUNCHES="9", WORKSPACE="runs")
    assert done.returncode == 0, done.stderr
    assert (runner / "log").read_text() == (
        "run models/a.onnx models/b b.onnx --device cpu --launches 9 --workspace runs\n"
    )
    assert (runner / "output").read_text() == "results=runs/results\n"
    nothing = step(runner, "Measure", MODELS="none/*", LAUNCHES="9", WORKSPACE="runs")
    assert nothing.returncode == 2 and "no file fits" in nothing.stdout


def test_the_comparison_decides_and_is_shown_even_if_it_fails(runner: Path) -> None:
    assert step(runner, "Compare", BASELINE="absent", WORKSPACE="runs").returncode == 0
    assert "no baseline" in (runner / "edgebench-compare.md").read_text()
    (runner / "base").mkdir()
    failed = step(runner, "Compare", BASELINE="base", FAIL_ON="slower", WORKSPACE="runs", CODE="1")
    assert failed.returncode == 1 and "table of" in (runner / "summary").read_text()
    assert "compare base runs/results --fail-on slower --format markdown" in (runner / "log").read_text()


def test_there_is_one_comment_for_each_device(runner: Path) -> None:
    step(runner, "Report", WORKSPACE="runs")
    for device in ("cpu", "jetson_orin", "cpu"):
        done = step(runner, "Tell the pull request", GH_TOKEN="secret", NUMBER="7", DEVICE=device)
        assert done.returncode == 0, done.stderr
    first, second = json.loads((runner / "comments.json").read_text())
    assert first.startswith("<!-- edgebench cpu -->") and second.startswith("<!-- edgebench jetson_orin -->")
    assert "the measurement failed" in first and "table of" in first


def test_no_input_is_code_and_the_command_lines_parse() -> None:
    """An expression in a script would be replaced by its text before bash reads it: all come in by variables."""
    for made in STEPS.values():
        assert "${{" not in made["run"]
        for line in re.findall(r"^ *(edgebench [^|\n]*)", made["run"], re.MULTILINE):
            check_command_line(ACTION, line.replace("${DEVICE:+", "").replace("${FAIL_ON:+", "").replace('"}', '"'))


def test_the_skill_names_commands_that_there_are() -> None:
    text = (REPOSITORY / "SKILL.md").read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["name"] == "edgebench" and len(head["description"]) < 1024
    lines = re.findall(r"`(edgebench [a-z][^`]*)`", text)
    assert len(lines) > 8
    for line in lines:
        check_command_line(REPOSITORY / "SKILL.md", line)


def test_what_others_wrote_is_pinned_by_the_hash_of_a_commit() -> None:
    pages = [*WORKFLOWS, ACTION, REPOSITORY / "docs" / "device-runners.md"]
    used = [line.strip() for page in pages for line in page.read_text().splitlines() if "uses:" in line]
    assert len(used) > 5
    for line in used:
        pinned = re.fullmatch(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", line)
        assert pinned or line.startswith("- uses: OWNER/edgebench@COMMIT"), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_no_more_than_it_needs(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert set(job.get("permissions", {}).values()) <= {"read"}
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)
