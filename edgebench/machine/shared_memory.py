"""Rejects a measurement during which swap grew, on devices whose GPU shares the processor's memory."""

from __future__ import annotations

from dataclasses import replace

from edgebench.machine.profiles import Profile
from edgebench.records.notices import notice
from edgebench.records.result import Launch, Result


def voided(result: Result, profile: Profile) -> Result:
    """The result; `failed`, without figures and with the notice `swap_grew`, if swap grew in one of its launches.

    On such a device the GPU's memory pushed something else to the disk, and the figures show the disk's speed. Swap
    that was already in use does not matter. On other devices swapping is only a notice.
    """
    if not profile.memory.shared or result.evidence != "measured" or result.status != "ok":
        return result
    grown = {number: by for number, launch in enumerate(result.launches, 1) if (by := swap_growth_bytes(launch))}
    if not grown:
        return result
    where = ", ".join(f"{by / 2**20:.1f} MiB in launch {number}" for number, by in grown.items())
    void = notice("swap_grew", where=where)
    message = f"{void.message}: {void.remedy}"
    return replace(result, status="failed", message=message, summary=None, notices=(*result.notices, void))


def swap_growth_bytes(launch: Launch) -> int | None:
    """By how much swap grew between loading and the end of the measurement, in bytes; None if unknown."""
    before, after = (at.get("swap_used_bytes") for at in (launch.before, launch.after))
    return None if None in (before, after) else max(0, after - before)


def available_drop_bytes(launch: Launch) -> int | None:
    """By how much the machine's available memory fell between loading and the end of the measurement, in bytes.

    If the GPU shares the memory, this is what the model took, including the GPU's part, but also other programs' use.
    """
    before, after = (at.get("memory_available_bytes") for at in (launch.before, launch.after))
    return None if None in (before, after) else max(0, before - after)
