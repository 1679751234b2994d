#!/usr/bin/env bash
# torch imports its whole compiler for an optimizer or a TorchDispatchMode, though nothing is compiled.
#
# Installs: torch==2.13.0
# Runs: in fresh processes, torch.optim.SGD on one parameter; an addition under an empty TorchDispatchMode; the same
#   under one whose _should_skip_dynamo says no; an addition alone.
# Expected: none of these compiles, so torch._dynamo, with SymPy and torch.distributed behind it, stays on the disk. It
#   takes 1.7 s of CPU to import, nearly as long as torch itself, in each short program that trains or counts FLOPs.
# Fails if: an optimizer or a mode no longer imports it, or the last two cases do.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   optimizer: torch._dynamo imported True
#   dispatch mode: torch._dynamo imported True
#   dispatch mode that does not skip: torch._dynamo imported False
#   addition: torch._dynamo imported False
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
cat >"$scratch/case.py" <<'PYTHON'
import sys

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Mode(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


class Plain(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


name, expected = sys.argv[1], sys.argv[2] == "True"
one = torch.ones(1)
if name == "optimizer":
    torch.optim.SGD([torch.nn.Parameter(one)], lr=0.1)
elif name == "dispatch mode":
    with Mode():
        one + one
elif name == "dispatch mode that does not skip":
    with Plain():
        one + one
else:
    one + one
found = "torch._dynamo" in sys.modules
print(f"{name}: torch._dynamo imported {found}")
sys.exit(found != expected)
PYTHON
for case in "optimizer:True" "dispatch mode:True" "dispatch mode that does not skip:False" "addition:False"; do
  "$scratch/venv/bin/python" -W ignore "$scratch/case.py" "${case%:*}" "${case#*:}"
done
