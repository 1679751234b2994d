"""The whole chain in a few lines of Python: train → export → evaluate → run → compare → select."""

from __future__ import annotations

from pathlib import Path

import edgebench


def test_from_images_to_a_decision(tmp_path: Path) -> None:
    here = tmp_path / "runs"
    checkpoint = edgebench.train(dataset="digits", subset="200", epochs=4, floor=False, workspace=here)
    exported = edgebench.export(checkpoint, "onnx", workspace=here)
    (judged,) = edgebench.evaluate(exported, runtime="ort", workspace=here)
    quick = {"runtime": "ort", "duration_s": 1.0, "warmup_s": 0.0, "launches": 1, "precision_target": 0.0}
    (measured,) = edgebench.run(exported.path, workspace=here, **quick)
    (cell,) = edgebench.compare(here, measured).cells
    decision = edgebench.select(here, max_median_ms=10_000, min_accuracy=judged.evaluation.accuracy)

    assert checkpoint.path.parent == here / "checkpoints" and exported.path.parent == here / "artifacts"
    assert measured.status == "ok" and measured.summary.median_ns > 0
    assert cell.outcome == "inconclusive" and "each side needs 5" in cell.reason
    assert decision.chosen.row.artifact == exported.identity and decision.chosen.row.runtime == "onnxruntime"
    table = edgebench.results.load(here)
    assert list(table.deployed_accuracy) == [judged.evaluation.accuracy]
    assert len(edgebench.results.load(here, newest=False)) == 2
