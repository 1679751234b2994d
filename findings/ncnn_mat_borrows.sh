#!/usr/bin/env bash
# ncnn.Mat(array) points into numpy's memory without keeping the array, and takes no notice of its strides.
#
# Installs: numpy==2.4.6 ncnn==1.0.20261020
# Runs: a Mat of an array that is changed afterwards, and a Mat of a transposed view.
# Expected: as torch.from_numpy does: a Mat that shares memory holds a reference to its owner, and a view in another
#   order is refused or copied in its order.
# Fails if: the array has a reference more, or the Mat of the view has the view's order.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   references: 0 more; after array[0] = 9 the Mat begins with 9.0
#   the view [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]] became [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import ncnn
import numpy as np

array = np.arange(4, dtype=np.float32)
before = sys.getrefcount(array)
mat = ncnn.Mat(array)
more = sys.getrefcount(array) - before
array[0] = 9
first = float(np.array(mat)[0])
print(f"references: {more} more; after array[0] = 9 the Mat begins with {first}")
view = np.arange(6, dtype=np.float32).reshape(2, 3).T
became = np.array(ncnn.Mat(view)).reshape(view.shape)
print(f"the view {view.tolist()} became {became.tolist()}")
assert (more, first) == (0, 9.0)
assert became.tolist() == [[0, 1], [2, 3], [4, 5]] and not np.array_equal(became, view)
PYTHON
