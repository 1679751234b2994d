"""A device as a sweep sees it: how runs there are labelled, what machine it is, what its runtimes can do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.errors import unknown_name
from edgebench.machine.device import describe_machine, detect, load_profile, place
from edgebench.measuring import process
from edgebench.specs import Probe


@dataclass(frozen=True, kw_only=True)
class Site:
    """`machine` describes what is really there; `notice` is to be shown loudly where it is not empty."""

    device: str
    compute: str
    machine: str
    probes: tuple[Probe, ...]
    notice: str = ""

    def probe(self, runtime: str) -> Probe:
        """What a runtime said of itself. Raises UsageError for one that was not asked."""
        for probe in self.probes:
            if probe.name == runtime:
                return probe
        raise unknown_name("runtime", runtime, [probe.name for probe in self.probes])

    def opens(self, runtime: str, format: str) -> bool:
        """Whether the runtime opens the format. One that does not load may: its cells will tell what is wrong."""
        probe = self.probe(runtime)
        return bool(probe.error) or format in probe.accepts


def here(device: str | None = None, probes: Sequence[Probe] | None = None) -> Site:
    """This machine as a device, by default as what it is. Raises EdgebenchError where it cannot even emulate that."""
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
