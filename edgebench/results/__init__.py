"""Stored results: their files, the figures over launches, the rows of tables, and a cache that makes reading fast."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


def load(path: str | os.PathLike[str] = "runs", *, newest: bool = True) -> pandas.DataFrame:
    """The results of a workspace or of a folder of results as a pandas table, one row per measurement.

    The columns are those of `edgebench report --format csv`, with units in their names: `median_ms`,
    `throughput_per_s`, `peak_memory_mib`, `energy_mj`. Accuracies and half widths are shares in [0, 1]; `created` is a
    time in UTC. What was not measured is missing (NaN or None), never 0. `newest`: only the newest result of each
    measurement, with its accuracy, as in the report; else every result, evaluations too, oldest first. A file that
    cannot be read gives a warning. Raises BadFile if the folder does not exist, Unsupported without pandas.
    """
    from edgebench.report import notebook

    return notebook.load(Path(path), newest)
