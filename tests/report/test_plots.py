"""Pictures of training: what they show, and that no name and no gap in the figures breaks them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgebench.errors import Unsupported
from edgebench.report import plots

BROKEN_MATH = r"$\frac{$ 50 % of_all^{"
EPOCHS = [{"epoch": n, "seconds": 2.5 * n, "loss": 2 / n, "validation_accuracy": 1 - 0.8 / n} for n in range(1, 16)]
POINTS = [(100, 0.4, 0.35, 0.45, 5), (1000, 0.7, 0.68, 0.71, 5), (10000, 0.9, 0.9, 0.9, 1)]
ROWS = [
    {"batch_size": 2**k, "fits": k < 7, "images_per_s": 40.0 * k if k < 7 else None, "accuracy": 0.9 if k < 7 else None}
    for k in range(3, 9)
]
PLOTS: dict[str, Callable[[list[str], Path], None]] = {
    "convergence": lambda names, path: plots.convergence(dict.fromkeys(names, tuple(EPOCHS)), path),
    "accuracy_by_samples": lambda names, path: plots.accuracy_by_samples(dict.fromkeys(names, tuple(POINTS)), path),
    "batch_size": lambda names, path: plots.batch_size([row | {"model": n} for n in names for row in ROWS], path),
}


@pytest.fixture(autouse=True)
def _no_warnings():
    """matplotlib warns of what it cannot draw: a glyph, a layout, a legend's entry."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG" and min(image.size) >= 600
        return np.asarray(image.convert("RGB")).astype(int)


def amount(image: np.ndarray, colour: str) -> int:
    """How many pixels have about this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(image - wanted).max(2) < 25).sum())


@pytest.mark.parametrize("plot", PLOTS)
def test_each_name_has_a_line_of_its_own_colour_and_is_text_and_nothing_else(plot: str, tmp_path: Path) -> None:
    PLOTS[plot]([BROKEN_MATH, "\\alpha\n\x1b[2J" + "x" * 500], path := tmp_path / "new" / "plot.png")
    image = pixels(path)
    blue, orange, green = (amount(image, colour) for colour in plots.COLOURS[:3])
    assert blue > 500 and orange > 500 and green < 50


def test_the_legend_shows_a_name_that_begins_with_an_underscore(tmp_path: Path) -> None:
    images = []
    for name in ("_hidden", "_buried"):
        PLOTS["accuracy_by_samples"]([name], tmp_path / "plot.png")
        images.append(pixels(tmp_path / "plot.png"))
    assert (images[0] != images[1]).any()


def test_more_models_than_colours_all_fit(tmp_path: Path) -> None:
    histories = {
        f"model {n}": [epoch | {"loss": n, "seconds": n * epoch["epoch"]} for epoch in EPOCHS] for n in range(9)
    }
    plots.convergence(histories, path := tmp_path / "plot.png")
    assert all(amount(pixels(path), colour) > 300 for colour in plots.COLOURS)


def test_one_epoch_is_a_visible_point_and_a_figure_that_is_missing_no_error(tmp_path: Path) -> None:
    histories = {
        "one": EPOCHS[:1],
        "gap": [EPOCHS[0], EPOCHS[1] | {"loss": None}, EPOCHS[2]],
        "nothing": [{"epoch": 1}],
    }
    plots.convergence(histories, path := tmp_path / "plot.png")
    blue, orange = (amount(pixels(path), colour) for colour in plots.COLOURS[:2])
    assert blue > 100 and orange > 500


def test_one_model_with_one_seed_is_a_visible_point_without_an_interval(tmp_path: Path) -> None:
    plots.accuracy_by_samples({"run": [(500, 0.5, 0.5, 0.5, 1)]}, tmp_path / "one.png")
    plots.accuracy_by_samples({"run": [(500, 0.5, 0.3, 0.6, 5)]}, tmp_path / "five.png")
    one, five = (amount(pixels(tmp_path / name), plots.COLOURS[0]) for name in ("one.png", "five.png"))
    assert 100 < one < five


def test_only_a_batch_that_fits_has_the_ring_and_others_have_a_cross(tmp_path: Path) -> None:
    def drawn(rows: list[dict], name: str) -> np.ndarray:
        plots.batch_size(rows, tmp_path / name)
        image = pixels(tmp_path / name)
        return image[: -len(image) // 8]  # without the legend

    row = ROWS[0] | {"images_per_s": 100.0}
    fits = drawn([row], "fits.png")
    fails = drawn([row | {"fits": False}], "fails.png")
    left, right = slice(None, fits.shape[1] // 2), slice(fits.shape[1] // 2, None)
    assert amount(fits[:, left], "#000000") > amount(fails[:, left], "#000000") + 100
    assert amount(fails[-len(fails) // 4 :, right], plots.COLOURS[0]) > 50
    assert amount(fits[-len(fits) // 4 :, right], plots.COLOURS[0]) == 0


def test_without_matplotlib_the_fix_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Unsupported) as raised:
        plots.convergence({"run": EPOCHS}, tmp_path / "plot.png")
    assert raised.value.fix == "pip install 'edgebench[plot]'"
