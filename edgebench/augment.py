"""Changes to training images, made on the device for a whole batch at once, that leave their class as it is."""

from __future__ import annotations

import torch


def shift(images: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Move each of `images` (N, C, H, W) by up to `share` of its size in both directions; its edge fills the gap."""
    count, _, height, width = images.shape

    def positions(size: int) -> torch.Tensor:
        most = int(share * size)
        offsets = torch.randint(-most, most + 1, (count, 1), generator=generator)
        return (torch.arange(size) + offsets).clamp(0, size - 1).to(images.device)

    rows, columns = positions(height)[:, None, :, None], positions(width)[:, None, None, :]
    image, channel = (torch.arange(n, device=images.device) for n in images.shape[:2])
    return images[image[:, None, None, None], channel[None, :, None, None], rows, columns]
