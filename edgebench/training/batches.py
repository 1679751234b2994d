"""Brings batches of images to the device: from a copy of the set held there, or read one batch ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from edgebench.specs import Preprocessing
from edgebench.training.data import Images

ON_DEVICE_BYTES = 2 << 30  # a training set up to this size is held on the device as a whole


def normalisation(preprocessing: Preprocessing, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """Images stay uint8 until they are on the device, and are normalised there a batch at a time."""
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    return lambda images: (images.float() / 255 - mean) / std


class BatchReader:
    """The images of a split as uint8 tensors (n, 3, height, width), channels last in memory, with their labels (n,)."""

    def __init__(self, split: Images, device: torch.device) -> None:
        self._split, self._device, self._held = split, device, None
        self._labels = torch.from_numpy(split.labels)
        plain = type(split.images) is np.ndarray  # neither resized on demand nor mapped from a disk
        if plain and split.images.nbytes <= ON_DEVICE_BYTES:
            self._held = torch.from_numpy(split.images).permute(0, 3, 1, 2).to(device)

    def read(self, chosen: Iterable[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The images and labels of each batch; `chosen` holds the batches' indices, int64 (n,) each."""
        if self._held is not None:
            for indices in chosen:
                yield self._held[indices.to(self._device)], self._labels[indices].to(self._device)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = None
            for indices in chosen:
                following = reader.submit(self._read, indices)
                if ahead is not None:
                    yield ahead.result()
                ahead = following
            if ahead is not None:
                yield ahead.result()

    def _read(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(np.ascontiguousarray(self._split.images[indices.numpy()]))
        return images.permute(0, 3, 1, 2).to(self._device), self._labels[indices].to(self._device)
