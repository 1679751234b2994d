"""CPU time of commands (user and system, all child processes) by turns with another checkout of edgebench.

    git worktree add ../old 18476af && (cd ../old && scripts/test --collect-only)     # makes its .venv
    python scripts/bench_commands.py ../old 3

Both train a small network on the digits and export it to ONNX and OpenVINO, each in a workspace of its own. Then the
commands below run by turns.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parents[1]
MADE = (
    "train --dataset digits --subset 300 --model mobilenetv3_small_050 --image-size 32 --epochs 1",
    "export --target onnx --target openvino",
    "evaluate",  # the first one asks torch for its answers
)
COMMANDS = {
    "doctor": "doctor",
    "evaluate": "evaluate",
    "a folder that does not exist": "train --dataset /nowhere",
    "a network that does not exist": "train --dataset digits --model mobilenetv99",
}


def seconds(checkout: Path, command: str, folder: Path) -> float:
    """What the command and its children used of the processors."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [str(checkout / ".venv/bin/python"), "-m", "edgebench", *command.split()]
    subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(other: Path, turns: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        sides = {other.resolve(): Path(scratch, "old"), HERE: Path(scratch, "new")}
        for checkout, folder in sides.items():
            folder.mkdir()
            for command in MADE:
                print(f"{folder.name}: {command}: {seconds(checkout, command, folder):.1f} s", flush=True)
        for name, command in COMMANDS.items():
            pairs = [[seconds(checkout, command, folder) for checkout, folder in sides.items()] for _ in range(turns)]
            ratio = median(new / old for old, new in pairs)
            told = ", ".join(f"{old:.2f} → {new:.2f}" for old, new in pairs)
            print(f"{name}: {told} s; ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)
