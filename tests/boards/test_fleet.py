"""The file that lists the boards of a fleet: what it may say, and what is said where it says something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebench.boards import fleet
from edgebench.errors import BadFile, EdgebenchError

GOOD = """\
schema = 1
[run]
runtime = ["onnxruntime"]
threads = 4
[[board]]
name = "orin"
host = "robot@orin.local"
device = "jetson_orin"
[[board]]
host = "ssh://pi@10.0.0.7:2222"
run = { threads = 2 }
"""


def write(path: Path, text: str) -> Path:
    (path / "boards.toml").write_text(text)
    return path / "boards.toml"


def test_a_board_has_the_options_of_all_and_its_own_before_them(tmp_path: Path) -> None:
    found = fleet.read(write(tmp_path, GOOD))
    first, second = found.boards
    assert found.options(first) == {"device": "jetson_orin", "runtime": ["onnxruntime"], "threads": 4}
    assert second.name == "10.0.0.7" and found.options(second) == {"runtime": ["onnxruntime"], "threads": 2}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema = 1", "", "expected schema = 1"),
        ("schema = 1", "schema = 2", "expected schema = 1"),
        ("schema = 1", "schema = ", "is not TOML"),
        ('"robot@orin.local"', '"-oProxyCommand=touch x"', "is not a host"),
        ('"ssh://pi@10.0.0.7:2222"', '"orin; reboot"', "is not a host"),
        ('name = "orin"', 'name = "../orin"', "may have only letters"),
        ('name = "orin"', 'name = "10.0.0.7"', "two boards are called"),
        ('device = "jetson_orin"', "device = 7", "device: expected"),
        ('host = "robot@orin.local"', "", "'host' is missing"),
        ("[run]", "[runs]", "unknown key 'runs'"),
    ],
)  # fmt: skip
def test_what_the_file_cannot_mean_is_told(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match=said):
        fleet.read(write(tmp_path, GOOD.replace(old, new)))


def test_a_file_without_boards_or_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="lists no board"):
        fleet.read(write(tmp_path, "schema = 1"))
    with pytest.raises(BadFile, match="cannot be read"):
        fleet.read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("option", "said"),
    [("thread = 2", "'thread' is not an option"), ('workspace = "x"', "'workspace' is not an option"),
     ('threads = "two"', "is not a valid integer"), ('scenario = "fast"', "'fast' is not one of")],
)  # fmt: skip
def test_options_are_looked_at_before_anything_starts(
    option: str, said: str, tmp_path: Path, in_process: Command
) -> None:
    path = write(tmp_path, f'schema = 1\n[run]\n{option}\n[[board]]\nhost = "nowhere.invalid"')
    done = in_process("fleet", path, "--workspace", tmp_path)
    assert done.returncode == 2 and said in done.stderr, done.stderr


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80), at=st.integers(0, len(GOOD)))
def test_no_text_does_worse_than_be_refused(text: str, at: int, tmp_path: Path) -> None:
    try:
        fleet.read(write(tmp_path, GOOD[:at] + text + GOOD[at:]))
    except EdgebenchError as error:
        assert error.message
