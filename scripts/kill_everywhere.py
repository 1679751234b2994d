"""Kills each of seven commands at every change that it makes to a file, and checks that nothing is lost.

.venv/bin/python scripts/kill_everywhere.py FOLDER [--most 1000000] [--command NAME …] [--seed 0]

A workspace is trained, exported and measured in FOLDER. Then each command works on a copy of it, in which what it makes
is there already, and is killed before its first change of a file, in the next copy before its second, and so on to its
end; with --most, at so many of these moments, drawn by chance. After each kill: every checkpoint, artifact and result
can still be read, none that was there is gone, the command runs through when it is repeated, and nothing unfinished is
left, neither in the workspace nor in TMPDIR. Prints a line a command; exit code 1 if any of this did not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / "hostile")]
import killing  # noqa: E402 (it is beside the tests)

QUICK = ["--launches", "1", "--duration", "0.05", "--warmup", "0", "--precision-target", "0"]
COMMANDS = {
    "report": ["report", "--html"],
    "run": ["run", "--runtime", "onnxruntime", *QUICK],
    "evaluate": ["evaluate", "--runtime", "onnxruntime"],
    "export": ["export", "--target", "openvino"],
    "train": ["train", "--epochs", "1", "--subset", "60", "--no-floor"],
    "tune": ["tune", "--no-export", "--runtime", "onnxruntime", "--duration", "0.05"],
    "pick": [
        "pick",
        "--data",
        "digits",
        "--budget",
        "60s",
        "--models",
        "lcnet_050",
        "--init",
        "random",
        "--image-size",
        "32",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=10**6)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = given.folder.resolve()
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ.update(TMPDIR=str(temporary), EDGEBENCH_LOCKS=str(folder), EDGEBENCH_POWER="none")
    tempfile.tempdir = str(temporary)
    import torch  # before the forks: loading it takes longer than all else

    torch.set_num_threads(1)
    import edgebench.training.loop  # noqa: F401

    template = folder / "template"
    for command in ("train", "export", "run"):
        if not (template / command).exists():
            out = folder / f"{command}.txt"
            code, _ = killing.run([*COMMANDS[command], "--workspace", str(template)], out=out)
            assert code == 0, out.read_text()
            (template / command).touch()
    failed = 0
    for name in given.command or COMMANDS:
        failed += everywhere(name, folder, template, given.most, random.Random(given.seed))
    sys.exit(1 if failed else 0)


def everywhere(name: str, folder: Path, template: Path, most: int, chance: random.Random) -> int:
    """Kill the command at its changes. Returns at how many of them something did not hold."""
    began = time.monotonic()
    work, out = folder / "work", folder / "said.txt"
    arguments = [*COMMANDS[name], "--workspace", str(work)]
    arguments += ["--out", str(work / "deploy")] if name == "pick" else []
    fresh(template, work)
    code, count = killing.run(arguments, out=out)
    if code:
        print(f"{name}: it fails undisturbed: {out.read_text()[-500:]}")
        return 1
    moments = range(1, count + 1) if count <= most else sorted(chance.sample(range(1, count + 1), most))
    bad = {"lost": 0, "broken": 0, "not repeated": 0, "left": 0}
    for nth in moments:
        fresh(template, work)
        there = names(work)
        killing.run(arguments, nth, out)
        bad["lost"] += bool(there - names(work) - {"report.html"})
        bad["broken"] += bool(said := killing.broken(work))
        code, _ = killing.run(arguments, out=out)
        bad["not repeated"] += code != 0
        bad["left"] += bool(leftovers := killing.left(work, folder / "tmp"))
        for what in (said, leftovers, [out.read_text()[-300:]] if code else []):
            if what:
                print(f"  {name}, change {nth}: {what}", flush=True)
    told = ", ".join(f"{figure} {what}" for what, figure in bad.items())
    print(f"{name}: killed at {len(moments)} of {count} changes: {told} ({time.monotonic() - began:.0f} s)", flush=True)
    return sum(bad.values())


def fresh(template: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template, work)


def names(work: Path) -> set[str]:
    """Every checkpoint, artifact and result by name."""
    return {str(path.relative_to(work)) for path in work.glob("*/[!.]*")}


if __name__ == "__main__":
    main()
