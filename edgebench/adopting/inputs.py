"""The requests to a foreign model: the user's arrays or pictures, or generated from a seed by type, range and name."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgebench.adopting.preprocessing import picture
from edgebench.adopting.sizes import STATE
from edgebench.artifact import REQUESTS, read_examples
from edgebench.errors import BadFile, UsageError
from edgebench.records import digests
from edgebench.records.preprocessing import Preprocessing, preprocess
from edgebench.specs import Artifact, TensorSpec

LARGEST, FEWEST = 32 << 20, 2  # bytes of all requests together; there are at least so many
HEAVY = 64 << 20  # bytes of weights that all requests together may read
MOST_FILE_BYTES = 4 << 30
CALIBRATION = "name files.npz, pictures, or a folder of them"
MASK = re.compile(r"mask|valid|enabled")
TELLING = 200  # characters of a name: SIZE takes a time that grows with their square
SIZE = re.compile(r"(image|im|img|orig|target).*(size|shape)|^size$|^im_shape$")
SCALE = re.compile(r"scale|ratio")
RATE = re.compile(r"^sr$|sampl\w{0,20}rate")
TYPE_IDS = re.compile(r"type|segment")
BYTES = re.compile(r"byte|char")
IDS = re.compile(r"ids?$|token|word")
LENGTHS = re.compile(r"len|length|num|count")


def refuse_types(specs: Sequence[TensorSpec]) -> None:
    """Raise BadFile for a type that numpy does not have, or that no request can be made of."""
    for spec in specs:
        try:
            known = np.dtype(spec.dtype).kind in "fiubc"
        except TypeError:
            known = False
        if not known:
            raise BadFile(
                f"{spec.name!r} is {spec.dtype}, which edgebench does not measure",
                "export the model with numbers: texts as indices, bfloat16 and smaller types as float32",
            )


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file. Nothing is unpickled. Raises BadFile."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as inside:
            if sum(entry.file_size for entry in inside.infolist()) > MOST_FILE_BYTES:
                raise ValueError("it unpacks to more than 4 GiB")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except Exception as error:  # numpy, zipfile and zlib raise various errors for a damaged file
        raise BadFile(
            f"{path} is no file of arrays: {error}",
            "write it with numpy.savez(FILE, **{'INPUT': array}), without objects",
        ) from None


def given(paths: Sequence[Path], specs: Sequence[TensorSpec], option: str = "--inputs") -> list[dict[str, np.ndarray]]:
    """One request of each `.npz` file: an array for each input, by its name. Nothing is unpickled."""
    found = []
    for path in paths:
        content = arrays(path)
        wanted = {spec.name for spec in specs}
        if content.keys() != wanted:
            told = [f"lacks {n!r}" for n in sorted(wanted - content.keys())]
            told += [f"has {n!r} too" for n in sorted(content.keys() - wanted)]
            raise UsageError(f"{path} does not fit the model: it {', '.join(told)}", f"its inputs: {sorted(wanted)}")
        for spec in specs:
            if str(content[spec.name].dtype) != spec.dtype:
                raise UsageError(
                    f"{path}: {spec.name!r} is {content[spec.name].dtype}, the model takes {spec.dtype}",
                    f"convert it: array.astype('{spec.dtype}')",
                )
        found.append({spec.name: np.asarray(content[spec.name], order="C") for spec in specs})
    shapes = [{name: array.shape for name, array in request.items()} for request in found]
    if any(shape != shapes[0] for shape in shapes):
        raise UsageError(
            f"the files of {option} have arrays of different shapes", "adopt the model once for each shape"
        )
    return found


def calibration(paths: Sequence[Path], artifact: Artifact, most: int) -> list[dict[str, np.ndarray]]:
    """At most `most` requests to an adopted model: of `.npz` files, or of pictures, preprocessed as its record says.

    Inputs beside the picture have the values that the model was adopted with.
    """
    from edgebench.training.data import pictures

    if not paths:
        return []
    for path in paths:
        if not path.exists():
            raise BadFile(f"{path} does not exist", CALIBRATION)
    each_file = [inner for path in paths for inner in (sorted(path.glob("*.npz")) if path.is_dir() else [path])]
    if files := [path for path in each_file if path.suffix.lower() == ".npz"]:
        return given(pictures.spread(files, most), artifact.inputs, option="--calibration")
    how = artifact.preprocessing
    if how is None:
        raise UsageError(
            f"--calibration {paths[0]}: what does {artifact.path.name} make of a picture?",
            "give FILE.npz with an array for each input; or adopt the model with --preprocess",
        )
    spec, own = picture(how, artifact.inputs), read_examples(artifact).requests
    each = images_each(how, spec)
    found = pictures.spread(pictures.files(paths), most * each)
    rows = [found[start : start + each] for start in range(0, len(found) - each + 1, each)]
    return [
        own[i % len(own)]
        | {
            spec.name: preprocess(np.stack([pictures.read(path, how) for path in some]), how, spec.dtype).reshape(
                spec.sizes
            )
        }
        for i, some in enumerate(rows)
    ]


def digests_of(paths: Sequence[str]) -> dict[str, str]:
    """By the absolute path of each file or folder of inputs, a digest of what it holds. Raises BadFile."""
    found = {}
    for path in (Path(each).expanduser().resolve() for each in paths):
        if not path.exists():
            raise BadFile(f"{path} does not exist", CALIBRATION)
        inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        found[str(path)] = digests.of_data([[str(each.relative_to(path)), digests.of_file(each)] for each in inside])
    return found


def most_requests(model_bytes: int) -> int:
    """How many requests to generate: a large model takes long for each, and no cache holds it from one to the next."""
    return max(1, min(REQUESTS, HEAVY // max(1, model_bytes)))


def generated(
    specs: Sequence[TensorSpec], below: Mapping[str, int], seed: int, most: int
) -> tuple[list[dict[str, np.ndarray]], dict[str, str]]:
    """At most `most` requests of these sizes, and by input, in words, what their values are."""
    one = sum(int(np.prod(spec.sizes)) * np.dtype(spec.dtype).itemsize for spec in specs)
    count = max(min(FEWEST, most), min(most, LARGEST // max(1, one)))
    random = np.random.default_rng(seed)
    requests = [{spec.name: _values(spec, specs, below, random)[0] for spec in specs} for _ in range(count)]
    return requests, {spec.name: _values(spec, specs, below, random)[1] for spec in specs}


def of_pictures(
    paths: Sequence[Path], how: Preprocessing, specs: Sequence[TensorSpec], below: Mapping[str, int], seed: int
) -> tuple[list[dict[str, np.ndarray]], dict[str, str]]:
    """Requests that are filled with pictures, or with random pixels where there are none; other inputs are generated.

    Where the pictures do not fill the last request, the first come once more.
    """
    from edgebench.training.data import pictures

    spec = picture(how, specs)
    each = images_each(how, spec)
    requests, values = generated(specs, below, seed, REQUESTS)
    if paths:
        requests = requests[: max(1, -(-len(paths) // each))]
    chosen = pictures.spread(paths, len(requests) * each)
    random, size = np.random.default_rng(seed), (each, how.height, how.width, 3)
    for i, request in enumerate(requests):
        if chosen:
            images = np.stack([pictures.read(chosen[(i * each + j) % len(chosen)], how) for j in range(each)])
        else:
            images = random.integers(0, 256, size, np.uint8)
        request[spec.name] = preprocess(images, how, spec.dtype).reshape(spec.sizes)
    return requests, values | {spec.name: f"{len(chosen)} pictures" if chosen else "random pixels"}


def images_each(how: Preprocessing, spec: TensorSpec) -> int:
    """How many pictures one request takes."""
    return spec.sizes[0] if how.axes.startswith("n") else 1


def _values(
    spec: TensorSpec, specs: Sequence[TensorSpec], below: Mapping[str, int], random: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Values for one input, and in words what they are."""
    name, sizes, kind = spec.name[:TELLING].lower(), spec.sizes, np.dtype(spec.dtype)

    def filled(value: object, told: str) -> tuple[np.ndarray, str]:
        return np.full(sizes, value, kind), told

    def integers(low: int, high: int) -> tuple[np.ndarray, str]:
        made = np.asarray(random.integers(low, high, sizes, np.int64), kind)  # of a scalar it is none yet
        return made, f"integers from {low} to {high - 1}"

    if kind.kind == "b" or (MASK.search(name) and kind.kind in "iu"):
        return filled(1, "ones")
    if kind.kind in "fc":
        if STATE.search(name):
            return filled(0, "zeros, as at the beginning")
        if SIZE.search(name) and sizes[-1:] == (2,):
            return _image_size(spec, specs)
        if SCALE.search(name):
            return filled(1, "ones")
        return np.asarray(random.integers(0, 256, sizes) / 255, kind), "0 to 1"  # in steps of a pixel
    if spec.name in below:
        return integers(0, min(below[spec.name], 2**31))
    if RATE.search(name):
        return filled(16_000, "16000")
    if SIZE.search(name) and sizes[-1:] == (2,):
        return _image_size(spec, specs)
    if TYPE_IDS.search(name):
        return filled(0, "zeros")
    if LENGTHS.search(name):
        longest = max((max(other.sizes[1:], default=1) for other in specs if other.name != spec.name), default=1)
        return filled(longest, f"{longest}, the longest that fits")
    if kind.itemsize == 1:
        bounds = np.iinfo(kind)
        return integers(int(bounds.min), int(bounds.max) + 1)
    if BYTES.search(name):
        return integers(0, 256)
    if IDS.search(name):
        return integers(0, 1000)
    return integers(0, 2)


def _image_size(spec: TensorSpec, specs: Sequence[TensorSpec]) -> tuple[np.ndarray, str]:
    """Height and width of the first input that is an image."""
    shape = next((other.sizes for other in specs if len(other.sizes) == 4), (1, 3, 1, 1))
    size = shape[2:4] if shape[1] in (1, 3) else shape[1:3]
    made = np.broadcast_to(np.array(size, spec.dtype), spec.sizes)
    return np.array(made, order="C"), f"{size[0]} × {size[1]}, the size of the image"
