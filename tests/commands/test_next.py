"""The line that says which command comes next."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import REPOSITORY, Command
from factories import make_artifact, make_reference

from edgebench.choosing import pick_doubts
from edgebench.commands import profile


@pytest.mark.parametrize(("given", "follows"), [(True, True), (False, False)])
def test_a_workspace_that_was_given_is_given_to_the_next_command_too(
    in_process: Command, tmp_path: Path, given: bool, follows: bool
) -> None:
    where = tmp_path / "my runs"
    found = make_artifact(tmp_path / "net", reference=make_reference(8)).path
    quick = ("--runtime", "fake", "--launches", "1", "--duration", "0.05", "--warmup", "0")
    asked = ("--workspace", where) if given else ()
    done = in_process("run", found, *quick, *asked, cwd=tmp_path)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0 and last == "next: edgebench report" + f" --workspace '{where}'" * follows, done.stderr


def test_no_command_says_what_is_next_by_itself() -> None:
    for path in (REPOSITORY / "edgebench" / "commands").glob("*.py"):
        assert path.name == "_next.py" or "next: edgebench" not in path.read_text(), path


@pytest.mark.parametrize(
    ("value", "shown"), [(4.6e6, "0.00460"), (0, "0.00"), (4.09e9, "4.09"), (123.4e9, "123"), (None, "–")]
)
def test_a_small_figure_keeps_three_digits(value: float | None, shown: str) -> None:
    assert profile._figure(value, 1e9) == shown


def test_networks_without_weights_are_one_line() -> None:
    gone = {name: f"{name}: no connection, and no {name}.safetensors" for name in ("a", "b", "c")}
    (line,) = pick_doubts.without_weights(gone)
    assert line.count("no connection") == 1 and "a, b, c" in line
    assert not list(pick_doubts.without_weights({}))


def test_a_deployed_folder_that_is_measured_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    from edgebench.cli import cli

    found = make_artifact(tmp_path / "net", reference=make_reference(8)).path
    (found / "reference.npz").unlink()
    done = CliRunner().invoke(cli, ["run", str(found), "--workspace", str(tmp_path / "runs")])
    assert done.exit_code and "a folder for infer.py is without it" in done.stderr
