"""Publishes a folder to deploy on the Hugging Face hub, through the hub's own library, in one commit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError

NEEDED = ("README.md", "decision.json", "infer.py", "preprocessing.json")
NAME = re.compile(r"(?:[\w.-]+/)?[\w.-]+")  # the hub checks the rest
LICENCE = re.compile(r"[a-z0-9.-]+")
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is on the hub now: the repository's `name` and `address`, its `commit`, and the `files` that were sent."""

    name: str
    address: str
    commit: str
    private: bool
    files: tuple[str, ...]


def files(folder: Path, evidence: bool) -> list[str]:
    """The files of a folder that `pick` made, by their paths in it. Raises BadFile for any other folder."""
    if lacking := [name for name in NEEDED if not (folder / name).is_file()]:
        raise BadFile(f"{folder} is not a folder that edgebench pick made: it has no {lacking[0]}", "name its --out")
    return sorted(_inside(folder, evidence))


def _inside(folder: Path, evidence: bool) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_symlink():
            raise BadFile(f"{path} is a link, and what it leads to is not published", "put the file itself there")
        if path.is_file() and "__pycache__" not in name.parts and (evidence or name.parts[0] != "evidence"):
            yield name.as_posix()


def card(text: str, licence: str) -> str:
    """The model card with this licence in its metadata, in place of one that it has."""
    if not licence:
        return text
    if not LICENCE.fullmatch(licence):
        raise UsageError(f"--licence {licence!r} is no identifier of a licence", "such as apache-2.0, mit or other")
    if len(parts := text.replace("\r\n", "\n").split("---\n", 2)) != 3:
        raise BadFile("README.md has no metadata between two lines of ---", "take the README.md that `pick` wrote")
    begin, head, rest = parts
    kept = "".join(line for line in head.splitlines(keepends=True) if not line.startswith("license:"))
    return f"{begin}---\nlicense: {json.dumps(licence)}\n{kept}---\n{rest}"


def push(folder: Path, name: str, *, public: bool = False, licence: str = "", evidence: bool = False) -> Published:
    """Send a folder that `pick` made to the hub, as a model that only its owner sees unless it is `public`.

    `licence`: the hub's identifier of the model's licence, which a public one needs. `evidence`: the results with all
    their samples too, which describe the machine that measured. Raises UsageError for names that cannot be, BadFile for
    another folder, Unsupported without huggingface_hub, EdgebenchError if the hub refuses or cannot be reached.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a model on the hub", "OWNER/NAME or NAME")
    if public and not licence:
        raise UsageError("a public model needs a licence", "--licence apache-2.0, mit, …, or other")
    names = files(folder, evidence)
    told = card((folder / "README.md").read_text(encoding="utf-8"), licence)
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
    except ImportError as error:
        raise Unsupported(f"push needs huggingface_hub: {error}", "pip install huggingface_hub") from None
    sent = [CommitOperationAdd(each, told.encode() if each == "README.md" else str(folder / each)) for each in names]
    api = HfApi()
    try:
        repository = api.create_repo(name, private=not public, exist_ok=True).repo_id
        seen = api.model_info(repository).private
        if not public and not seen:
            raise EdgebenchError(f"{repository} is public on the hub already", "--public, or another name")
        done = api.create_commit(repository, sent, commit_message="Upload from edgebench pick")
    except LocalTokenNotFoundError:
        raise EdgebenchError("the hub wants to know who you are", LOG_IN) from None
    except HFValidationError as error:
        raise UsageError(f"{name!r} is no name of a model on the hub: {error}", "OWNER/NAME or NAME") from None
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else None
        fix = LOG_IN if code in (401, 403) else "see what the hub says"
        raise EdgebenchError(f"the hub refused: {_line(error)}", fix) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise EdgebenchError(f"the hub cannot be reached: {_line(error)}", "try again with a network") from None
    except Exception as error:  # those of its HTTP library, which differ by its version
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests")):
            raise
        raise EdgebenchError(f"the hub cannot be reached: {_line(error)}", "try again with a network") from None
    return Published(
        name=repository, address=f"{api.endpoint}/{repository}", commit=done.oid, private=bool(seen),
        files=tuple(names),
    )  # fmt: skip


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
