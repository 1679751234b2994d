"""Finds a dataset by its name, or in a folder by the files there. A new file layout is recognised here."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile, Unsupported, UsageError, unknown_name
from edgebench.records.recipe import NAMED_DATASETS, TrainConfig
from edgebench.training.data import cifar, class_folders, download, idx, labelled_files, layouts
from edgebench.training.data.sources import Arrays, Dataset, Raw, Rules
from edgebench.training.folders import data_folder

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)  # fmt: skip (https://github.com/zalandoresearch/fashion-mnist, in the order of their numbers)
NUMERALS = tuple("0123456789")
IDX_FIRST = "train-images-idx3-ubyte"


def find(
    name: str,
    data_dir: str | Path | None = None,
    *,
    layout: str | None = None,
    labels: str | Path | None = None,
    download: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """The dataset of this name (NAMED_DATASETS), or the one in the folder `name`.

    Reads only the class names. `layout` and `labels`: as in TrainConfig, for folders. `download` fetches CIFAR-10 or
    -100 if it is not in `data_dir` (by default `data_folder()`); `on_progress(done, total)` counts bytes. Raises
    UsageError for a name or folder that does not exist, BadFile for a dataset that is damaged or not on this machine.
    """
    if name in NAMED_DATASETS and (layout or labels):
        raise UsageError(f"--{'layout' if layout else 'labels'} is for folders, not for {name}", "leave it out")
    if name == "digits":
        # The digits have 8 pixels; at 40, a MobileNetV3 needs only small changes (models/small_images.py).
        return Dataset(name="digits", classes=NUMERALS, image_size=16, flip=False, read=_digits)
    if name in NAMED_DATASETS:
        return _named(name, Path(data_dir or data_folder()).expanduser(), download, on_progress)
    path = Path(name).expanduser() if name else Path("\0")
    if os.path.isdir(path):
        return _folder(path, layout, labels) if layout or labels else _recognised(path)
    if os.path.exists(path):
        raise UsageError(f"dataset {name} is a file", "unpack it and name the folder")
    if "/" in name or os.sep in name:
        raise UsageError(
            f"there is no folder {name}", f"name a folder of images, or one of {', '.join(NAMED_DATASETS)}"
        )
    raise unknown_name("dataset or folder", name, NAMED_DATASETS)


def of(
    config: TrainConfig, *, download: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:  # fmt: skip
    """The dataset that a recipe names, understood and divided as it says (see `find` and Rules)."""
    found = find(
        config.dataset, config.data_dir, layout=config.layout, labels=config.labels, download=download,
        on_progress=on_progress,
    )  # fmt: skip
    rules = Rules(near_copies=config.near_copies, group_by=config.group_by, skip_conflicts=config.skip_conflicts)
    return replace(found, rules=rules)


def _named(name: str, root: Path, fetch: bool, on_progress: Callable[[int, int], None]) -> Dataset:
    layouts = {layout.folder: layout.first for layout in cifar.LAYOUTS if layout.dataset == name}
    looked = layouts or {name: IDX_FIRST if name == "fashion-mnist" else "train"}
    for inside, first in looked.items():
        if (root / inside / first).exists() or idx.find_file(root / inside, first):
            return _recognised(root / inside)
    if fetch and name in download.ARCHIVES:
        return _recognised(download.fetch(download.ARCHIVES[name], root, on_progress))
    places = " nor ".join(str(root / inside / first) for inside, first in looked.items())
    if name in download.ARCHIVES:
        url = download.ARCHIVES[name].url
        fix = f"fetch it with --download, or unpack {url} into {root}"
    elif name == "fashion-mnist":
        fix = f"put the four .gz files of https://github.com/zalandoresearch/fashion-mnist into {root / name}"
    else:
        fix = f"ask for it at https://image-net.org, and unpack it as {root / name}/train/<wnid>/ and val/<wnid>/"
    raise BadFile(
        f"dataset {name} is not on this machine: there is no {places}",
        f"{fix}; if it is elsewhere, let EDGEBENCH_DATA name its parent folder",
    )


def _recognised(path: Path) -> Dataset:
    """The dataset in a folder, recognised by its files. Arrays are read once, for the check before a training too."""
    for layout in cifar.LAYOUTS:
        if any((path / name).is_file() for name in layout.train):
            classes = cifar.class_names(path, layout)
            return Dataset(
                name=layout.dataset,
                classes=classes,
                image_size=32,
                flip=True,
                read=functools.cache(partial(cifar.read, path, layout, len(classes))),
            )
    if idx.find_file(path, IDX_FIRST):
        read = functools.cache(partial(idx.read, path))
        if path.resolve().name == "fashion-mnist":
            return Dataset(name="fashion-mnist", classes=FASHION, image_size=32, flip=True, read=read)
        # MNIST and datasets like it show numerals and letters: mirrored, they mean something else
        return Dataset(name=path.resolve().name, classes=NUMERALS, image_size=32, flip=False, read=read)
    return _folder(path)


def _folder(path: Path, layout: str | None = None, labels: str | Path | None = None) -> Dataset:
    """A folder of image files, whose labels are the names of folders, or in tables."""
    table = labelled_files.named(path, Path(labels).expanduser()) if labels else None
    if not table and not layout:
        table = labelled_files.roboflow(path)
    found = table or layouts.layout(path, layout)
    return Dataset(
        name=path.resolve().name,
        classes=found.classes,
        image_size=224,
        flip=True,
        read=partial(labelled_files.read, table) if table else partial(class_folders.read, found),
    )


def _digits() -> Raw:
    """scikit-learn's 1,797 handwritten digits (UCI optdigits test set): 8 × 8 grey values from 0 to 16."""
    spec = importlib.util.find_spec("sklearn")  # only the file: importing sklearn takes seconds
    if not spec or not spec.origin:
        raise Unsupported(
            "the handwritten digits come with scikit-learn, which is not installed", "pip install 'edgebench[train]'"
        )
    table = np.loadtxt(
        Path(spec.origin).parent / "datasets/data/digits.csv.gz", delimiter=","
    )  # 64 pixels and the label
    grey = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Raw(source=Arrays(grey, table[:, -1].astype(np.int64)), train=np.arange(len(grey)))
