"""Is a sweep that is killed again and again the same in the end? kill -9 at random moments, then all is compared.

.venv/bin/python scripts/bench_sweep_kills.py FOLDER [--kills 20] [--data DIR] [--backbones 4] [--sizes 2]

Two sweeps of one plan in FOLDER: `undisturbed`, and `killed`, which is killed --kills times, each at a moment drawn
evenly from the seconds --between after it began its first step, half of them with its whole process group and half of
them the sweep's own process alone, and started again each time. The plan: four backbones × two subset sizes × two seeds
× {ONNX Runtime, OpenVINO} × {fp32, int8} on 1,300 pictures of CIFAR-10 as a folder of PNG files, 300 of them to test
on; CIFAR-10 is in --data, or EDGEBENCH_DATA. --backbones and --sizes make it smaller.

Then: every cell has the same status in both; the checkpoints have the same weights, by sha256, and the artifacts and
accuracies are the same; no step was begun again after it had ended well (log.jsonl); every file of every artifact has
the sha256 that its manifest tells; and each measurement is there once. Exit code 1 if any of this does not hold.
OpenVINO's int8 of regnetx_002 races on two threads without VNNI: there its four cells may differ in accuracy. A call
that was cut short goes on: what is in FOLDER is taken up.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from edgebench import artifact
from edgebench.records import jsonio
from edgebench.results import store
from edgebench.training import data

PLAN = """
models = {models}
subsets = {subsets}
seeds = [0, 1]
targets = ["onnx", "openvino"]
precisions = ["fp32", "int8"]

[train]
dataset = {dataset}
image_size = 32
adapt = false
epochs = 2
batch_size = 64

[run]
warmup_s = 0.1
duration_s = 0.3
launches = 1
precision_target = 0.0
"""
MODELS = ["lcnet_050", "mobilenetv3_small_050", "mobilenetv4_conv_small_050", "regnetx_002"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--between", type=float, nargs=2, default=(2.0, 120.0), help="seconds of work before a kill")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--backbones", type=int, default=4)
    parser.add_argument("--sizes", type=int, default=2)
    parser.add_argument("--only", choices=("killed", "undisturbed", "compare"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    photos = given.folder.absolute() / "photos"
    if not photos.exists():
        write_photos(photos, given.data)
    plan = given.folder / "plan.toml"
    chosen = {"models": MODELS[: given.backbones], "subsets": [500, 1000][: given.sizes], "dataset": str(photos)}
    plan.write_text(PLAN.format(**{name: json.dumps(value) for name, value in chosen.items()}))
    killed, undisturbed = given.folder / "killed", given.folder / "undisturbed"
    if given.only in (None, "killed"):
        kill_again_and_again(plan, killed, given.kills, given.between)
    if given.only in (None, "undisturbed"):
        began = time.monotonic()
        start(plan, undisturbed).wait()
        print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    if given.only in (None, "compare"):
        sys.exit(not compare(plan, killed, undisturbed))


def write_photos(folder: Path, data_dir: Path | None) -> None:
    """Real pictures of CIFAR-10: 100 of each class for training and validation, 30 for testing."""
    from PIL import Image

    dataset = data.find("cifar10", data_dir)
    splits = data.load(dataset, "1200", 32, 0)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for split, images, each in (("train", splits.train, 100), ("test", splits.test, 30)):
            for label, name in enumerate(dataset.classes):
                inside = Path(scratch, split, name)
                inside.mkdir(parents=True)
                for row in (images.labels == label).nonzero()[0][:each]:
                    Image.fromarray(images.images[row : row + 1][0]).save(inside / f"{row:05d}.png")
        Path(scratch).rename(folder)
        Path(scratch).mkdir()


def start(plan: Path, workspace: Path) -> subprocess.Popen:
    """A sweep in a process group of its own; what it says goes to a file beside its workspace."""
    command = [sys.executable, "-m", "edgebench", "sweep", str(plan), "--workspace", str(workspace)]
    with workspace.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def kill_again_and_again(plan: Path, workspace: Path, kills: int, between: tuple[float, float]) -> None:
    note = workspace.with_suffix(".kills.jsonl")
    done = len(note.read_text().splitlines()) if note.exists() else 0
    random.seed(done)
    for number in range(done, kills):
        process, wait_s = start(plan, workspace), random.uniform(*between)
        known = len(events(workspace))
        while len(events(workspace)) == known and process.poll() is None:
            time.sleep(0.2)
        try:
            process.wait(wait_s)
            print(f"it ended before kill {number + 1}", flush=True)
            return
        except subprocess.TimeoutExpired:
            whole_group = random.random() < 0.5
            (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
        running = [step["title"] for step in begun_and_not_ended(workspace)]
        kill = {"number": number + 1, "after_s": round(wait_s, 1), "whole_group": whole_group, "running": running}
        with note.open("a") as file:
            file.write(json.dumps(kill) + "\n")
        print(json.dumps(kill), flush=True)
    began = time.monotonic()
    code = start(plan, workspace).wait()
    print(f"killed: the last start ended with exit code {code} after {time.monotonic() - began:.0f} s", flush=True)


def events(workspace: Path) -> list[dict]:
    path = workspace / "sweep" / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def begun_and_not_ended(workspace: Path) -> list[dict]:
    last = {event["step"]: event for event in events(workspace)}
    return [event for event in last.values() if event["event"] == "began"]


def compare(plan: Path, killed: Path, undisturbed: Path) -> bool:
    """Print what was found, as a Markdown table; whether all is as it should be."""
    cells, told = {}, {}
    for workspace in (killed, undisturbed):
        command = [sys.executable, "-m", "edgebench", "sweep", str(plan), "--workspace", str(workspace), "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        told[workspace] = json.loads(done.stdout)["cells"]
        key = ("model", "subset", "seed", "target", "precision", "runtime", "device")
        cells[workspace] = {tuple(cell[name] for name in key): cell for cell in told[workspace]}
    mine, theirs = cells[killed], cells[undisturbed]
    begun = Counter(e["step"] for e in events(killed) if e["event"] == "began")
    ends: dict[str, int] = {}
    repeated = 0
    for number, event in enumerate(events(killed)):
        if event["event"] == "began" and event["step"] in ends:
            repeated += 1
        if event["event"] == "ended" and event["status"] == "ok":
            ends[event["step"]] = number
    wrong_files, folders = 0, 0
    for folder in [*(killed / "checkpoints").iterdir(), *(killed / "artifacts").iterdir()]:
        if not folder.name.startswith("."):
            folders += 1
            artifact.read(folder)  # raises where a sha256 is wrong
    found, problems = store.read_all(killed / "results")
    whole = Counter((r.job.identity, r.stop == "interrupted") for r in found)
    differing = [
        key for key in mine
        if (mine[key]["status"], mine[key]["accuracy"]) != (theirs.get(key, {}).get("status"), theirs[key]["accuracy"])
    ]  # fmt: skip
    weights = [
        {
            artifact.read(f).model.name + f.name: artifact.read(f).files["weights.safetensors"]
            for f in sorted(w.iterdir())
        }
        for w in (killed / "checkpoints", undisturbed / "checkpoints")
    ]
    facts = {
        "kills": len(killed.with_suffix(".kills.jsonl").read_text().splitlines()),
        "cells, and those done": f"{len(mine)}, {sum(c['status'] == 'ok' for c in mine.values())}",
        "cells that the two sweeps do not have in common": len(mine.keys() ^ theirs.keys()),
        "cells whose status or accuracy differs": len(differing),
        "checkpoints": len(weights[1]),
        "those whose weights are the same, bit for bit": len(weights[0].items() & weights[1].items()),
        "steps, and those begun more than once": f"{len(begun)}, {sum(n > 1 for n in begun.values())}",
        "steps begun again after they had ended well": repeated,
        "folders read whole, every sha256 checked": folders,
        "results that cannot be read": len(problems) + wrong_files,
        "measurements that are there twice or in part": sum(n > 1 or cut for (_, cut), n in whole.items()),
    }
    for name, value in facts.items():
        print(f"| {name} | {value} |")
    jsonio.write_text(killed.parent / "facts.json", json.dumps(facts, indent=1))
    return not (
        repeated or differing or problems or mine.keys() ^ theirs.keys() or weights[0] != weights[1]
        or any(n > 1 or cut for (_, cut), n in whole.items()) or len(ends) != len(begun)
    )  # fmt: skip


if __name__ == "__main__":
    main()
