"""The hub's weights: whether it answers, fetching one file of it, its cache; a hub that is silent, down, or stalls."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_standin import Hub, standing_in
from huggingface_hub import constants

from edgebench.errors import BadFile
from edgebench.training import hub

REPOSITORY = "timm/test_resnet.r160_in1k"
CONTENT = bytes(range(256)) * 40  # to the hub a file is bytes


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As a user with a network has it, with an empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    hub._silent.cache_clear()
    yield
    hub._silent.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "weights").write_bytes(CONTENT)
    return tmp_path / "weights"


def use(monkeypatch: pytest.MonkeyPatch, served: Hub) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)


def test_a_file_is_fetched_into_the_cache_and_found_there_without_a_network(
    monkeypatch: pytest.MonkeyPatch, file: Path, capfd: pytest.CaptureFixture
) -> None:
    seen: list[tuple[int, int]] = []
    with standing_in(REPOSITORY, file) as served:
        use(monkeypatch, served)
        assert hub.cached(REPOSITORY) is None and not served.asked, "to look into the cache asks nobody"
        path = hub.fetch(REPOSITORY, lambda done, total: seen.append((done, total)))
        assert path.read_bytes() == CONTENT and seen[-1] == (len(CONTENT), len(CONTENT))
        assert path.is_relative_to(constants.HF_HUB_CACHE) and "HEAD /" in served.asked
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.cached(REPOSITORY) == path
    assert capfd.readouterr() == ("", ""), "the library's text stays away from the terminal"

    path.resolve().write_bytes(CONTENT[:-1])
    with pytest.raises(BadFile, match="is damaged"):
        hub.sha256(path)


def test_a_file_that_the_hub_does_not_have(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    with standing_in("somebody/else", file) as served:
        use(monkeypatch, served)
        with pytest.raises(hub.HubError, match=r"could not be fetched: .*404"):
            hub.fetch(REPOSITORY, lambda done, total: None)


def test_a_download_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    with standing_in(REPOSITORY, file, "stalls in the file") as served:
        use(monkeypatch, served)
        with pytest.raises(hub.HubError, match="nothing came from the hub"):
            hub.fetch(REPOSITORY, lambda done, total: None, stall_s=2.5)
    assert hub.cached(REPOSITORY) is None


def test_a_hub_is_asked_once_in_a_process(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    with standing_in(REPOSITORY, file) as served:
        use(monkeypatch, served)
        assert hub.unreachable() == hub.unreachable() == ""
        assert served.asked == ["HEAD /"]


def test_a_hub_that_takes_the_connection_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PROBE_S", 0.3)
    with standing_in(REPOSITORY, None, "stalls at once") as served:
        use(monkeypatch, served)
        assert "did not answer within 0.3 s" in hub.unreachable() or "timed out" in hub.unreachable()


def test_a_hub_that_refuses_and_one_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert "cannot be reached" in hub.unreachable()
    with standing_in(REPOSITORY, None, "is down") as served:
        use(monkeypatch, served)
        assert "answers 503" in hub.unreachable()
    monkeypatch.setattr(constants, "ENDPOINT", "file:///etc")
    assert "no web address" in hub.unreachable()


def test_a_name_that_is_never_resolved_costs_the_limit_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()

    def never(*asked: object, **also: object) -> None:
        waiting.wait(60)
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(hub, "PROBE_S", 0.2)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    assert hub.unreachable() == "https://hub.invalid did not answer within 0.2 s"
    waiting.set()


def test_a_proxy_is_asked_for_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    with standing_in("x/y", None, "is down") as proxy:
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
        monkeypatch.setattr(hub, "PROBE_S", 60.0)
        assert "answers 503" in hub.unreachable()
        assert proxy.asked == ["HEAD http://hub.invalid/"]


def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with standing_in(REPOSITORY, None) as served:
        use(monkeypatch, served)
        assert hub.unreachable() == "HF_HUB_OFFLINE is set"
        with pytest.raises(hub.HubError, match="HF_HUB_OFFLINE"):
            hub.fetch(REPOSITORY, lambda done, total: None)
        assert not served.asked


def test_the_suite_is_offline() -> None:
    """tests/conftest.py: no test may fetch weights by accident, or find those of the machine that it runs on."""
    assert os.environ["HF_HUB_OFFLINE"] == "1" and not os.path.exists(os.environ["EDGEBENCH_WEIGHTS"])
