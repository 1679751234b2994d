"""Every backbone in every precision on every runtime here: accuracy, agreement, latency, size, memory, and the best.

.venv/bin/python scripts/bench_precisions.py --accuracy-drop 0.9    hardly trained, for the speed
.venv/bin/python scripts/bench_precisions.py --image-size 64 --no-adapt --epochs 8 --subset 600 --no-tune    trained

Trains each backbone (one epoch of a few images unless told otherwise: the speed does not depend on the weights),
exports and evaluates it in every precision, has `edgebench tune` search, measures all artifacts with `edgebench run`,
and prints two tables in Markdown. What is in the workspace already is not made again. Takes some minutes a backbone.
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

SEVEN = ("convnext_v2_tiny", "efficientnetv2_s", "mobilenetv3", "resnet50", "vit_base", "deit_small", "swin_tiny")
PRECISIONS = ("fp32", "bf16", "int8")


def edgebench(*arguments: object, check: bool = True) -> Any:
    """What the command prints with --json; its progress goes to the terminal."""
    command = [sys.executable, "-m", "edgebench", *map(str, arguments), "--json"]
    print("$", " ".join(command[2:]), file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if check and done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {' '.join(command)}")
    return json.loads(done.stdout) if done.stdout else None


def one(model: str, given: argparse.Namespace) -> tuple[list[dict], dict]:
    """The report's rows of a backbone and what tune found of it."""
    workspace = given.workspace / model
    here = ("--workspace", workspace)
    if not (workspace / "checkpoints").exists():
        edgebench(
            "train", "--model", model, "--dataset", given.dataset, "--image-size", given.image_size, "--subset",
            given.subset, "--epochs", given.epochs, "--batch-size", given.batch_size,
            *(() if given.adapt else ("--no-adapt",)), *here,
        )  # fmt: skip
    rows = edgebench("report", *here, check=False) or []
    if not any(row["deployed_accuracy"] is not None for row in rows):
        for target, precision in itertools.product(("onnx", "openvino"), PRECISIONS):
            # What a target has no such precision for, or this CPU cannot run, is refused, and said.
            edgebench("export", "--target", target, "--precision", precision, *here, check=False)
        edgebench("evaluate", *here, check=False)
    if given.prepare:
        return [], {}
    kept = list((workspace / "tuned").glob("*-latency.json"))
    tuned = json.loads(kept[0].read_text()) if kept else {}
    if given.tune and not tuned:
        tuned = edgebench("tune", "--accuracy-drop", given.accuracy_drop, *here)
    if not any(row["median_ms"] is not None for row in rows):
        short = ("--launches", given.launches, "--duration", given.duration, "--precision-target", 0)
        edgebench("run", *short, *here, check=False)
    return edgebench("report", *here), tuned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=SEVEN)
    parser.add_argument("--workspace", type=Path, default=Path("runs/precisions"), help="a folder a backbone in it")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--subset", default="40")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--adapt", action=argparse.BooleanOptionalAction, default=True, help="as `edgebench train` has it"
    )
    parser.add_argument("--accuracy-drop", type=float, default=0.01, help="that `tune` allows a lower precision")
    parser.add_argument("--tune", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--launches", type=int, default=3)
    parser.add_argument("--duration", type=float, default=2.0)
    parser.add_argument("--prepare", action="store_true", help="train, export and evaluate alone, which need no quiet")
    given = parser.parse_args()

    measured, found = [], {}
    for model in given.models:
        rows, tuned = one(model, given)
        measured += [row for row in rows if row["scenario"] == "latency"]
        found[model] = tuned
        if tuned:
            print(f"{model}: {speedups(tuned)}", file=sys.stderr, flush=True)
    if given.prepare:
        return
    tell(measured)
    if given.tune:
        tell_best(found)


def speedups(tuned: dict) -> tuple[float, float]:
    best = tuned["best"]["median_ns"]
    return tuned["eager"]["median_ns"] / best, tuned["default"]["median_ns"] / best


def tell(rows: list[dict]) -> None:
    named = "model | format | runtime | precision | layers in | accuracy | in torch | as torch"
    print(f"| {named} | median ms | model MiB | peak MiB |\n|{11 * '---|'}")
    for row in rows:
        if row["status"] != "ok":
            told = f"{row['status']}: {row['message']}"
            print(f"| {row['model']} | {row['format']} | {row['runtime']} | {row['precision']} | {told} |||||||")
            continue
        accuracy, agreement = (
            "–" if row[name] is None else f"{row[name]:.1%}" for name in ("deployed_accuracy", "deployed_agreement")
        )
        median = "–" if row["median_ms"] is None else f"{row['median_ms']:.2f}"
        print(
            f"| {row['model']} | {row['format']} | {row['runtime']} | {row['precision']} | {row['layers'] or '–'} | "
            f"{accuracy} | {row['test_accuracy']:.1%} | {agreement} | {median} | {row['model_size_mib']:.1f} | "
            f"{row['peak_memory_mib']:.0f} |"
        )


def tell_best(found: dict[str, dict]) -> None:
    print(
        "\n| model | eager ms | default ms | best ms | setting | × eager | × default |\n|---|---|---|---|---|---|---|"
    )
    for model, tuned in found.items():
        eager, default = speedups(tuned)
        best = tuned["best"]
        ms = [tuned[name]["median_ns"] / 1e6 for name in ("eager", "default", "best")]
        setting = f"{best['runtime']} {best['precision']} ({best['format']}), {best['threads']} threads"
        print(f"| {model} | {ms[0]:.2f} | {ms[1]:.2f} | {ms[2]:.2f} | {setting} | {eager:.2f} | {default:.2f} |")
    means = [math.exp(sum(math.log(speedups(t)[i]) for t in found.values()) / len(found)) for i in (0, 1)]
    print(f"\nGeometric mean: {means[0]:.2f} × eager, {means[1]:.2f} × the best runtime as it comes.")


if __name__ == "__main__":
    main()
