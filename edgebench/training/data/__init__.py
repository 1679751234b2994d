"""Datasets: what the rest of edgebench may use of them. `find` names one, `load` cuts it in three without overlap."""

from __future__ import annotations

from edgebench.protocols import Pixels
from edgebench.training.data.catalogue import find, of
from edgebench.training.data.pixels import resize
from edgebench.training.data.sources import Dataset, Images, Splits
from edgebench.training.data.splitting import account, check, digest, few, load
from edgebench.training.data.subset import subset_count

__all__ = [
    "Dataset",
    "Images",
    "Pixels",
    "Splits",
    "account",
    "check",
    "digest",
    "few",
    "find",
    "load",
    "of",
    "resize",
    "subset_count",
]
