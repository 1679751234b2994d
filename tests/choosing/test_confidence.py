"""How sure a deployed folder has to be: the curve against a plain count, and the folder that answers itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import make_artifact

from edgebench.choosing import confidence
from edgebench.errors import EdgebenchError
from edgebench.measuring import testset
from edgebench.results import stats


def test_the_curve_is_what_a_plain_count_gives() -> None:
    rng = np.random.default_rng(1)
    shares = rng.uniform(0.3, 1, 400).round(2)
    right = rng.uniform(size=400) < shares
    found = confidence.curve(shares, right)
    assert found[0].threshold == 0 and found[0].coverage == 1
    for one in found:
        kept = [bool(r) for s, r in zip(shares, right, strict=True) if s >= one.threshold]
        assert one.coverage == len(kept) / 400 and one.error == pytest.approx(kept.count(False) / len(kept))
        assert one.error_high == stats.wilson(kept.count(False), len(kept))[1]
    assert sorted((one.coverage for one in found), reverse=True) == [one.coverage for one in found]
    assert (
        confidence.curve(np.ones(9), np.ones(9, bool))[0].error == 0
        and len(confidence.curve(np.ones(9), right[:9])) == 1
    )
    assert "| 0.000 | 100.0% |" in confidence.table(found)


def test_the_folder_answers_its_validation_images(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "made", classes=2)
    size, labels = artifact.preprocessing.height, np.arange(40) % 2
    pictures = np.broadcast_to((labels * 255).astype(np.uint8)[:, None, None, None], (40, size, size, 3))
    testset.write(tmp_path / "images.npz", pictures, labels, None, artifact.origin or artifact.identity)
    (tmp_path / "infer.py").write_text(
        "import numpy as np\ndef logits(image):\n    mean = np.asarray(image).mean()\n    return [255 - mean, mean]\n"
    )
    (found,) = confidence.calibrate(tmp_path, artifact, tmp_path / "images.npz")
    assert (found.images, found.coverage, found.error) == (40, 1.0, 0.0) and 0 < found.error_high < 0.1
    (tmp_path / "infer.py").write_text("raise SystemExit('error: no runtime')")
    with pytest.raises(EdgebenchError, match="error: no runtime"):
        confidence.calibrate(tmp_path, artifact, tmp_path / "images.npz")
