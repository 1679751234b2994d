"""The documentation is true: every command, option and file that it names exists, and every one is documented."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from conftest import REPOSITORY

from edgebench.cli import COMMANDS, cli
from edgebench.machine import registry
from edgebench.machine.device import profile_names

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PAGES += [REPOSITORY / folder / "README.md" for folder in ("exporters", "runtimes", "device_profiles")]
WORKFLOW = REPOSITORY / ".github" / "workflows" / "device-bench.yml"
COMMAND_LINE = re.compile(r"(?:^|[`$] ?|\n)(edgebench [a-z][^`\n#]*)")


def command(name: str) -> click.Command:
    """The command of this name, which may have two words: "study samples"."""
    found: click.Command = cli
    for word in name.split():
        found = found.get_command(click.Context(found), word)
        assert found is not None, f"there is no `edgebench {name}`"
    return found


def commands() -> list[str]:
    """Every command, and those inside a group."""
    groups = {name: command(name) for name in COMMANDS}
    inside = [f"{n} {sub}" for n, made in groups.items() if isinstance(made, click.Group) for sub in made.commands]
    return [*COMMANDS, *inside]


def page_id(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def check_command_line(page: Path, line: str) -> None:
    words = shlex.split(line.strip().rstrip(".;:,)"))[1:]
    assert words[0] in COMMANDS, f"{page.name}: {line!r} is no command"
    name = " ".join(words[:2]) if isinstance(command(words[0]), click.Group) and words[1:] else words[0]
    parameters = command(name).params
    known = {option for p in parameters for option in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    for word in words[1:]:
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{page.name}: {line!r}: {word} is no option"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_command_lines_in_the_documentation_parse(page: Path) -> None:
    for line in COMMAND_LINE.findall(page.read_text()):
        check_command_line(page, line)


def test_the_workflow_for_boards_is_one_and_its_command_lines_parse() -> None:
    text = WORKFLOW.read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["measure"]["needs"] in jobs
    assert {"self-hosted", "edgebench"} <= set(jobs["measure"]["runs-on"])
    said = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    lines = [re.split(r"\|\||&&|>>|;", line)[0] for run in said for line in run.splitlines()]
    ours = [line.strip() for line in lines if line.strip().startswith("edgebench ")]
    assert len(ours) == len(re.findall(r"(?:run: |^ +)edgebench ", text, re.MULTILINE)) >= 8
    for line in ours:
        check_command_line(WORKFLOW, line)
    gate = next(line for line in ours if line.startswith("edgebench compare") and "--fail-on" in line)
    assert "--fail-on slower" in gate and "--out compare.xml" in gate and "GITHUB_STEP_SUMMARY" in text


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_and_paths_in_the_documentation_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for path in re.findall(r"`((?:scripts|docs|edgebench|exporters|runtimes|device_profiles|tests)/[\w./-]+)`", text):
        assert (REPOSITORY / path).exists(), f"{page.name} names {path}"


def test_every_command_and_option_is_documented() -> None:
    guide = (REPOSITORY / "docs" / "guide.md").read_text()
    for name in commands():
        assert f"edgebench {name}" in guide, f"docs/guide.md does not tell of `edgebench {name}`"
        for parameter in command(name).params:
            for option in parameter.opts:
                assert not option.startswith("--") or option in guide, f"docs/guide.md: {name} {option}"


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_with_examples(name: str) -> None:
    made = command(name)
    text = made.get_help(click.Context(made, info_name=f"edgebench {name}"))
    assert "Examples:" in text and f"edgebench {name}" in text
    for parameter in made.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_adapters_and_profiles_are_documented() -> None:
    for kind in ("runtimes", "exporters"):
        text = (REPOSITORY / kind / "README.md").read_text()
        for name in registry.names(kind):
            assert f"`{name}`" in text, f"{kind}/README.md does not tell of {name}"
    guide = (REPOSITORY / "docs" / "guide.md").read_text() + (REPOSITORY / "device_profiles" / "README.md").read_text()
    for name in profile_names():
        assert f"`{name}`" in guide, f"neither the guide nor device_profiles/README.md tells of {name}"


def test_tensorrt_is_marked_unverified_until_it_ran_on_hardware() -> None:
    assert "unverified on hardware" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_how_their_own_help_begins(name: str) -> None:
    assert " ".join(command(name).help.split()).startswith(COMMANDS[name])
