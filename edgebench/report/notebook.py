"""Results as a pandas table, for a notebook."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import BadFile, Unsupported
from edgebench.report.written import WRITTEN, record
from edgebench.results import index, store
from edgebench.results.rows import merged

if TYPE_CHECKING:
    import pandas


def load(path: Path, newest: bool) -> pandas.DataFrame:
    """See `results.load`."""
    try:
        import pandas
    except ImportError as error:
        raise Unsupported(f"pandas does not load: {error}", "pip install 'edgebench[notebook]'") from None
    folder = store.folder_in(path)
    if not folder.is_dir():
        raise BadFile(f"{folder} does not exist", "give a workspace or a folder of results")
    entries, problems = index.load(folder)
    for problem in problems:
        warnings.warn(f"skipped {problem.message}", stacklevel=3)
    rows = merged(entries) if newest else sorted((entry.row for entry in entries), key=lambda row: row.created)
    table = pandas.DataFrame([record(row) for row in rows], columns=[column.name for column in WRITTEN])
    return table.assign(created=pandas.to_datetime(table["created"], utc=True, format="ISO8601"))
