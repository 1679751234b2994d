"""A stand-in for the Hugging Face hub on this machine: answers as the real one does for one file of one repository."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Behaviour = Literal["serves", "stalls at once", "stalls in the file", "is down"]


@dataclass
class Hub:
    """`endpoint`: for HF_ENDPOINT. `asked`: the requests that came, as "HEAD /path"."""

    endpoint: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def standing_in(
    repository: str, file: Path | None, behaviour: Behaviour = "serves", name: str = "model.safetensors"
) -> Iterator[Hub]:
    """The hub with one file, and with huggingface.co's headers for a file in its large storage."""
    content = file.read_bytes() if file else b""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            if behaviour == "stalls at once":
                over.wait(60)
                return
            if behaviour == "is down":
                self.send_error(503)
                return
            if self.path != f"/{repository}/resolve/main/{name}":
                self.send_response(200 if self.path == "/" else 404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            digest = hashlib.sha256(content).hexdigest()
            self.send_response(200)
            for key, value in {
                "ETag": f'"{digest}"', "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content)),
                "X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), "Accept-Ranges": "bytes",
            }.items():  # fmt: skip
                self.send_header(key, value)
            self.end_headers()
            if body and behaviour == "stalls in the file":
                self.wfile.write(content[:1000])
                self.wfile.flush()
                over.wait(60)
            elif body:
                self.wfile.write(content)

        def log_message(self, *said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield hub
    finally:
        over.set()
        server.shutdown()
        serving.join()
        server.server_close()
