#!/usr/bin/env bash
# ncnn.Mat(array) takes no notice of an array's strides: of a transposed view it reads the bytes in their old order.
#
# Installs: numpy==2.4.6 ncnn==1.0.20261020
# Runs: a Mat of a transposed view of a table of 2 × 3.
# Expected: the view is refused, or copied in its own order, as torch.from_numpy and ONNX Runtime do.
# Fails if: the Mat has the order of the view, or it is refused.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   the view [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]] became [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import ncnn
import numpy as np

view = np.arange(6, dtype=np.float32).reshape(2, 3).T
became = np.array(ncnn.Mat(view)).reshape(view.shape)
print(f"the view {view.tolist()} became {became.tolist()}")
assert became.tolist() == [[0, 1], [2, 3], [4, 5]] and not np.array_equal(became, view)
PYTHON
