"""`edgebench fleet`: several real OpenSSH servers at once; one that fails stays in its row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sshd
from conftest import Command
from factories import make_artifact

pytestmark = pytest.mark.xdist_group("ssh")


def test_boards_measure_side_by_side_and_one_that_fails_stays_in_its_row(tmp_path: Path, in_process: Command) -> None:
    make_artifact(tmp_path / "artifacts" / "net-onnx")
    with sshd.board(tmp_path / "one", name="one") as one, sshd.board(tmp_path / "two", name="two") as two:
        (tmp_path / "ssh").write_text(one.client.read_text() + two.client.read_text())
        plan = """
            schema = 1
            [run]
            runtime = "fake"
            runtime_option = { latency_ms = 2 }
            launches = 1
            duration = 0.1
            precision_target = 0
            [[board]]
            host = "one"
            [[board]]
            name = "second"
            host = "two"
            run = { batch = 2 }
            [[board]]
            host = "nowhere.invalid"
        """
        (tmp_path / "boards.toml").write_text(plan)
        arguments = [tmp_path / "boards.toml", "--workspace", tmp_path, "--ssh-config", tmp_path / "ssh"]
        done = in_process("fleet", *arguments, "--json")
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        told = {board["name"]: board for board in json.loads(done.stdout)}
        assert [told[name]["state"] for name in ("one", "second", "nowhere.invalid")] == ["done", "done", "failed"]
        assert "Could not resolve" in told["nowhere.invalid"]["message"]
        assert [told[name]["results"][0]["batch"] for name in ("one", "second")] == [1, 2]
        assert not one.jobs() and not two.jobs()

    shown = in_process("report", "--workspace", tmp_path, "--json")
    assert {row["host"] for row in json.loads(shown.stdout)} == {"one", "second"}
