"""The notebook runs as it is, over results with gaps, and is committed without outputs."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from conftest import REPOSITORY
from factories import make_artifact, make_result, make_samples
from nbclient import NotebookClient

from edgebench.results import store

NOTEBOOK = REPOSITORY / "notebooks" / "analysis.ipynb"


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n, (model, device) in enumerate((("resnet50", "cpu"), ("mobilenetv3", "cpu"), ("resnet50", "jetson_orin"))):
        artifact, samples = make_artifact(model=model), [make_samples(((n + 1) * 1_000_000,) * 40)] * 5
        for day in (1, 2):
            created = f"2026-01-0{day}T00:00:0{n}.000000+00:00"
            evidence = "measured" if device == "cpu" else "emulated"
            result = make_result(artifact, samples=samples, device=device, created=created, evidence=evidence)
            store.save(result, tmp_path / "results")
    store.save(make_result(status="timeout", message="too slow", runtime="openvino"), tmp_path / "results")
    monkeypatch.setenv("EDGEBENCH_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": os.fspath(tmp_path)}}
    NotebookClient(notebook, timeout=300, startup_timeout=300, resources=where).execute()
    said = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "resnet50" in said and "mobilenetv3" in said and "chosen" in said
    assert "(4, 3)" in said, "results, and those that are ok"
