"""`edgebench push` against a stand-in of the hub: what is sent, who may, and what is refused before anything is."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from conftest import Command
from huggingface_hub import constants

CARD = "---\npipeline_tag: image-classification\n---\n\n# A network\n"


class Hub:
    """A hub with one user, whose token is "secret": repositories, their visibility, and the files of each commit."""

    def __init__(self) -> None:
        self.private: dict[str, bool] = {}
        self.files: dict[str, bytes] = {}


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/api/models/").partition("?")[0]
            if name in hub.private:
                return self._answer(200, {"id": name, "private": hub.private[name], "siblings": [], "tags": []})
            return self._answer(404, {"error": "Repository not found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/validate-yaml"):
                return self._validate(json.loads(body)["content"])
            if self.headers.get("Authorization") != "Bearer secret":
                return self._answer(401, {"error": "Invalid username or password."})
            if self.path == "/api/repos/create":
                return self._create(json.loads(body))
            name = self.path.removeprefix("/api/models/").rpartition("/main")[0].rpartition("/")[0]
            assert name in hub.private
            if "/preupload/" in self.path:
                given = json.loads(body)["files"]
                modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in given]
                return self._answer(200, {"files": modes})
            return self._commit(name, [json.loads(line) for line in body.splitlines()])

        def _create(self, asked: dict) -> None:
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name in hub.private:
                return self._answer(409, {"error": "You already created this model repo", "url": self._url(name)})
            if not name.startswith(("me/", "team/")):
                return self._answer(403, {"error": "You don't have the rights to create a model under this namespace"})
            hub.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
            return self._answer(200, {"url": self._url(name), "id": name})

        def _commit(self, name: str, lines: list[dict]) -> None:
            assert lines[0]["key"] == "header" and lines[0]["value"]["summary"]
            for line in lines[1:]:
                assert line["key"] == "file" and ".." not in line["value"]["path"].split("/")
                hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            told = {"success": True, "commitOid": "c" * 40, "commitUrl": f"{self._url(name)}/commit/{'c' * 40}"}
            return self._answer(200, told)

        def _validate(self, content: str) -> None:
            told = yaml.safe_load(content.split("---\n")[1])
            wrong = [] if told.get("license", "mit") in ("mit", "apache-2.0", "other") else ["license is unknown"]
            self._answer(400 if wrong else 200, {"errors": [{"message": w} for w in wrong], "warnings": []})

        def _url(self, name: str) -> str:
            return f"http://{self.headers['Host']}/{name}"

        def _answer(self, code: int, told: dict) -> None:
            body = json.dumps(told).encode()
            self.send_response(code)
            for key, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
                self.send_header(key, value)
            if told.get("error"):
                self.send_header("X-Error-Message", told["error"])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given: object) -> None:
            pass

    return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    found = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(found))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name, value in (("ENDPOINT", address), ("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", address, raising=False)
    monkeypatch.setenv("HF_TOKEN", "secret")
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def picked(tmp_path: Path) -> Path:
    folder = tmp_path / "picked"
    (folder / "evidence").mkdir(parents=True)
    for name in ("decision.json", "infer.py", "preprocessing.json", "model.onnx", "evidence/one.json"):
        (folder / name).write_text(f"the content of {name}")
    (folder / "README.md").write_text(CARD)
    return folder


def test_a_folder_becomes_a_private_model(hub: Hub, picked: Path, in_process: Command) -> None:
    done = in_process("push", picked, "team/check", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["private"] and told["name"] == "team/check" and hub.private == {"team/check": True}
    assert set(hub.files) == {"decision.json", "infer.py", "preprocessing.json", "model.onnx", "README.md"}
    assert hub.files["model.onnx"] == b"the content of model.onnx" and hub.files["README.md"].decode() == CARD
    assert in_process("push", picked, "team/check", "--evidence").returncode == 0, "once more, into the same"
    assert "evidence/one.json" in hub.files


def test_a_public_one_has_its_licence_in_the_card(hub: Hub, picked: Path, in_process: Command) -> None:
    assert "needs a licence" in in_process("push", picked, "check", "--public").stderr
    for licence in ("mit", "apache-2.0"):
        done = in_process("push", picked, "check", "--public", "--licence", licence)
        assert done.returncode == 0 and "public" in done.stdout, done.stderr
        head = yaml.safe_load(hub.files["README.md"].decode().split("---\n")[1])
        assert head == {"license": licence, "pipeline_tag": "image-classification"}
    assert hub.private == {"me/check": False} and (picked / "README.md").read_text() == CARD
    refused = in_process("push", picked, "check")
    assert refused.returncode == 1 and "is public on the hub already" in refused.stderr


def test_what_the_hub_refuses_is_told(
    hub: Hub, picked: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = in_process("push", picked, "others/check")
    assert done.returncode == 1 and "the hub refused" in done.stderr and "Traceback" not in done.stderr
    assert "the hub" in in_process("push", picked, "check", "--licence", "mine").stderr and not hub.files
    monkeypatch.setenv("HF_TOKEN", "wrong")
    done = in_process("push", picked, "check")
    assert done.returncode == 1 and "hf auth login" in done.stderr and not hub.files


def test_what_is_no_such_folder_is_never_sent(hub: Hub, picked: Path, in_process: Command, tmp_path: Path) -> None:
    assert "is not a folder that edgebench pick made" in in_process("push", tmp_path, "check").stderr
    assert in_process("push", picked, "a/b/c").returncode == 2
    (picked / "model.onnx").unlink()
    (picked / "model.onnx").symlink_to("/etc/hostname")
    assert "is a link" in in_process("push", picked, "check").stderr and hub.private == {}
