"""The archive of a program of torch.export: its JSON, and its weights as raw bytes. Nothing is unpickled."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import BadFile

if TYPE_CHECKING:
    import torch

# torch's numbers of element types (torch/_export/serde/schema.py), by numpy's names; bfloat16 has none in numpy.
TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 34: "uint32", 35: "uint64",
}  # fmt: skip
MOST_JSON = 512 << 20  # bytes of a graph: the one of a network with ten thousand operators has 20 MB
AGAIN = "save it with torch 2.9 or newer: torch.export.save(torch.export.export(model.eval(), inputs), 'FILE.pt2')"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Raw bytes of a tensor in the file, and its view of them: sizes, strides and offset count elements."""

    start: int
    bytes: int
    dtype: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


class Archive:
    """What is in the file. Raises BadFile for a file of another kind, and for one that needs a pickle."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        found = [name for name in self._entries if name.startswith("models/") and name.endswith(".json")]
        if any(name.startswith("data/aotinductor/") for name in self._entries):
            raise BadFile(f"{path} holds machine code (AOTInductor), which edgebench does not run", AGAIN)
        if not found:
            torchscript, pickled = (name in self._entries for name in ("constants.pkl", "data.pkl"))
            what = "a TorchScript program" if torchscript else "a pickle of weights" if pickled else "another archive"
            raise BadFile(f"{path} is not a program of torch.export: it is {what}, or of torch 2.7 or older", AGAIN)
        if len(found) > 1:
            raise BadFile(
                f"{path} holds {len(found)} programs: {', '.join(sorted(found))}", "save each in its own file"
            )
        self._program, self._model = found[0], found[0].removeprefix("models/").removesuffix(".json")

    def program(self) -> dict[str, Any]:
        """The graph and its signature."""
        return self._json(self._entries[self._program])

    def tensors(self) -> dict[str, Stored]:
        """The weights and constants by name."""
        found: dict[str, Stored] = {}
        for kind in ("weights", "constants"):
            config = self._entries.get(f"data/{kind}/{self._model}_{kind}_config.json")
            if config is None:
                raise BadFile(f"{self._path} keeps its {kind} in a pickle, as torch 2.8 and older did", AGAIN)
            for name, stated in self._json(config)["config"].items():
                if stated["use_pickle"] or stated["tensor_meta"] is None:
                    fix = "export a model whose weights are plain tensors, without custom objects"
                    raise BadFile(f"{self._path} keeps {name!r} in a pickle, which can run any code", fix)
                entry = self._entries[f"data/{kind}/{stated['path_name']}"]
                found[name] = _stored(self._path, entry, stated["tensor_meta"])
        return found

    def _json(self, entry: zipfile.ZipInfo) -> dict[str, Any]:
        if entry.file_size > MOST_JSON:
            raise ValueError(f"{entry.filename} has {entry.file_size:,} bytes")
        return json.loads(self._archive.read(entry))


def _stored(path: Path, entry: zipfile.ZipInfo, meta: dict[str, Any]) -> Stored:
    sizes, strides = (tuple(int(each["as_int"]) for each in meta[key]) for key in ("sizes", "strides"))
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{entry.filename} is compressed")
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)
        start = entry.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
    offset = int(meta["storage_offset"]["as_int"])
    if min((*sizes, *strides, offset, 0)) < 0 or len(sizes) != len(strides) or meta["layout"] != 7:
        raise ValueError(f"the layout of {entry.filename} makes no sense")
    return Stored(
        start=start, bytes=entry.file_size, dtype=TYPES[meta["dtype"]], sizes=sizes, strides=strides, offset=offset
    )


def tensor(path: Path, stored: Stored) -> torch.Tensor:
    """A tensor, whose bytes stay in the file until they are needed."""
    import numpy as np
    import torch

    dtype = getattr(torch, stored.dtype)
    if not stored.bytes:
        return torch.zeros(stored.sizes, dtype=dtype)
    raw = np.memmap(path, np.uint8, "c", stored.start, (stored.bytes,))  # "c": changes stay in memory
    flat = torch.from_numpy(raw).view(dtype)
    return torch.as_strided(flat, stored.sizes, stored.strides, stored.offset)  # refuses what lies outside of its bytes
