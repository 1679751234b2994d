"""history.jsonl: the figures of each epoch of a training, one JSON line per epoch."""

from __future__ import annotations

import json
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records import jsonio

Record = dict[str, float]


class History:
    """A file with one JSON line per epoch, written as soon as the epoch ends: a killed run keeps its lines."""

    def __init__(self, path: Path, epochs_done: int = 0) -> None:
        """Start a new file, or keep its first `epochs_done` epochs: a resumed run repeats the later ones."""
        kept = [record for record in read(path) if record["epoch"] <= epochs_done] if epochs_done else []
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(jsonio.dumps(record) + "\n" for record in kept), encoding="utf-8")

    def append(self, record: Record) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(jsonio.dumps(record) + "\n")


def read(path: Path) -> list[Record]:
    """The epochs of a history.jsonl, without a last line that a killed run left half written.

    Raises BadFile if the file is missing or something else.
    """
    try:
        *lines, _rest = path.read_text(encoding="utf-8").split("\n")
        records = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as error:
        raise BadFile(f"{path} is not a training history: {error}", "train again") from None
    for number, record in enumerate(records, 1):
        figures = isinstance(record, dict) and all(isinstance(v, (int, float, type(None))) for v in record.values())
        if not figures or not isinstance(record.get("epoch"), int):
            raise BadFile(f"{path}, line {number}, does not hold the figures of an epoch", "train again")
    return records
