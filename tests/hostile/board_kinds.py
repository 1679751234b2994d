"""What a board may say to a desk and a desk to a board, odd, and what is made of it; the kinds of kinds.py for both."""

from __future__ import annotations

import contextlib
import json
import random
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import odd_results
from generated import places, replaced
from mutated import TOGETHER, changed

from edgebench.boards import messages, ssh, supervisor
from edgebench.boards.agent import Agent
from edgebench.boards.ssh import Connection
from edgebench.errors import EdgebenchError
from edgebench.machine import clocks
from edgebench.measuring import process
from edgebench.records.terminal import printable


def answers(chance: random.Random, place: Path) -> int:
    """An odd answer of a board: an error, or one of the types of answers."""
    kinds = [
        messages.Hello,
        messages.Lacks,
        messages.Started,
        messages.Event,
        messages.Installing,
        messages.RuntimesTried,
    ]
    for _ in range(TOGETHER * 10):
        said = json.loads(chance.choice(SAID))
        if chance.random() < 0.7:
            said = replaced(said, chance.choice(places(said)), chance.choice(odd_results.VALUES))
        line = json.dumps(said).encode()
        line = changed(line, chance) if chance.random() < 0.5 else line
        kind = chance.choice(kinds)
        try:
            assert isinstance(messages.heard(kind, line, "board"), (kind, messages.Refusal))
        except EdgebenchError as error:
            assert str(error) == printable(str(error))
    return TOGETHER * 10


SAID = (
    '{"edgebench": "0.1", "code": "abc"}', '{"lacks": []}', '{"known": false}', "{}",
    '{"status": "warming up", "at": {"log": 3}}', '{"line": "it says"}', '{"result": 12, "at": {"progress": 3}}',
    '{"ended": {"exit_code": 0}}', '{"error": "no", "fix": "yes"}', '{"probes": {"onnxruntime": ""}}',
    '{"facts": {"python": "3.10", "machine": "aarch64", "before": null}}', '{"say": "installing"}',
)  # fmt: skip


class Speaker:
    """In the place of a Host: a board that says what is in a file; over and over if it is `endless`, on the other
    stream if it `complains`; then it is `silent` for a minute, or ends."""

    name, address = "board", "board"

    def __init__(self, said: Path, *, endless: bool = False, complains: bool = False, silent: bool = False) -> None:
        text = f"while cat {said}; do :; done" if endless else f"cat {said}"
        self._program = f"({text}){' >&2' * complains}{'; exec sleep 60' * silent}"

    def command(self, remote: str) -> list[str]:
        return ["sh", "-c", self._program]


def requests(chance: random.Random, place: Path) -> int:
    """An odd request to a board: it is refused in one line, or does what it says inside of the agent's folder."""
    (place / "root" / "files").mkdir(parents=True)
    agent = Agent(place / "root")
    told: list[dict[str, Any]] = []

    def sent(count: int) -> bytes:
        """The bytes of a file, until the desk is gone: it may have announced more than there can be."""
        if count > 1000:
            told.append({})  # there is nobody to tell
            raise SystemExit(1)
        return b"x" * count

    agent._desk = SimpleNamespace(
        tell=lambda answer, body=b"": told.append(answer), read=lambda count, limit_s: sent(count),
        waiting=lambda limit_s: True, hear=lambda limit_s: None,
    )  # fmt: skip
    for _ in range(TOGETHER):
        asked = json.loads(chance.choice(ASKED))
        if chance.random() < 0.8:
            asked = replaced(asked, chance.choice(places(asked)), chance.choice(odd_results.VALUES))
        told.clear()
        with (
            mock.patch.object(supervisor, "start"), mock.patch.object(supervisor, "stop"),
            mock.patch.object(process, "probe_all", return_value=[]),
            mock.patch.object(clocks, "restore", return_value=""), contextlib.suppress(SystemExit),
        ):  # fmt: skip
            agent.answer(asked if isinstance(asked, dict) else {})
        assert told and json.dumps(told), asked
    assert [path.name for path in place.iterdir()] == ["root"]
    assert {path.name for path in (place / "root").iterdir()} == {"files", "jobs"}
    return TOGETHER


NAME = sha256(b"xxx").hexdigest()  # of what `put` sends, so that there is a file to date and to lay out
ASKED = (
    f'{{"do": "lacks", "files": {{"{NAME}": 5}}, "clock": 1.8e9}}', f'{{"do": "put", "sha256": "{NAME}", "size": 3}}',
    f'{{"do": "start", "job": "0a", "arguments": ["run"], "folders": {{"n": {{"m.onnx": "{NAME}"}}}}, '
    '"images": null, "clock": 1.8e9}',
    '{"do": "follow", "job": "0a", "at": {"log": 1, "progress": 0}}', '{"do": "stop", "job": "0a"}',
    '{"do": "forget", "job": "0a"}', '{"do": "probe", "runtimes": ["onnxruntime"]}', '{"do": "restore"}',
)  # fmt: skip


def conversations(chance: random.Random, place: Path) -> int:
    """A whole greeting that is odd: an error, or a board that is known."""
    place.mkdir(parents=True)
    said = place / "said"
    lines = [*SAID, "Python 3.10.4", "Python 99999999999999.1", "no Python", "\x1b]0;x\x07", "Welcome", "Python 2.7"]
    made = "\n".join(chance.choice(lines) for _ in range(chance.randrange(1, 6))).encode() + b"\n"
    said.write_bytes(changed(made, chance) if chance.random() < 0.5 else made)
    before, ssh.GREETING_LIMIT_S = ssh.GREETING_LIMIT_S, 30.0
    try:
        with Connection(Speaker(said)) as connection:
            connection.greet()
    except EdgebenchError as error:
        assert str(error) == printable(str(error))
    finally:
        ssh.GREETING_LIMIT_S = before
    return 1
