"""Weights from the Hugging Face hub and its cache: whether the hub answers, and one file of it, in bounded time."""

from __future__ import annotations

import contextlib
import functools
import http.client
import math
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from edgebench.errors import BadFile, EdgebenchError
from edgebench.machine.children import Child
from edgebench.records import digests

FILE = "model.safetensors"
PROBE_S = 2.0  # for the one question whether the hub answers
STALL_S = 20.0  # a download from which nothing has come for so long is given up
REQUEST_S = 10  # for the hub's answer to one request of a download
GATEWAY_ERRORS = (407, 502, 503, 504)  # what a proxy answers that does not reach the hub

Progress = Callable[[int, int], None]  # bytes that are here, bytes in all


class HubError(EdgebenchError):
    """The hub cannot be reached, or a file of it could not be fetched."""


def cached(repository: str) -> Path | None:
    """The weights of a repository in the Hugging Face cache, without using the network. None if they are not there."""
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repository, FILE, cache_dir=constants.HF_HUB_CACHE)
    return Path(found) if isinstance(found, str) else None


def all_cached() -> list[tuple[str, str]]:
    """The owner and the name of each repository whose weights are in the Hugging Face cache."""
    from huggingface_hub import constants

    kept = Path(constants.HF_HUB_CACHE).glob(f"models--*--*/snapshots/*/{FILE}")
    return [tuple(path.parts[-4].split("--", 2)[1:]) for path in kept]


def sha256(path: Path) -> str:
    """The sha256 of a file in the cache. Raises BadFile if it is not the one that the cache names the file by."""
    found, named = digests.of_file(path), path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", named) and named != found:
        raise BadFile(f"{path} is damaged: its sha256 is not that of the hub's file", f"delete {path.resolve()}")
    return found


def unreachable() -> str:
    """Why the hub cannot be used now; "" if it answers. It is asked once in a process, for at most 2 seconds."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    return _silent(constants.ENDPOINT, PROBE_S)


@functools.cache
def _silent(endpoint: str, limit_s: float) -> str:
    """Why `endpoint` gives no answer to a request for its head, through the proxies of the environment; else ""."""
    if not endpoint.startswith(("http://", "https://")):
        return f"HF_ENDPOINT is {endpoint!r}, which is no web address"
    said = [f"{endpoint} did not answer within {limit_s:g} s"]

    def ask() -> None:
        request = urllib.request.Request(f"{endpoint}/", method="HEAD", headers={"User-Agent": "edgebench"})
        try:
            urllib.request.urlopen(request, timeout=limit_s, context=_certificates()).close()
            said.append("")
        except urllib.error.HTTPError as error:  # any other code is an answer of the hub
            said.append(f"{endpoint} answers {error.code}" if error.code in GATEWAY_ERRORS else "")
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            said.append(f"{endpoint} cannot be reached: {reason}")

    thread = threading.Thread(target=ask, name="hub", daemon=True)  # looking up a name has no time limit of its own
    thread.start()
    thread.join(limit_s)
    return said[-1]


def _certificates() -> ssl.SSLContext:
    """The certificates that this machine trusts, and those that huggingface_hub's client brings."""
    trusted = ssl.create_default_context()
    with contextlib.suppress(ImportError):
        import certifi

        trusted.load_verify_locations(certifi.where())
    return trusted


def fetch(repository: str, on_bytes: Progress, stall_s: float = STALL_S, until: float = math.inf) -> Path:
    """Download the weights of a repository into the Hugging Face cache. Raises HubError if that does not succeed.

    `until`: by the monotonic clock, when a download that is not done is given up.

    huggingface_hub does it in a process of its own: what it prints stays there, and a hub that falls silent ends it.
    """
    from huggingface_hub import constants

    if why := unreachable():
        raise HubError(f"{repository} cannot be fetched: {why}")
    if time.monotonic() > until:
        raise HubError(f"{repository} was not fetched: the time for downloads is over")
    cache = Path(constants.HF_HUB_CACHE)
    blobs = cache / f"models--{repository.replace('/', '--')}" / "blobs"
    limits = {"HF_HUB_DOWNLOAD_TIMEOUT": str(REQUEST_S), "HF_HUB_ETAG_TIMEOUT": str(REQUEST_S)}
    switches = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    child = Child(
        [sys.executable, "-m", "edgebench.training.hub_process", repository, FILE, str(cache)],
        environment={"HF_ENDPOINT": constants.ENDPOINT, "HF_HUB_OFFLINE": "0"} | limits | switches,
    )
    try:
        here, moved = 0, time.monotonic()
        while (ending := child.ended()) is None:
            if (now_here := _incomplete(blobs)) != here:
                here, moved = now_here, time.monotonic()
                on_bytes(here, _size(child.said()))
            if time.monotonic() - moved > stall_s:
                raise HubError(f"{repository} could not be fetched: nothing came from the hub for {stall_s:g} s")
            if time.monotonic() > until:
                raise HubError(f"{repository} was not fetched: the time for downloads is over")
            time.sleep(0.05)
    finally:
        child.stop()
    path = cached(repository)
    if ending.exit_code or path is None:
        raise HubError(f"{repository} could not be fetched: {ending.last_line}")
    size = path.stat().st_size
    on_bytes(size, size)
    return path


def _incomplete(blobs: Path) -> int:
    """Bytes of the files in the cache that are not whole yet."""
    found = 0
    for path in blobs.glob("*.incomplete*") if blobs.is_dir() else ():
        try:
            found += path.stat().st_size
        except OSError:  # it has just become whole
            continue
    return found


def _size(said: str) -> int:
    """The size of the file, which the process prints first; 0 if it does not know it."""
    found = re.search(r"^size (\d+)$", said, re.MULTILINE)
    return int(found[1]) if found else 0
