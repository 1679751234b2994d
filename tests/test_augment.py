"""What augmentation does to images, and what it must not do."""

from __future__ import annotations

import pytest
import torch

from edgebench import augment


def ramp(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose pixels tell where they come from: channel 0 holds the row, channel 1 the column, 2 the image."""
    rows = torch.arange(height).view(1, 1, height, 1).expand(count, 1, height, width)
    columns = torch.arange(width).view(1, 1, 1, width).expand(count, 1, height, width)
    numbers = torch.arange(count).view(count, 1, 1, 1).expand(count, 1, height, width)
    return torch.cat([rows, columns, numbers], dim=1).to(torch.uint8)


@pytest.mark.parametrize(("height", "width", "share"), [(32, 32, 0.25), (16, 24, 0.1), (8, 8, 0.4)])
def test_each_image_moves_as_one_and_stays_within_the_share(height: int, width: int, share: float) -> None:
    images = ramp(40, height, width)
    moved = augment.shift(images, share, torch.Generator().manual_seed(1))
    assert moved.shape == images.shape and moved.dtype == images.dtype
    assert (moved[:, 2] == images[:, 2]).all(), "an image received pixels of another"
    offsets = set()
    for image in moved.int():
        row, column = (int(image[c, height // 2, width // 2]) - size // 2 for c, size in ((0, height), (1, width)))
        assert abs(row) <= share * height and abs(column) <= share * width
        assert (image[0, :, 0] == (torch.arange(height) + row).clamp(0, height - 1)).all()
        assert (image[1, 0, :] == (torch.arange(width) + column).clamp(0, width - 1)).all()
        offsets.add((row, column))
    assert len(offsets) > 3, "all images moved alike"


def test_no_share_changes_nothing_and_a_seed_repeats() -> None:
    images = ramp(5, 16, 16)
    assert (augment.shift(images, 0.0, torch.Generator()) == images).all()
    one, two = (augment.shift(images, 0.3, torch.Generator().manual_seed(7)) for _ in range(2))
    assert (one == two).all()
