"""Where meters look: the root of the file system, the device's profile, and the watts that were declared."""

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
    """What a machine draws with the CPU idle and fully busy, as somebody declares it; printed as it is typed."""

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
    """This machine, or a tree of its files recorded elsewhere under `root`. `watts`: declared by the user for the meter
    `model`; they come before those of the profile."""

    profile: Profile
    root: Path = ROOT
    watts: Watts | None = None

    def program(self, name: str) -> str | None:
        """The path of a program: on PATH, or in the tree's /usr/bin; None if it is not there."""
        return shutil.which(name, path=None if self.root == ROOT else str(self.root / "usr/bin"))

    def ruled(self, meter: str) -> Scope:
        """What the profile's rails add up to. Raises Unsupported where it has no rule: rails can be inside others."""
        power = self.profile.power
        if power.scope is None or not power.total_rails:
            raise Unsupported(
                f"{meter} tells single rails, and the profile {self.profile.name} does not say which are the whole",
                "--device the board's own profile, or one of yours with [power] scope and total_rails",
            )
        return power.scope
