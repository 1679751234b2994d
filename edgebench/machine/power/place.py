"""What a meter is opened with: the root of the file system, the device's profile, and the declared watts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from edgebench.errors import Unsupported, UsageError
from edgebench.machine.device import Profile
from edgebench.machine.fingerprint import ROOT
from edgebench.records.energy import Scope


@dataclass(frozen=True)
class Watts:
    """The declared draw of a machine in W, with the CPU idle and fully busy; printed as the option is typed."""

    idle: float
    most: float

    def __str__(self) -> str:
        return f"{self.idle:g}:{self.most:g}"

    @staticmethod
    def parse(flag: str, text: str) -> Watts:
        """Read "3.5:12"."""
        try:
            idle, most = map(float, text.split(":"))
        except ValueError:
            raise UsageError(f"{flag} {text!r} is not IDLE:MAX", "for example --watts 3.5:12") from None
        return Watts(idle, most)


@dataclass(frozen=True)
class Place:
    """This machine, or a tree of another machine's files under `root`.

    `watts`: declared by the user for the meter `model`; they take precedence over the profile's.
    """

    profile: Profile
    root: Path = ROOT
    watts: Watts | None = None

    def program(self, name: str) -> str | None:
        """The path of a program: on PATH, or in the tree's /usr/bin; None if it is missing."""
        return shutil.which(name, path=None if self.root == ROOT else str(self.root / "usr/bin"))

    def ruled(self, meter: str) -> Scope:
        """The scope of the sum of the profile's rails. Raises Unsupported if the profile does not define the sum: rails
        can be inside others."""
        power = self.profile.power
        if power.scope is None or not power.total_rails:
            raise Unsupported(
                f"{meter} measures single rails, and the profile {self.profile.name} does not say which are the whole",
                "--device with the board's profile, or with your own that has [power] scope and total_rails",
            )
        return power.scope
