"""Which JetPack a Jetson's Linux is of, and what that brings: CUDA, Python, TensorRT. Each line names its source."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Jetpack:
    """A release of JetPack: the major version of its CUDA, its Python, and the version of its TensorRT."""

    name: str
    cuda: str
    python: str
    tensorrt: str


# By the release of Jetson Linux (L4T), newest first: the first whose numbers the board's are not below.
RELEASES = {
    (39, 2): Jetpack("7.2", "13", "3.12", "10.16"),  # OE4T/meta-tegra#2224; TensorRT 11.4.1 can be had from 7.2.2 on
    (38, 4): Jetpack("7.1", "13", "3.12", "10.13"),  # rbonghi/jetson_stats#792; NVIDIA's release notes
    (38, 2): Jetpack("7.0", "13", "3.12", "10.13"),  # NVIDIA's release notes of Jetson Linux R38.2
    (36, 4): Jetpack("6.1 or 6.2", "12", "3.10", "10.3"),  # NVIDIA's JetPack archive
    (36, 0): Jetpack("6.0", "12", "3.10", "8.6"),  # the same
    (35, 0): Jetpack("5", "11", "3.8", "8.5"),  # the same
    (32, 0): Jetpack("4", "10", "3.6", "8.2"),  # the same
}


def release(told: str) -> tuple[int, int] | None:
    """The numbers in the first line of /etc/nv_tegra_release: "# R39 (release), REVISION: 2.0, GCID: …" → (39, 2)."""
    found = re.match(r"#\s*R([0-9]{1,3})\b.*?\bREVISION:\s*([0-9]{1,3})", told)
    return (int(found[1]), int(found[2])) if found else None


def of(told: str) -> Jetpack | None:
    """The JetPack of that line; None if it is no such line, or of a release that nobody knows."""
    numbers = release(told)
    if numbers is None:
        return None
    return next((jetpack for least, jetpack in RELEASES.items() if numbers >= least), None)
