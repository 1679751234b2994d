"""Datasets: what the rest of edgebench may use of them. `find` names one, `load` cuts it in three without overlap."""

from __future__ import annotations

from edgebench.data.catalogue import find
from edgebench.data.loading import check, digest, load
from edgebench.data.pixels import resize
from edgebench.data.sources import Dataset, Images, Pixels, Splits
from edgebench.data.subset import subset_count

__all__ = ["Dataset", "Images", "Pixels", "Splits", "check", "digest", "find", "load", "resize", "subset_count"]
