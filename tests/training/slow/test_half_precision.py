"""fp16 on a CPU: no step is lost at the beginning because the gradients were scaled beyond what fp16 holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgebench.records.recipe import TrainConfig
from edgebench.training.loop import train

NETWORK = '''
from torch import nn

class Net(nn.Module):
    """Its gradients are large: scaled by torch's first 65,536 they overflow in fp16."""

    def __init__(self, num_classes, image_size):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, 32), nn.ReLU())
        self.fc = nn.Linear(32, num_classes)

    def forward(self, images):
        return 8 * self.fc(self.body(images))

def make(num_classes, image_size):
    return Net(num_classes, image_size)
'''


@pytest.mark.parametrize(("first", "lost"), [(None, False), (65_536.0, True)], ids=["ours", "torch's"])
def test_no_step_is_lost_to_the_first_scale(first: float | None, lost: bool, tmp_path: Path, monkeypatch) -> None:
    path, scales, update = tmp_path / "net.py", [], torch.amp.GradScaler.update
    path.write_text(NETWORK)

    def watched(self: torch.amp.GradScaler, *given: object) -> None:
        update(self, *given)
        scales.append(self.get_scale())

    monkeypatch.setattr(torch.amp.GradScaler, "update", watched)
    if first:
        monkeypatch.setattr("edgebench.training.learner.FIRST_SCALE", first)
    config = TrainConfig(
        model=f"{path}:make", dataset="digits", image_size=8, subset="200", epochs=2, init="random", floor=False,
        threads=1, amp="fp16",
    )  # fmt: skip
    train(config, tmp_path / "made")
    assert len(scales) >= 4 and (len(set(scales)) > 1) == lost
