"""`edgebench train --distill` as typed: what is recorded, the kept answers, and a run that was killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from conftest import Command
from datasets import random_images
from PIL import Image
from safetensors.torch import save_file

from edgebench import artifact
from edgebench.specs import Artifact
from edgebench.training import fitting, models

ENCODER = "test_resnet"
QUICK = (
    "--epochs", "2", "--subset", "20", "--batch-size", "8", "--image-size", "16", "--model", ENCODER, "--no-floor",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["logits", "features"])
def test_a_student_learns_resumes_and_records_its_teacher(
    kind: str, in_process: Command, checkpoint: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    save_file(models.import_timm().create_model(ENCODER).state_dict(), weights := tmp_path / "encoder.safetensors")
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "frames").mkdir()
    for i, image in enumerate(random_images(12, 8, seed=7)):
        Image.fromarray(image).save(tmp_path / "frames" / f"{i}.png")
    named = [str(checkpoint.path)] if kind == "logits" else [f"{ENCODER}={weights}", "--distill-size", "32"]
    given = (
        "train", *QUICK, "--distill", *named, "--unlabelled", tmp_path / "frames", "--mixup", "0.2",
        "--workspace", tmp_path / "runs",
    )  # fmt: skip
    done = in_process(*given, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    assert f"({kind})" in done.stdout and "12 unlabelled frames" in done.stdout
    whole = artifact.read(tmp_path / "whole")
    taught = whole.training.distilled
    assert (taught.teaches, taught.frames, taught.image_size) == (
        kind,
        12,
        checkpoint.preprocessing.height if kind == "logits" else 32,
    )
    assert taught.answered_s is not None and len(taught.frames_sha256) == 64
    assert whole.training.config.unlabelled == str(tmp_path / "frames")
    assert "projection" not in " ".join(models.restore(whole).state_dict())

    epoch = fitting._epoch

    def stopped(number: int, *rest) -> fitting._Epoch:
        if number == 2:
            raise RuntimeError("killed")
        return epoch(number, *rest)

    monkeypatch.setattr(fitting, "_epoch", stopped)
    with pytest.raises(RuntimeError, match="killed"):
        in_process(*given, "--out", tmp_path / "again")
    monkeypatch.setattr(fitting, "_epoch", epoch)
    frame = tmp_path / "frames" / "3.png"
    before = frame.read_bytes(), frame.stat()
    frame.write_bytes((tmp_path / "frames" / "4.png").read_bytes())
    done = in_process(*given, "--out", tmp_path / "again", "--resume")
    assert "the unlabelled frames changed since this run began" in done.stderr
    frame.write_bytes(before[0])
    os.utime(frame, ns=(before[1].st_atime_ns, before[1].st_mtime_ns))
    done = in_process(*given, "--out", tmp_path / "again", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("answered before") == 2, "the second training reads the answers of the first"
    again = artifact.read(tmp_path / "again")
    assert again.files["weights.safetensors"] == whole.files["weights.safetensors"], "resumed to the same weights"
    if kind == "logits":  # another seed labels other images
        done = in_process(*given, "--seed", "1", "--epochs", "1", "--out", tmp_path / "other")
        assert done.stderr.count("answered before") == 1, "the frames are the same"
