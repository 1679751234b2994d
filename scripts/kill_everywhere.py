"""Kills each of seven commands at every change that it makes to a file, and checks that nothing is lost.

.venv/bin/python scripts/kill_everywhere.py FOLDER [--most 1000000] [--command NAME …] [--seed 0]

A workspace is trained, exported and measured in FOLDER. Then each command works on a copy of it, in which what it makes
is there already, and is killed before its first change of a file, in the next copy before its second, and so on to its
end; with --most, at so many of these moments, drawn by chance. The changes of its worker processes count too. After
each kill: its workers end, every checkpoint, artifact and result can still be read, none that was there is gone, the
command runs through when it is repeated, and then nothing lies in the workspace and in TMPDIR that would not lie there
without the kill. Prints a line a command; exit code 1 if any of this did not hold. Give FOLDER on a disk in memory,
such as /dev/shm, to save the time that a disk takes.

`pick` takes minutes. It runs once, and its files are copied at each of its changes: they are what a kill would leave.
After each of these, `report` is the next command; --most says after how many `pick` itself is repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import pkgutil
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / "hostile")]
import killing  # noqa: E402 (it is beside the tests)
from counted import sitecustomize  # noqa: E402

QUICK = ["--launches", "1", "--duration", "0.05", "--warmup", "0", "--precision-target", "0"]
FIRST = ["train", "--epochs", "1", "--subset", "60", "--no-floor"], ["export", "--target", "onnx"]
COMMANDS = {
    "report": ["report", "--html"],
    "run": ["run", "--runtime", "onnxruntime", *QUICK],
    "evaluate": ["evaluate", "--runtime", "onnxruntime"],
    "export": ["export", "--target", "openvino"],
    "train": FIRST[0],
    "tune": ["tune", "--no-export", "--runtime", "onnxruntime", "--duration", "0.05"],
    "pick": [
        "pick", "--data", "{folder}/pictures", "--budget", "240s", "--models", "resnet_mini", "--init", "random",
        "--image-size", "32", "--runtime", "onnxruntime", "--no-race", "--out", "{folder}/deploy",
    ],
}  # fmt: skip


# What `pick` goes on with when it is repeated: a training that is not finished, and how far a step is.
GONE_ON = re.compile(r"/checkpoints/\.[^/]*\.unfinished|/sweep/phases/#$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=10**6)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = given.folder.resolve()
    place, template, temporary = folder / "w", folder / "template", folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        TMPDIR=str(temporary),
        EDGEBENCH_LOCKS=str(folder),
        EDGEBENCH_POWER="none",
        EDGEBENCH_CACHE=str(folder / "cache"),
    )
    tempfile.tempdir = str(temporary)
    killing.adopt_orphans()
    load()
    if not template.exists():
        pictures(place / "pictures")
        for command in (*FIRST, COMMANDS["run"]):
            out = folder / "said.txt"
            code, _ = killing.run([*command, "--workspace", str(place / "runs")], out=out)
            assert code == 0, out.read_text()
        place.rename(template)
    failed = 0
    for name in given.command or COMMANDS:
        failed += (copied if name == "pick" else everywhere)(name, folder, given.most, random.Random(given.seed))
    sys.exit(1 if failed else 0)


def load() -> None:
    """Import what the commands do, before they are forked from this process: it takes longer than all else."""
    import torch

    import edgebench
    from edgebench.training import models

    torch.set_num_threads(1)
    names = {module.name for module in pkgutil.walk_packages(edgebench.__path__, "edgebench.")} - {"edgebench.__main__"}
    for name in sorted(names):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    models.import_timm()


def pictures(folder: Path) -> None:
    """Sixty tiny pictures of two classes."""
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(0)
    for i in range(60):
        (kind := folder / ("dark", "light")[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(128 * (i % 2), 128 + 128 * (i % 2), (32, 32, 3), np.uint8)).save(
            kind / f"{i}.png"
        )


def everywhere(name: str, folder: Path, most: int, chance: random.Random) -> int:
    """Kill the command at its changes. Returns at how many of them something did not hold."""
    began = time.monotonic()
    place, out = folder / "w", folder / "said.txt"
    work = place / "runs"
    command = [part.format(folder=place) for part in COMMANDS[name]] + ["--workspace", str(work)]
    fresh(folder / "template", place)
    code, count = killing.run(command, out=out)
    usual = killing.named(place, folder / "tmp")
    if code or killing.run(command, out=out)[0]:
        print(f"{name}: it fails undisturbed: {out.read_text()[-500:]}")
        return 1
    usual |= killing.named(place, folder / "tmp")
    moments = range(1, count + 1) if count <= most else sorted(chance.sample(range(1, count + 1), most))
    bad = {"lost": 0, "broken": 0, "not repeated": 0, "left": 0}
    for nth in moments:
        fresh(folder / "template", place)
        there = names(work)
        killing.run(command, nth, out)
        found = {"left": [f"process {one}" for one in killing.stay()]}
        found["lost"] = sorted(there - names(work))
        found["broken"] = killing.broken(work)
        code, _ = killing.run(command, out=out)
        found["not repeated"] = [out.read_text()[-500:]] if code else []
        found["left"] += sorted(killing.named(place, folder / "tmp") - usual)
        for what, said in found.items():
            bad[what] += bool(said)
            if said:
                print(f"  {name}, change {nth}, {what}: {said}", flush=True)
    told = ", ".join(f"{figure} {what}" for what, figure in bad.items())
    print(f"{name}: killed at {len(moments)} of {count} changes: {told} ({time.monotonic() - began:.0f} s)", flush=True)
    return sum(bad.values())


def copied(name: str, folder: Path, most: int, chance: random.Random) -> int:
    """The same with a copy for each kill. Returns at how many of them something did not hold."""
    began = time.monotonic()
    place, out, copies = folder / "w", folder / "said.txt", folder / "copies"
    work = place / "runs"
    command = [part.format(folder=place) for part in COMMANDS[name]] + ["--workspace", str(work)]
    following = ["report", "--workspace", str(work)]
    fresh(folder / "template", place)
    shutil.rmtree(copies, ignore_errors=True)
    there = names(work)
    os.environ[sitecustomize.COPIED] = f"{place}:{folder / 'tmp'}:{copies}"
    code, count = killing.run(command, out=out)
    del os.environ[sitecustomize.COPIED]
    if code:
        print(f"{name}: it fails undisturbed: {out.read_text()[-500:]}")
        return 1
    killing.run(following, out=out)
    usual = killing.named(place, folder / "tmp")
    repeated = set(chance.sample(range(1, count + 1), min(most, count)))
    bad = {"lost": 0, "broken": 0, "not repeated": 0, "left": 0}
    for nth in range(1, count + 1):
        for path in (place, folder / "tmp"):
            shutil.rmtree(path)
            shutil.copytree(copies / str(nth) / path.name, path, symlinks=True)
        found = {"lost": sorted(there - names(work)), "broken": killing.broken(work)}
        code, _ = killing.run(command if nth in repeated else following, out=out)
        found["not repeated"] = [out.read_text()[-500:]] if code else []
        found["left"] = sorted(
            each for each in killing.named(place, folder / "tmp") - usual if not GONE_ON.search(each)
        )
        for what, said in found.items():
            bad[what] += bool(said)
            if said:
                print(f"  {name}, change {nth}, {what}: {said}", flush=True)
    told = ", ".join(f"{figure} {what}" for what, figure in bad.items())
    print(
        f"{name}: {count} copies at {count} changes, {len(repeated)} of them gone on with: {told} "
        f"({time.monotonic() - began:.0f} s)"
    )
    return sum(bad.values())


def fresh(template: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place)
    for path in Path(tempfile.gettempdir()).iterdir():  # what one kill left is told once
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def names(work: Path) -> set[str]:
    """Every checkpoint, artifact and result by name."""
    return {str(path.relative_to(work)) for path in work.glob("*/[!.]*")}


if __name__ == "__main__":
    main()
