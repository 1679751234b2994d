#!/usr/bin/env bash
# On a CPU, torch's gradient of a 5 × 5 depthwise convolution over a map of 3 × 3 takes some 70 forward passes.
#
# Installs: numpy==2.3.5 torch==2.13.0
# Runs: forward pass and gradient of the weights of two depthwise layers of 288 channels, 64 images, one thread: kernels
#   of 5 × 5 and of 3 × 3, both over maps of 3 × 3, as the last layers of small backbones have them for small images.
# Expected: a gradient takes one to three forward passes, as that of the 3 × 3 kernel does.
# Fails if: the gradient of the 5 × 5 kernel takes fewer than 15 forward passes, or that of the 3 × 3 kernel more.
# Seen: 2026-11-28, x86-64 with AVX2 and without AVX-512, Linux, Python 3.11
#   5 x 5: forward 0.43 ms, gradient of the weights 30.47 ms, 71 forward passes
#   3 x 3: forward 0.25 ms, gradient of the weights 0.32 ms, 1 forward passes
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import sys
import time

import torch

torch.set_num_threads(1)


def best_s(work):
    work()
    times = []
    for _ in range(9):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


passes = {}
for kernel in (5, 3):
    layer = torch.nn.Conv2d(288, 288, kernel, padding=kernel // 2, groups=288, bias=False)
    layer = layer.to(memory_format=torch.channels_last)
    images = torch.randn(64, 288, 3, 3).contiguous(memory_format=torch.channels_last)
    answer = torch.randn_like(layer(images))
    forward = best_s(lambda: layer(images))
    gradient = best_s(lambda: torch.autograd.grad(layer(images), layer.weight, answer)) - forward
    passes[kernel] = gradient / forward
    print(f"{kernel} x {kernel}: forward {1000 * forward:.2f} ms, gradient of the weights {1000 * gradient:.2f} ms, "
          f"{passes[kernel]:.0f} forward passes")
sys.exit(not passes[5] > 15 > passes[3])
PYTHON
