"""What a checkpoint records of the teacher that it learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Teaches = Literal["logits", "features"]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """The teacher of a training, and the unlabelled frames that it answered to.

    `teacher`: the name of a checkpoint's folder or of a network; `identity`: a sha256 of its weights. `image_size`: of
    the images that it saw, in pixels. `same_splits`: whether it was trained on the same splits; if not, it may have
    seen validation images with their labels; None if it knows no labels. `frames_sha256` is of exactly the frames used;
    `known` frames were left out because they are training images too, `copies` because they equal another frame, and
    `skipped` because they cannot be decoded. `answered_s`: seconds for the teacher's answers, None if they were kept
    from an earlier training.
    """

    teacher: str
    identity: str
    teaches: Teaches
    image_size: int
    same_splits: bool | None = None
    frames: int = 0
    frames_sha256: str = ""
    known: int = 0
    copies: int = 0
    skipped: tuple[str, ...] = ()
    answered_s: float | None = None
