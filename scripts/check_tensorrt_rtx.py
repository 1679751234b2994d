"""Every backbone in every precision against NVIDIA's parser, and plans of four: no card, no driver, some minutes.

.venv/bin/python scripts/check_tensorrt_rtx.py
.venv/bin/python scripts/check_tensorrt_rtx.py mobilenetv3 --image-size 64
.venv/bin/python scripts/check_tensorrt_rtx.py --shallow --image-size 32 --plans fp16 int8 --jobs 2     what CI runs

Makes untrained networks (the graph does not depend on the weights), exports each as ONNX in fp32, fp16 and int8, which
is calibrated on noise, and in fp32 with a camera's bytes; hands them over as `edgebench export --target rtx` does, and
prints a table in Markdown: what the parser says, and how large the plan is and how long it took. Exit code 1 if
anything was refused, which is told with its node. `--shallow` keeps one or two of the blocks that a network repeats:
the same operators in the same patterns, in less time. Most of it NNCF spends on looking for patterns.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from edgebench.exporters import onnx as onnx_exporter
from edgebench.exporters import onnx_input, onnx_lower, onnx_trace, tensorrt_plan

from edgebench import artifact as folder
from edgebench.errors import EdgebenchError
from edgebench.machine import registry
from edgebench.records.workspace import now
from edgebench.specs import Artifact, Calibration, ExportOptions, Preprocessing, TensorSpec
from edgebench.training import models

SEVEN = ("convnext_v2_tiny", "efficientnetv2_s", "mobilenetv3", "resnet50", "vit_base", "deit_small", "swin_tiny")
HYBRIDS = ("coatnet", "caformer", "fastvit", "efficientvit", "mobilenetv4_hybrid", "pvt")
BUILT = ("mobilenetv3", "resnet50", "deit_small", "swin_tiny")
KINDS = ("fp32", "fp16", "bf16", "int8", "uint8")  # the last: fp32 from a camera's bytes
ARCHITECTURE = "8.9"
# timm's arguments for a network with few of its repeated blocks; the other networks take no such argument.
SHALLOW = {
    "convnext_v2_tiny": {"depths": [1, 1, 1, 1]}, "efficientnetv2_s": {"depth_multiplier": 0.3},
    "resnet50": {"layers": [1, 1, 1, 1]}, "vit_base": {"depth": 2}, "deit_small": {"depth": 2},
    "swin_tiny": {"depths": [2, 2, 2, 2]},  # two: every second block moves its windows
    "fastvit": {"layers": [1, 1, 1, 1]}, "efficientvit": {"depths": [1, 1, 1]}, "pvt": {"depths": [1, 1, 1, 1]},
}  # fmt: skip


def portable(name: str, size: int, root: Path, shallow: bool = False) -> dict[str, Artifact]:
    """The ONNX artifacts of an untrained network, by precision, and "uint8": fp32 from a camera's bytes."""
    wanted = name
    if shallow and name in SHALLOW:
        arguments = "".join(f"{key} = {json.dumps(value)}\n" for key, value in SHALLOW[name].items())
        (root / f"{name}.toml").write_text(f'timm = "{models.resolve(name)}"\n[arguments]\n{arguments}')
        wanted = str(root / f"{name}.toml")
    network, info = models.build(wanted, 10, size, 0)
    shape, logits = ("batch", 3, size, size), (TensorSpec("logits", "float32", ("batch", 10)),)
    made = Artifact(
        format="checkpoint", precision="fp32", inputs=(TensorSpec("input", "float32", shape),), outputs=logits,
        preprocessing=Preprocessing(height=size, width=size, mean=(0.5,) * 3, std=(0.25,) * 3), model=info, files={},
        tools={}, created=now(),
    )  # fmt: skip
    path = root / "traced.onnx"
    onnx_trace.write(network.eval(), made, path)
    import onnxsim

    simplified, _ = onnxsim.simplify(onnx.load(path), skipped_optimizers=onnx_exporter.KEEP_MATMUL)
    found = {"fp32": _kept(made, simplified, root / "fp32")}
    noise = np.random.default_rng(0).integers(0, 256, (12, size, size, 3), dtype=np.uint8)
    given = Calibration(images=noise, validation_images=noise, validation_labels=np.zeros(12, np.int64), classes=10)
    for precision in ("fp16", "int8"):
        lower, _, _ = onnx_lower.lowered(found["fp32"], ExportOptions(precision=precision, calibration=given))
        found[precision] = _kept(replace(made, precision=precision), lower, root / precision)
    pixels, spec = onnx_input.take_pixels(onnx.load(found["fp32"].path / "model.onnx"), made.preprocessing)
    return found | {"uint8": _kept(replace(made, inputs=(spec,)), pixels, root / "uint8")}


def _kept(made: Artifact, model: onnx.ModelProto, out: Path) -> Artifact:
    out.mkdir()
    onnx.save(model, out / "model.onnx")
    folder.write_manifest(out, replace(made, format="onnx"))
    return folder.read(out)


def rows(name: str, size: int, shallow: bool, arch: str, plans: list[str]) -> tuple[list[str], int]:
    """The lines of the table that are about one backbone, and how many of its precisions were refused."""
    linter, exporter = registry.load("linters", "tensorrt_rtx"), registry.load("exporters", "tensorrt_rtx")
    lines, refused = [], 0
    with tempfile.TemporaryDirectory() as root:
        every = portable(name, size, Path(root), shallow)
        for kind in KINDS:
            source, wanted = every["fp32" if kind == "bf16" else kind], "fp32" if kind == "uint8" else kind
            out = Path(root, f"{kind}-plan")
            out.mkdir()
            since, plan = time.perf_counter(), "–"
            findings = linter.lint(tensorrt_plan.handed(source, wanted, out))
            told = f"taken in {time.perf_counter() - since:.1f} s"
            if findings:
                refused += 1
                told = f"refused: {findings[0].where} {findings[0].reason}"
            elif name in BUILT and kind in plans:
                since, options = time.perf_counter(), ExportOptions(precision=wanted, extra={"arch": arch})
                try:
                    exporter.export(source, out, options)
                    size_mib = (out / tensorrt_plan.FILE).stat().st_size / 2**20
                    plan = f"{size_mib:.1f} MiB in {time.perf_counter() - since:.1f} s"
                except EdgebenchError as error:
                    refused, plan = refused + 1, f"refused: {' '.join(error.message.split())}"
            lines.append(f"| {name} | {kind} | {told} | {plan} |")
    return lines, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[*SEVEN, *HYBRIDS])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--arch", default=ARCHITECTURE)
    parser.add_argument("--plans", nargs="*", default=KINDS, choices=KINDS, help="of which precisions plans are built")
    parser.add_argument("--shallow", action="store_true", help="few of the blocks that a network repeats")
    parser.add_argument("--jobs", type=int, default=1, help="networks at once")
    given = parser.parse_args()
    version, since = registry.load("linters", "tensorrt_rtx").parser(), time.perf_counter()
    kept = ", few of the repeated blocks" if given.shallow else ""
    print(f"{version}, plans for {given.arch}, {given.image_size} pixels{kept}\n", flush=True)
    print("| backbone | precision | parser | plan |\n|---|---|---|---|", flush=True)
    refused, asked = 0, (given.image_size, given.shallow, given.arch, given.plans)
    # Fresh processes: a fork of one that has used torch's threads can hang.
    with ProcessPoolExecutor(given.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(rows, name, *asked) for name in given.models]:
            lines, count = done.result()
            refused += count
            print("\n".join(lines), flush=True)
    taken_s = time.perf_counter() - since
    print(f"\n{refused} of {len(given.models) * len(KINDS)} refused, in {taken_s:.0f} s")
    sys.exit(refused != 0)


if __name__ == "__main__":
    main()
