"""Artifact folders: written whole or not at all, and read only if the hash of every file still matches."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import BadFile, NewerFile, Unsupported
from edgebench.records import digests, files, jsonio, onnx_file, replacing
from edgebench.records.missing import missing
from edgebench.records.preprocessing import preprocess
from edgebench.specs import ANY_RANK, Artifact

if TYPE_CHECKING:
    import numpy as np

MANIFESTS = ("artifact.json", "checkpoint.json")
AGAIN = "copy the folder again from where it was made, or make it again: `edgebench export`, `adopt` or `train`"
REFERENCE = "reference.npz"
RECORDS = (REFERENCE, "history.jsonl", "config.toml")  # the files of an artifact besides its model
REQUESTS = 8  # distinct inputs in rotation: enough that no cache holds one answer


@dataclass(frozen=True)
class Reference:
    """Held-out test images and torch's answers to them, so that a board without torch can check an artifact.

    images: uint8 (n, height, width, 3), already resized; labels: int64 (n,); logits: float32 (n, classes).
    """

    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class Examples:
    """Requests to an adopted model, and the reference's answers to them: arrays by the names of inputs and outputs."""

    requests: tuple[dict[str, np.ndarray], ...]
    answers: tuple[dict[str, np.ndarray], ...]


def manifest_name(format: str) -> str:
    return MANIFESTS[format == "checkpoint"]


def ensure_writable(out: Path) -> None:
    """Raise now, before hours of work, if the folder `out` cannot be written later: BadFile, or the OSError."""
    ours = any((out / manifest).exists() for manifest in MANIFESTS)
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise BadFile(f"{out} exists and is not an edgebench folder", "choose another --out, or empty it yourself")
    out.parent.mkdir(parents=True, exist_ok=True)
    replacing.check_writable(out.parent)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A scratch folder beside `out`. It replaces `out` when the block succeeds, and vanishes if it fails."""
    ensure_writable(out)
    with replacing.staged(out) as scratch:
        yield scratch


def write_manifest(folder: Path, artifact: Artifact, known: Mapping[str, str] | None = None) -> Artifact:
    """Hash the files in `folder`, write the manifest beside them and return the artifact as read from disk.

    `known`: the hashes of files that were read already.
    """
    manifest, known = manifest_name(artifact.format), known or {}
    inside = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != manifest]
    files = {path.name: known.get(path.name) or digests.of_file(path) for path in inside}
    size_bytes = sum((folder / name).stat().st_size for name in files if name not in RECORDS)
    artifact = replace(artifact, files=files, size_bytes=size_bytes, path=folder)
    for name in files:
        if (folder / name).stat().st_nlink == 1:  # else it is the user's own file too
            replacing.shared_as_its_folder(folder / name)
    jsonio.write(folder / manifest, artifact)
    return artifact


def read(path: Path, verify: bool = True) -> Artifact:
    """Read an artifact or checkpoint folder. Raises BadFile if it is missing, foreign, too new or changed."""
    if path.name in MANIFESTS:
        path = path.parent
    if path.is_file():
        raise BadFile(
            f"{path} is not an artifact folder but a file",
            "make one of a model file from elsewhere: `edgebench adopt FILE`; or of weights: "
            "`edgebench train --init WEIGHTS.safetensors`, then `edgebench export`",
        )
    if not path.exists():
        raise missing(path)
    if not path.is_dir():
        raise BadFile(f"{path} is neither a file nor a folder", "name the folder of an artifact, or a model file")
    manifest = next((path / name for name in MANIFESTS if (path / name).is_file()), None)
    if manifest is None:
        raise BadFile(
            f"{path} is not an artifact folder: it holds neither artifact.json nor checkpoint.json",
            "name the folder that `edgebench train`, `adopt` or `export` printed; or a model file, which is adopted",
        )
    try:
        artifact = replace(jsonio.read(Artifact, manifest), path=path)
    except NewerFile:
        raise
    except BadFile as error:
        raise BadFile(error.message, AGAIN) from None
    if not artifact.inputs and not artifact.adopted:
        raise BadFile(f"{manifest} says that the model has no inputs", "export it again")
    if manifest.name != manifest_name(artifact.format):
        raise BadFile(f"{manifest} says format {artifact.format!r}, which is kept in {manifest_name(artifact.format)}")
    for name, digest in artifact.files.items():
        file = file_in(artifact, name)
        if not file.is_file():
            deployed = "; a folder for infer.py is without it: name the artifact in the workspace" * (name == REFERENCE)
            raise BadFile(f"{file} is missing", f"copy the whole folder again, or export again{deployed}")
        if verify and digests.of_file(file) != digest:
            raise BadFile(
                f"{file} was changed or damaged after it was written (its sha256 is not the one in {manifest.name})",
                AGAIN,
            )
    return artifact


def file_in(artifact: Artifact, name: str) -> Path:
    """The path of one of the artifact's own files; a name that leads out of the folder is refused."""
    path = files.inside(artifact.path, name)
    if path.is_symlink():
        raise BadFile(f"{path} is a symbolic link", "copy the file itself into the folder")
    return path


def model_file(artifact: Artifact, suffix: str) -> Path:
    """The artifact's only file with this suffix. Raises BadFile if there is none or more than one."""
    found = [name for name in artifact.files if name.lower().endswith(suffix)]
    if len(found) != 1:
        raise BadFile(f"{artifact.path} holds {len(found)} {suffix} files where one is expected")
    path = file_in(artifact, found[0])
    if suffix == ".onnx":
        for name in sorted(onnx_file.external_files(path)):
            if name not in artifact.files or file_in(artifact, name) != artifact.path / name:
                raise BadFile(
                    f"{path} keeps weights in {name!r}, which is no file of the artifact", "export the artifact again"
                )
    return path


def trained(artifact: Artifact, what: str) -> Artifact:
    """The artifact, if it was made by a training of edgebench. Raises Unsupported for an adopted one, which cannot be
    `what`: "evaluated"."""
    if artifact.adopted:
        raise Unsupported(
            f"{artifact.path.name} cannot be {what}: it was adopted from {artifact.adopted.file}, and edgebench knows "
            "neither its classes nor its images",
            "`edgebench run`, `report`, `compare` and `ab` take adopted models; name an artifact of `edgebench export`",
        )
    return artifact


def check_inputs(artifact: Artifact, found: Mapping[str, Sequence[int | str | None]]) -> None:
    """Raise BadFile unless a model's inputs, name → sizes (a number if fixed), are those of the manifest.

    Of our own models the first is the batch, which may differ.
    """
    expected = {spec.name: spec.shape for spec in artifact.inputs}
    first = 0 if artifact.adopted else 1
    fit = expected.keys() == found.keys() and all(
        shape == (ANY_RANK,)
        or (len(shape) == len(found[name]) and all(map(_fits, shape[first:], list(found[name])[first:])))
        for name, shape in expected.items()
    )
    if not fit:
        told = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in found.items())
        wanted = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in expected.items())
        raise BadFile(f"the model in {artifact.path} takes {told}; its manifest says {wanted}", "export it again")


def _fits(stated: int | str, found: int | str | None) -> bool:
    return stated == found if isinstance(stated, int) else not isinstance(found, int)


def write_examples(folder: Path, artifact: Artifact, examples: Examples) -> None:
    """Write the requests and answers as `reference.npz`; by position, since names of tensors may be anything."""
    import numpy as np

    named = {"in": ([spec.name for spec in artifact.inputs], examples.requests)}
    named["out"] = ([spec.name for spec in artifact.outputs], examples.answers)
    arrays = {
        f"{side}-{i}-{j}": found[name]
        for side, (names, every) in named.items() for i, found in enumerate(every) for j, name in enumerate(names)
    }  # fmt: skip
    with zipfile.ZipFile(folder / REFERENCE, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as inside:  # numpy's takes 4 ×
        for name, array in arrays.items():
            with inside.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def read_examples(artifact: Artifact) -> Examples:
    """Read and check the requests of an adopted artifact and their answers. Raises BadFile; never unpickles."""
    import numpy as np

    path, count = file_in(artifact, REFERENCE), artifact.adopted.requests
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            requests, answers = (
                tuple({spec.name: data[f"{side}-{i}-{j}"] for j, spec in enumerate(specs)} for i in range(count))
                for side, specs in (("in", artifact.inputs), ("out", artifact.outputs))
            )
    except Exception as error:  # numpy, zipfile and zlib raise various errors for a damaged file
        raise BadFile(f"{path} cannot be read: {error}", "adopt the model again") from None
    for spec in artifact.inputs:
        for request in requests:
            found = request[spec.name]
            if (str(found.dtype), found.shape) != (spec.dtype, spec.sizes):
                raise BadFile(
                    f"{path} does not fit the artifact: {spec.name!r} is {found.dtype}{found.shape}",
                    "adopt the model again",
                )
    if not requests:
        raise BadFile(f"{path} holds no request", "adopt the model again")
    return Examples(requests, answers)


def write_reference(folder: Path, reference: Reference) -> None:
    """Write the reference as `reference.npz`, compressed."""
    import numpy as np

    np.savez_compressed(folder / REFERENCE, images=reference.images, labels=reference.labels, logits=reference.logits)


def read_reference(artifact: Artifact) -> Reference:
    """Read and check the reference images and logits of an artifact. Raises BadFile; never unpickles."""
    import numpy as np

    path = file_in(artifact, REFERENCE)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            images, labels, logits = data["images"], data["labels"], data["logits"]
    except Exception as error:  # numpy, zipfile and zlib raise various errors for a damaged file
        raise BadFile(f"{path} cannot be read: {error}", "export the artifact again") from None
    n, size = len(images) if images.ndim else 0, (artifact.preprocessing.height, artifact.preprocessing.width)
    fits = (
        n > 0
        and (images.dtype, images.shape) == (np.uint8, (n, *size, 3))
        and (labels.dtype.kind, labels.shape) == ("i", (n,))
        and (logits.dtype.kind, logits.ndim, logits.shape[:1]) == ("f", 2, (n,))
    )
    if not fits:
        raise BadFile(
            f"{path} does not fit the artifact: images {images.dtype}{images.shape}, labels {labels.dtype}"
            f"{labels.shape}, logits {logits.dtype}{logits.shape}",
            "export the artifact again",
        )
    if not np.isfinite(logits).all():
        raise BadFile(f"{path} holds logits that are NaN or infinite: nothing can be compared with them", "train again")
    return Reference(images, labels, logits)


def prepared(images: np.ndarray, artifact: Artifact) -> np.ndarray:
    """The artifact's input for uint8 images (n, h, w, 3): the images themselves if its graph normalises them."""
    import numpy as np

    if artifact.input_type == "uint8":
        return np.ascontiguousarray(images)
    return preprocess(images, artifact.preprocessing)


def requests(artifact: Artifact, batch: int) -> list[dict[str, np.ndarray]]:
    """Prepared inputs of `batch` real held-out images each, all different if there are enough images.

    Those of an adopted model are what it was adopted with.
    """
    import numpy as np

    if artifact.adopted:
        return list(read_examples(artifact).requests)
    images = read_reference(artifact).images
    starts = range(0, max(1, min(len(images) - batch + 1, REQUESTS * batch)), batch)
    indices = np.arange(batch)
    return [{artifact.inputs[0].name: prepared(images[(start + indices) % len(images)], artifact)} for start in starts]
