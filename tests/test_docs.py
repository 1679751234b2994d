"""The documentation is true: every command, option and file that it names exists, and every one is documented."""

from __future__ import annotations

import dataclasses
import inspect
import pydoc
import re
import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
import yaml
from conftest import REPOSITORY

import edgebench
from edgebench.boards import fleet
from edgebench.choosing.limits import Limits
from edgebench.cli import COMMANDS, cli
from edgebench.errors import Unsupported
from edgebench.machine import registry
from edgebench.machine.device import load_profile, profile_names
from edgebench.machine.power.place import Place
from edgebench.records.notices import KINDS
from edgebench.records.options import options_of
from edgebench.sweeping import plan

PAGES = [
    *(REPOSITORY / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
PAGES += [REPOSITORY / folder / "README.md" for folder in ("exporters", "runtimes", "device_profiles", "findings")]
GUIDE = REPOSITORY / "docs" / "guide"
CONTENTS = GUIDE / "README.md"
GUIDE_PAGES = sorted(set(GUIDE.glob("*.md")) - {CONTENTS})
COMMON = {"--json", "--workspace"}  # of every command: the guide's first page describes them, once
SAME_AS = {"study": "train"}  # a command whose page sends the reader on to the options of another
LIMITS = {field.name for field in dataclasses.fields(Limits)}
WORKFLOW = REPOSITORY / ".github" / "workflows" / "device-bench.yml"
COMMAND_LINE = re.compile(
    r"(?:(?:^|\n) *|[`$] ?)(edgebench [a-z](?:\\\n|[^`\n#])*)"
)  # indented, or continued after a \


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


def test_command_lines_are_found_however_they_are_written() -> None:
    text = "edgebench a\n    edgebench b --x  # why\n$ edgebench c\nSee `edgebench d`.\n    edgebench e \\\n  --y\n"
    assert [line.split() for line in COMMAND_LINE.findall(text)] == [
        ["edgebench", "a"], ["edgebench", "b", "--x"], ["edgebench", "c"], ["edgebench", "d"],
        ["edgebench", "e", "\\", "--y"],
    ]  # fmt: skip
    assert len(COMMAND_LINE.findall((REPOSITORY / "README.md").read_text())) > 10


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


def test_the_command_lines_of_the_check_on_a_card_parse() -> None:
    script = REPOSITORY / "scripts/check_nvidia"
    lines = re.findall(r'^step "[^"]+" (edgebench .*)$', script.read_text().replace("\\\n", " "), re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        check_command_line(script, line)


def anchors(page: Path) -> set[str]:
    """What a link to a heading of this page may end in, as GitHub makes it of the heading."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    plain = [
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    ]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_anchors_of_links_are_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        assert anchor in anchors((page.parent / target) if target else page), f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_and_paths_in_the_documentation_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for path in re.findall(r"`((?:scripts|docs|edgebench|exporters|runtimes|device_profiles|tests)/[\w./-]+)`", text):
        assert (REPOSITORY / path).exists(), f"{page.name} names {path}"


def page_of(name: str) -> Path:
    """The page that the guide's table of contents names for a command; "study samples" is on that of "study"."""
    rows = re.findall(r"^\| [^|]+ \| \[\w+\]\((\w+\.md)\) \| (.+) \|$", CONTENTS.read_text(), re.MULTILINE)
    pages = {said: GUIDE / page for page, names in rows for said in re.findall(r"`edgebench ([^`]+)`", names)}
    found = pages.get(name) or pages.get(name.split()[0])
    assert found, f"docs/guide/README.md names no page for `edgebench {name}`"
    return found


def names_option(text: str, option: str) -> bool:
    """Whether a text names exactly this option: `--train-batch-size` does not name `--train`."""
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


def test_the_table_of_contents_of_the_guide_is_whole() -> None:
    text = CONTENTS.read_text()
    for page in GUIDE_PAGES:
        assert f"]({page.name})" in text, f"docs/guide/README.md does not list {page.name}"


@pytest.mark.parametrize("page", GUIDE_PAGES, ids=page_id)
def test_a_page_of_the_guide_begins_with_its_question_and_a_command(page: Path) -> None:
    title, _, question, rest = page.read_text().split("\n", 3)
    assert title.startswith("# ") and question.startswith("*") and question.endswith("?*"), page.name
    assert re.match(r"\n```bash\n[a-z]", rest), f"{page.name}: its question is not followed by a command"


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_on_the_page_of_its_command(name: str) -> None:
    page = page_of(name)
    text = page.read_text()
    assert f"edgebench {name}" in text, f"{page.name} does not tell of `edgebench {name}`"
    if other := SAME_AS.get(name.split()[0]):
        assert f"]({other}.md#options)" in text, f"{page.name} does not link to the options of `edgebench {other}`"
        text += (GUIDE / f"{other}.md").read_text()
    for parameter in command(name).params:
        for option in {*parameter.opts, *parameter.secondary_opts} - COMMON:
            assert not option.startswith("--") or names_option(text, option), f"{page.name}: {name} {option}"


def test_the_options_of_every_command_are_described_once() -> None:
    text = CONTENTS.read_text()
    for option in COMMON:
        assert names_option(text, option)


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_with_examples(name: str) -> None:
    made = command(name)
    text = made.get_help(click.Context(made, info_name=f"edgebench {name}"))
    assert "Examples:" in text and f"edgebench {name}" in text
    for line in COMMAND_LINE.findall(text.split("Examples:")[1].split("Options:")[0]):
        check_command_line(REPOSITORY / "--help", line)
    for parameter in made.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_adapters_and_profiles_are_documented() -> None:
    for kind in ("runtimes", "exporters"):
        text = (REPOSITORY / kind / "README.md").read_text()
        for name in registry.names(kind):
            assert f"`{name}`" in text, f"{kind}/README.md does not tell of {name}"
    devices = (GUIDE / "devices.md").read_text()
    for name in profile_names():
        assert f"`{name}`" in devices, f"docs/guide/devices.md does not tell of {name}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_names_of_modules_in_the_documentation_can_be_imported(page: Path) -> None:
    groups = {f"edgebench.{kind}" for kind in registry.WORDS}  # of entry points
    for name in set(re.findall(r"`(edgebench(?:\.\w+)+)`", page.read_text())) - groups:
        assert pydoc.locate(name) is not None, f"{page.name} names {name}"


def example(page: Path) -> str:
    """The first TOML example of a page."""
    return re.search(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)[1]


def test_the_example_of_a_plan_and_that_of_a_fleet_are_read(tmp_path: Path) -> None:
    for name in ("sweep", "fleet"):
        (tmp_path / f"{name}.toml").write_text(example(GUIDE / f"{name}.md"))
    told = plan.read(tmp_path / "sweep.toml")
    assert plan.make(told, "sweep.toml").models == ("mobilenetv3", "resnet50")
    assert set(plan.LISTS) | set(plan.TABLES) <= set(told), "the example shows every list and table"
    boards = fleet.read(tmp_path / "fleet.toml").boards
    assert [board.name for board in boards] == ["orin-1", "my-pi"]


def test_the_meter_and_the_scenario_of_the_guide_work(tmp_path: Path) -> None:
    meter, scenario = {"__name__": "rover_meter"}, {"__name__": "rover_scenario"}
    examples = re.findall(r"```python\n(.*?)```", (GUIDE / "extend.md").read_text(), re.DOTALL)
    for code, names in zip(examples[:2], (meter, scenario), strict=True):  # test_accelerator_example.py has the third
        exec(compile(code, "extend.md", "exec", dont_inherit=True), names)
    place = Place(load_profile("cpu"), root=tmp_path)
    with pytest.raises(Unsupported, match="does not exist"):
        meter["RoverMeter"](place)
    sensor = tmp_path / "sys/kernel/rover/power_mw"
    sensor.parent.mkdir(parents=True)
    sensor.write_text("4200\n")
    assert meter["RoverMeter"](place).read().total_mw == 4200

    ran: list[dict] = []
    job = SimpleNamespace(warmup_s=0.0, duration_s=0.02, max_iterations=100, own={"pause_ms": 1.0})
    session = SimpleNamespace(run=ran.append)
    measured = scenario["SCENARIO"].perform(session, [{"image": 1}], job, print)
    assert 1 <= len(measured.samples.latency_ns) < len(ran)
    assert [each.flag for each in options_of(scenario["SCENARIO"].options)] == ["--pause-ms"]


def test_every_function_of_the_api_is_documented_with_parameters_that_it_has() -> None:
    text = (REPOSITORY / "docs" / "api.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)\(([^`]*)\)` \|", text, re.MULTILINE))
    assert set(rows) == set(edgebench.__all__) - {"__version__", "results"}
    beside = {"select": LIMITS, "pick": LIMITS, "sweep": {*plan.LISTS, *plan.TABLES, "evaluate"}}  # by **, or by name
    for name, shown in rows.items():
        has = {*inspect.signature(getattr(edgebench, name)).parameters, *beside.get(name, ())}
        told = set(re.findall(r"(\w+)(?==|,|$)", re.sub(r"=[^,]+", "", shown)))
        assert told <= has, f"docs/api.md: {name}() has no {', '.join(sorted(told - has))}"


def test_the_messages_that_troubleshooting_explains_are_those_of_the_code() -> None:
    """But for torch's own, the first."""
    sources = [*(REPOSITORY / "edgebench").rglob("*.py"), *(REPOSITORY / "runtimes").glob("*.py")]
    said = re.sub(r"\"\s+f?\"", "", " ".join(path.read_text() for path in sources))  # parts that Python joins
    _, *messages = re.findall(r"^\*\*`([^`]+)`", (GUIDE / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(messages) >= 5
    for message in messages:
        for part in message.split("…"):  # what stands for a name or a number
            words = part.strip(" ;:")
            assert words in said, f"docs/guide/troubleshooting.md explains {words!r}, which nothing says"


def test_every_notice_is_defined() -> None:
    text = (REPOSITORY / "docs" / "measuring.md").read_text()
    for code in KINDS:
        assert f"| `{code}` |" in text, f"docs/measuring.md does not say when the notice {code} is given"


def test_tensorrt_is_marked_unverified_until_it_ran_on_hardware() -> None:
    rows = re.findall(r"^\| TensorRT .*$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 1 and "unverified on hardware" in rows[0]
    for page in ("export.md", "crosscheck.md"):
        assert "unverified on hardware" in (GUIDE / page).read_text(), page


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_how_their_own_help_begins(name: str) -> None:
    assert " ".join(command(name).help.split()).startswith(COMMANDS[name])


def test_every_page_is_in_the_sites_contents() -> None:
    """scripts/build_site names those beside the folders, and stops at one that no list has."""
    named = (REPOSITORY / "scripts" / "build_site").read_text().split()
    assert [path.stem for path in (REPOSITORY / "docs").glob("*.md") if f"docs/{path.stem}" not in named] == []


def test_the_site_breaks_no_line_inside_the_name_of_an_option() -> None:
    conf = runpy.run_path(str(REPOSITORY / "scripts" / "site_conf.py"))
    code = '<code class="literal"><span class="pre">{}</span></code>'
    page = {"body": code.format("--near-copies,--no-near-copies") + " a --dash " + code.format("scripts--odd/a-b")}
    conf["keep_options_whole"](None, "guide", "page.html", page, None)
    marked = '<span class="option">--near-copies</span>,<span class="option">--no-near-copies</span>'
    assert page["body"] == code.format(marked) + " a --dash " + code.format("scripts--odd/a-b")
    assert conf["html_css_files"] == ["site.css"]
    assert ".option { white-space: nowrap; }" in (REPOSITORY / "scripts" / "site.css").read_text()
