"""Site: a device that a sweep measures on, which machine it really is, and what its runtimes can do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.errors import unknown_name
from edgebench.machine.device import describe_machine, detect, load_profile, place
from edgebench.measuring import process
from edgebench.records.probe import Probe


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place to measure: the profile `device`, the `compute` there, and a probe of each runtime.

    `machine` describes the machine that is really there. `notice` is shown prominently unless it is empty.
    """

    device: str
    compute: str
    machine: str
    probes: tuple[Probe, ...]
    notice: str = ""

    def probe(self, runtime: str) -> Probe:
        """What a runtime said about itself. Raises UsageError for a runtime that was not asked."""
        for probe in self.probes:
            if probe.name == runtime:
                return probe
        raise unknown_name("runtime", runtime, [probe.name for probe in self.probes])

    def opens(self, runtime: str, format: str) -> bool:
        """Whether the runtime opens the format. True also if it does not load: its cells then say what is wrong."""
        probe = self.probe(runtime)
        return bool(probe.error) or format in probe.accepts


def here(device: str | None = None, probes: Sequence[Probe] | None = None) -> Site:
    """This machine as a device, by default the one that it is. Raises EdgebenchError if it cannot even emulate it."""
    profile = load_profile(device) if device else detect()
    placement = place(profile, require_device=False, environ=os.environ)
    found = tuple(process.probe_all() if probes is None else probes)
    return Site(
        device=device or profile.name,
        compute=placement.compute,
        machine=describe_machine(),
        probes=found,
        notice=placement.notice,
    )
