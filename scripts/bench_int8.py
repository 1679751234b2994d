"""int8 beside fp32 on each runtime: backbones at 224 with random weights, adopted and exported by edgebench itself.

    .venv/bin/python scripts/bench_int8.py [MODEL…] [--workspace FOLDER]

Speed does not depend on the weights; accuracy does, and is not judged here. Prints a line in Markdown for each artifact
and runtime as soon as it is known: how many times as fast as fp32 it is, with the 95 % interval. Takes some minutes a
backbone, most of them to quantize.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from pathlib import Path

import numpy as np

import edgebench
from edgebench.errors import EdgebenchError
from edgebench.training.models.names import import_timm
from edgebench.training.short_names import GROUPS, SHORT_NAMES

SIZE, IMAGES = 224, 12
SEVEN = GROUPS["the seven backbones"]


def written(model: str, folder: Path) -> Path:
    """The network as an ONNX file."""
    import torch

    path = folder / f"{model}.onnx"
    if not path.exists():
        torch.manual_seed(0)
        network = import_timm().create_model(SHORT_NAMES[model], num_classes=10, exportable=True)
        with torch.no_grad():
            network.train()(torch.randn(8, 3, SIZE, SIZE))  # so that its normalisations have seen something
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(), (torch.zeros(1, 3, SIZE, SIZE),), str(path), input_names=["input"],
                output_names=["logits"], opset_version=17, dynamo=False,
            )  # fmt: skip
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(SEVEN))
    parser.add_argument("--workspace", type=Path, default=Path("runs/int8"))
    given = parser.parse_args()
    inputs = given.workspace / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    for i in range(IMAGES):
        image = np.random.default_rng(i).normal(size=(1, 3, SIZE, SIZE))
        np.savez(inputs / f"{i}.npz", input=image.astype(np.float32))
    print("| model | format | × fp32 |\n|---|---|---|", flush=True)
    for model in given.models:
        source = edgebench.adopt(written(model, given.workspace), workspace=given.workspace)
        for target in ("onnx", "openvino"):
            try:
                made = edgebench.export(source, target, workspace=given.workspace, precision="int8", calibration=inputs)
                told = [one.told for one in made.beside_fp32]
            except EdgebenchError as error:
                told = [error.message]
            print("".join(f"| {model} | {target} | {line} |\n" for line in told), end="", flush=True)


if __name__ == "__main__":
    main()
