"""Ten backbones on every runtime that opens them, raced at 224 px: a table in Markdown. It can be stopped and started.

    .venv/bin/python scripts/bench_runtimes.py FOLDER [MODEL…] [--threads 1] [--int8] [--minutes 2]
    OTHER/bin/python scripts/bench_runtimes.py FOLDER --tflite       where edgebench[litert-export] is installed

Each network has random weights with normalisations that have seen something: speed does not depend on them. It is
adopted, exported to every format that has an exporter here, and all that came of it is raced on every runtime that
opens it, in one race. FOLDER keeps the artifacts, the results, and a file for each network that is done, so a second
call goes on where the first one stopped, and prints the whole table again. With --tflite the networks are converted to
FOLDER/MODEL.tflite first, by an environment that has the converter, and race with the others afterwards.

A line has the ratio to the fastest with its 95 % interval, the median, model size, peak memory, load and first
inference; or the reason why there is none. Some 5 minutes a network in fp32 (three to convert, two of race), 10 with
int8.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bench_int8 import IMAGES, SEVEN, SIZE, written

TEN = [*SEVEN, "mobilenetv4", "repvgg", "efficientvit"]
DEFAULT = "onnx"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", default=TEN)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each race")
    parser.add_argument("--tflite", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.tflite:
        for model in given.models:
            to_tflite(model, given.folder)
        return
    print("| model | format | precision | runtime | × the fastest | median ms | MiB | peak MiB | load s | first ms |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for model in given.models:
        done = given.folder / f"{model}-{given.threads}{'-int8' * given.int8}.json"
        if not done.is_file():
            lines = raced(model, given.folder, given.threads, given.int8, given.minutes)
            half = done.with_suffix(".part")
            half.write_text(json.dumps(lines))
            os.replace(half, done)
        for line in json.loads(done.read_text()):
            print(f"| {model} | {' | '.join(line)} |", flush=True)


def to_tflite(model: str, folder: Path) -> None:
    """The same network, with the same seed, by litert-torch."""
    out = folder / f"{model}.tflite"
    if out.exists():
        return
    import torch

    network = network_of(model)
    import litert_torch

    litert_torch.convert(network, (torch.zeros(1, 3, SIZE, SIZE),)).export(str(out))


def network_of(model: str):
    """As bench_int8 writes it."""
    import torch

    from edgebench.training.models.names import import_timm
    from edgebench.training.short_names import SHORT_NAMES

    torch.manual_seed(0)
    network = import_timm().create_model(SHORT_NAMES[model], num_classes=10, exportable=True)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, SIZE, SIZE))
    return network.eval()


def raced(model: str, folder: Path, threads: int, int8: bool, minutes: float) -> list[list[str]]:
    """The lines of one network: first those that raced, the fastest first, then what did not convert, and why."""
    import edgebench
    from edgebench.errors import EdgebenchError
    from edgebench.machine import registry
    from edgebench.results.figures import beside_fastest
    from edgebench.results.rows import rows

    where = folder / model
    where.mkdir(exist_ok=True)
    source = edgebench.adopt(written(model, where), workspace=where)
    found, failed = [source], []
    for target, facts in registry.all_facts("exporters").items():
        for precision in ("fp32", "int8")[: 1 + int8]:
            start = facts.accepts.get(precision)
            if start is None or start[0] != DEFAULT or (target, precision) == (DEFAULT, "fp32") or facts.on_device:
                continue
            try:
                made = {"calibration": pictures(where)} if precision == "int8" else {}
                found.append(edgebench.export(source, target, workspace=where, precision=precision, **made))
            except EdgebenchError as error:
                versions = registry.versions(facts.libraries)
                told = ", ".join(f"{name} {version}" for name, version in versions.items())
                failed.append([target, precision, "–", f"{' '.join(error.message.split())} ({told})", *["–"] * 5])
    if (lite := folder / f"{model}.tflite").is_file():
        found.append(edgebench.adopt(lite, workspace=where))
    results = edgebench.run(found, workspace=where, threads=threads, power="none", max_seconds=60 * minutes)
    lines = []
    for row in rows(results):
        told = row.message if row.status != "ok" else str(beside_fastest(row) or "–")
        figures = (
            row.race_median_ms or row.median_ms,
            row.model_size_mib,
            row.peak_memory_mib,
            row.load_s,
            row.first_ms,
        )
        lines.append([row.format, row.precision, row.runtime, told, *map(shown, figures)])
    return lines + failed


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def pictures(where: Path) -> Path:
    """Noise to quantize with: the ranges come from it, and only the speed counts here."""
    import numpy as np

    inputs = where / "inputs"
    inputs.mkdir(exist_ok=True)
    for i in range(IMAGES):
        image = np.random.default_rng(i).normal(size=(1, 3, SIZE, SIZE))
        np.savez(inputs / f"{i}.npz", input=image.astype(np.float32))
    return inputs


if __name__ == "__main__":
    main()
