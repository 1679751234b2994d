"""A model file from elsewhere becomes an artifact folder in the workspace, or is found to be one already."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgebench import artifact as folder
from edgebench.adopting import named
from edgebench.adopting.asked import Adoption
from edgebench.adopting.linking import beside
from edgebench.adopting.named import TIMM, is_named
from edgebench.adopting.opener import LIMIT_S, Opener
from edgebench.errors import BadFile, UsageError, positive
from edgebench.machine import registry
from edgebench.records import digests, replacing
from edgebench.records.adopted import folder_name
from edgebench.records.missing import missing
from edgebench.records.weight_files import PICKLED, SAFE
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact

UNFINISHED = ".adopting-"  # how the name of a folder begins that is being filled
MOST_PICTURES = 64  # of a folder that is given as inputs
NO_NAMES = {"model", "network", "net", "model_quantized", "model_fp16", "best", "last"}  # say nothing of the model


def adopt(
    file: Path, workspace: Workspace, *, network: str = "", name: str = "",
    shapes: Mapping[str, tuple[int, ...]] | None = None, inputs: Sequence[Path] = (), preprocess: str = "",
    seed: int = 0, out: Path | None = None, again: bool = True, tell: Callable[[str], None] = lambda stage: None,
    time_limit_s: float = LIMIT_S, opener: Opener | None = None,
) -> Artifact:  # fmt: skip
    """Make an artifact folder of a model file, in `out` or in the workspace; the model is opened and run on this CPU.

    `file` may be `timm:NAME`, or weights of which `network` says to what they belong: timm's name, or FILE.py:function.
    `shapes`: the sizes of inputs by name, where the file leaves them open. `inputs`: `.npz` files with a request each,
    or pictures and folders of them; without them, requests are generated from `seed`. `preprocess`: how a picture
    becomes the input, as preprocessing.py reads it. Without `again`, an artifact that was made of the same bytes with
    the same settings is returned as it is. `time_limit_s`: for opening it, and for each answer. `opener`: the process
    to ask, if it was started before. Raises UsageError, BadFile or Unsupported, with the fix.
    """
    positive("--time-limit", time_limit_s)
    runtime, format = adopter(file, network)
    name, shapes = name or _name(file), dict(shapes or {})
    if preprocess:
        from edgebench.adopting import preprocessing

        preprocessing.read(preprocess)
    arrays, images = _inputs(inputs, preprocess or network or is_named(file))
    asked = Adoption(
        file=str(file), format=format, runtime=runtime, name=name, network=network, shapes=shapes,
        inputs=tuple(map(str, arrays)), pictures=tuple(map(str, images)), preprocess=preprocess, seed=seed,
    )  # fmt: skip

    def identify() -> tuple[dict[str, str], str, Path]:
        """The digests of the file and of what was asked for, and the artifact's folder."""
        known = {} if is_named(file) else {file.name: digests.of_file(file)}
        wanted = [name, shapes, seed if not arrays else None, [digests.of_file(path) for path in (*arrays, *images)]]
        wanted += [preprocess] if preprocess else []
        settings = digests.of_data([*known.values(), *_network(file, network), *wanted])
        return known, settings, out or workspace.artifacts / folder_name(name, settings, format)

    tell("reading the file")
    with ThreadPoolExecutor(1) as aside:  # it is hashed while it is opened
        identified = aside.submit(identify)
        if not again:
            _, settings, target = identified.result()
            if found := _earlier(target, settings, file):
                return found
        if is_named(file):
            named.check(file)
        folder.ensure_writable(out or workspace.artifacts / UNFINISHED)
        where = out.parent if out else workspace.artifacts
        make = partial(tempfile.mkdtemp, dir=where, prefix=UNFINISHED, suffix=replacing.PARTIAL)
        with opener or Opener() as asking, replacing.unfinished(where, UNFINISHED, make) as place:
            made = asking.made(asked, place, time_limit_s=time_limit_s, tell=tell)
            known, settings, target = identified.result()
            made = replace(made, adopted=replace(made.adopted, settings=settings))
            with folder.staged(target) as scratch:
                for path in place.iterdir():
                    path.rename(scratch / path.name)
                written = folder.write_manifest(scratch, made, known)
    return replace(written, path=target)


def adopter(file: Path, network: str = "") -> tuple[str, str]:
    """The runtime that reads files of this kind, and their format. Raises UsageError or BadFile."""
    weights = is_named(file) or file.suffix.lower() in (SAFE, *PICKLED)
    if weights or network:
        _check_network(file, network, weights)
        return registry.native("checkpoint"), "checkpoint"
    kinds = {
        suffix: (name, format) for name, stated in registry.all_facts("runtimes").items()
        for format, suffix in stated.suffixes.items() if format in stated.adopts
    }  # fmt: skip
    if file.is_dir():
        raise UsageError(f"{file} is a folder", f"name the model file in it: {', '.join(f'*{s}' for s in kinds)}")
    _file(file)
    if file.suffix.lower() not in kinds:
        ending = f"its name ends in {file.suffix!r}" if file.suffix else "its name has no ending"
        raise UsageError(
            f"{file} is not a model file that edgebench adopts: {ending}",
            f"convert it to one that ends in {' or '.join(kinds)}; weights (*{SAFE}, *{', *'.join(PICKLED[:3])}) need "
            "--model NETWORK",
        )
    return kinds[file.suffix.lower()]


def _inputs(given: Sequence[Path], prepared: object) -> tuple[list[Path], list[Path]]:
    """The files of arrays and the pictures among the user's inputs; of many pictures, some that are spread evenly."""
    arrays = [_file(path) for path in given if path.suffix.lower() == ".npz"]
    others = [path for path in given if path.suffix.lower() != ".npz"]
    if arrays and others:
        raise UsageError("--inputs are arrays and pictures at once", "give files.npz, or pictures")
    if not others:
        return arrays, []
    for path in others:
        if not path.exists():
            raise BadFile(f"{path} does not exist", "name a folder of pictures, pictures, or FILE.npz")
    from edgebench.adopting import preprocessing
    from edgebench.training.data import pictures

    found = pictures.spread(pictures.files(others), MOST_PICTURES)
    if not prepared:
        raise UsageError(f"--inputs {others[0]}: what does the model make of a picture?", preprocessing.PICTURES)
    return [], found


def _check_network(file: Path, network: str, weights: bool) -> None:
    """Raise UsageError or BadFile unless weights come with the network that they belong to, and only they."""
    if is_named(file):
        if network:
            raise UsageError(f"{file} names its network already", "leave out --model")
        return
    _file(file)
    if not weights:
        raise UsageError(f"{file} is no file of weights, but --model says what weights belong to", "leave out --model")
    if not network:
        raise UsageError(
            f"{file} holds weights, and nothing says which network they belong to",
            f"edgebench adopt {shlex.quote(str(file))} --model NAME, where NAME is timm's (`edgebench models`) or "
            "FILE.py:function",
        )


def _network(file: Path, network: str) -> list[str]:
    """What else the answers of weights depend on: which network they are of, and of which timm or file."""
    source = Path(network.rpartition(":")[0])
    if source.suffix == ".py" and source.is_file():
        return [network, digests.of_file(source)]
    return [str(file), network, *registry.versions(("timm",)).values()] if network or is_named(file) else []


def _file(path: Path) -> Path:
    if not path.exists():
        raise missing(path)
    if not path.is_file():
        raise BadFile(f"{path} is not a file", "name a file")
    return path


def _name(file: Path) -> str:
    """The model's name: that of its file, or of the folder where the file's says nothing."""
    if is_named(file):
        return str(file).removeprefix(TIMM)
    stem = file.stem
    above = file.resolve().parent.name
    return f"{above}-{stem}" if stem.lower() in NO_NAMES and above else stem


def _earlier(target: Path, settings: str, file: Path) -> Artifact | None:
    """The artifact of an earlier adoption, if it is whole and its weights are still those beside the file."""
    with contextlib.suppress(BadFile):
        found = folder.read(target)
        if found.adopted is None or found.adopted.settings != settings:
            return None
        others = [name for name in found.files if name not in (found.adopted.file, folder.REFERENCE)]
        if found.adopted.network:  # its only file is made of the one that was hashed, or the hub's
            return found
        if all(digests.of_file(beside(file, name)) == found.files[name] for name in others):
            return found
    return None


def read(
    path: Path, workspace: Workspace | None, tell: Callable[[str], None] = lambda stage: None, *, preprocess: str = ""
) -> Artifact:  # fmt: skip
    """The artifact in this folder. In a workspace, a bare name is that of one in it, and a model file or `timm:NAME` is
    the one that was adopted from it, or becomes one.

    `preprocess`: what the caller will make of a picture. A size in it is that of the model where the file leaves that
    open, so a file is then adopted with it; else it is the artifact that every other command takes.
    """
    if workspace and not path.exists() and not is_named(path):
        path = workspace.named(path)
    foreign = is_named(path) or (path.is_file() and path.name not in folder.MANIFESTS)
    if workspace and not foreign and not path.exists():
        raise missing(path, (workspace.artifacts, workspace.checkpoints))
    if workspace and foreign:
        return adopt(path, workspace, preprocess=_sizing(preprocess), again=False, tell=tell)
    return folder.read(path)


def _sizing(preprocess: str) -> str:
    """The preprocessing, if it says a size. Raises UsageError if it cannot be read."""
    if not preprocess:
        return ""
    from edgebench.adopting import preprocessing

    return preprocess if "size" in preprocessing.read(preprocess) else ""
