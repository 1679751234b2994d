"""What a training began with: random weights or learned ones, which file they are, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BeginningSource = Literal["random", "file", "cache", "hub"]
Licence = Literal["any", "permissive"]

# The licences among those that timm names which ask for no more than that their text and the authors are named.
PERMISSIVE = ("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "cc0-1.0", "cc-by-4.0", "unlicense")


def is_permissive(licence: str) -> bool:
    """Whether a licence lets everybody use the weights in products; an unknown one ("") does not."""
    return licence.lower() in PERMISSIVE


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The weights before the first step.

    `weights`: timm's name of learned ones, with their tag: "resnet50.a1_in1k"; "" if it is unknown. `path` and
    `sha256`: of their file. `licence`: "" if it is unknown. `why`: the reason for random weights; if a file did not fit
    the network, `path` and `sha256` are those of that file. `refused`: there are learned weights, but their licence is
    not allowed.
    """

    source: BeginningSource = "random"
    weights: str = ""
    path: str = ""
    sha256: str = ""
    licence: str = ""
    why: str = ""
    refused: bool = False

    @property
    def learned(self) -> bool:
        return self.source != "random"

    @property
    def identity(self) -> str:
        """Equal for trainings that began alike: the sha256 of the file, or "random"."""
        return self.sha256 or "random"

    @property
    def title(self) -> str:
        """A short name: random, timm's name of the weights, or the name of their file."""
        return (self.weights or Path(self.path).name) if self.learned else "random"
