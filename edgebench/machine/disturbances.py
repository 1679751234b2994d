"""What two fingerprints, before and after a measurement, tell of what happened meanwhile and makes it doubtful."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from edgebench.records.notices import Notice, notice

STEP_S = 5  # a clock that was set by less may be one that is kept right
NEAR_C = 3.0  # so close to a trip the kernel's next look may slow the machine down


def notices(before: dict[str, Any], after: dict[str, Any]) -> list[Notice]:
    """What happened around a measurement that makes its figures doubtful, each with a remedy."""

    def grew(key: str) -> int:
        return 0 if None in (before.get(key), after.get(key)) else max(0, after[key] - before[key])

    found, cpu = [], before.get("cpu") or {}
    if "powersave" in (cpu.get("governors") or []):
        found.append(notice("powersave_governor"))
    steal, total = grew("steal_jiffies"), grew("total_jiffies")
    if total and steal / total > 0.02:
        found.append(notice("steal_time", share=steal / total))
    if pages := grew("swapped_in_pages") + grew("swapped_out_pages"):
        found.append(notice("swapping", pages=pages))
    why = throttled(before.get("throttle") or {}, after.get("throttle") or {})
    if before.get("nvpmodel") != after.get("nvpmodel"):
        modes = {"before": before.get("nvpmodel") or "unknown", "after": after.get("nvpmodel") or "unknown"}
        found.append(notice("power_mode_changed", **modes))
    elif not why and (before.get("clocks") or {}) != (after.get("clocks") or {}):
        found.append(notice("clocks_changed", before=before.get("clocks"), after=after.get("clocks")))
    if why:
        found.append(notice("thermal_throttle", why=why))
    elif near := _near_trip(after):
        found.append(notice("near_trip", **near))
    if not why and not after.get("nvpmodel") and (cap := after.get("cpu_cap_mhz")):  # a power mode is such a cap
        found.append(notice("clocks_capped", may=cap[0], could=cap[1]))
    if abs(step := _step_s(before, after)) >= STEP_S:
        found.append(notice("clock_set", step=step))
    return found


def throttled(before: dict[str, Any], after: dict[str, Any]) -> str:
    counts = before.get("counts") or {}
    reasons = [f"{name} rose" for name, n in (after.get("counts") or {}).items() if n > counts.get(name, n)]
    alerts = {name for when in (before, after) for name, state in (when.get("alerts") or {}).items() if state}
    reasons += [f"{name} is active" for name in sorted(alerts)]
    cooling = (before.get("cooling") or {}) | (after.get("cooling") or {})
    reasons += [f"{name} is at step {now} of {most}" for name, (now, most) in sorted(cooling.items())]
    # The low bits are the present state: under-voltage, capped, throttled, soft limit; bits from 16 on are since boot.
    if ((before.get("raspberry_pi") or 0) | (after.get("raspberry_pi") or 0)) & 0xF:
        reasons.append("the firmware reports under-voltage or throttling")
    return ", ".join(reasons)


def _step_s(before: dict[str, Any], after: dict[str, Any]) -> float:
    """By how many seconds the clock was set meanwhile; 0 where the system does not tell."""
    if None in (before.get("since_boot_s"), after.get("since_boot_s")):
        return 0.0
    by_wall = datetime.fromisoformat(after["time"]) - datetime.fromisoformat(before["time"])
    return by_wall.total_seconds() - (after["since_boot_s"] - before["since_boot_s"])


def _near_trip(after: dict[str, Any]) -> dict[str, Any]:
    """The zone that is nearest to where the kernel slows the machine down, if it is near."""
    trips, now = after.get("trips_c") or {}, after.get("temperatures_c") or {}
    left = {zone: trip - now[zone] for zone, trip in trips.items() if zone in now}
    zone = min(left, key=lambda name: left[name], default=None)
    return {} if zone is None or left[zone] > NEAR_C else {"zone": zone, "now": now[zone], "trip": trips[zone]}
