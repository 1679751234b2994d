"""What the scenarios camera and sustained make of their samples: missed frames, jitter, and whether it slowed down."""

from __future__ import annotations

import pytest

from edgebench.measuring.scenarios import camera, sustained
from edgebench.records.result import Samples, SustainedWindow


def frames(latency_ms: list[float], late_ms: list[float] | None = None) -> Samples:
    latency = tuple(round(ms * 1e6) for ms in latency_ms)
    late = tuple(round(ms * 1e6) for ms in late_ms or [0.0] * len(latency))
    return Samples(latency_ns=latency, warmup_ns=(1,), wall_ns=sum(latency), late_ns=late)


def test_camera_counts_missed_frames_and_jitter_within_launches() -> None:
    made = camera.frames_of([frames([10, 30, 20, 60]), frames([90, 90])], rate_hz=20, deadline_ms=50)
    assert (made.frames, made.missed, made.miss_rate) == (6, 3, 0.5)
    assert made.jitter_ns == pytest.approx((20 + 10 + 40 + 0) / 4 * 1e6), "not across the launches"


def test_a_frame_on_the_deadline_is_in_time() -> None:
    assert camera.frames_of([frames([50, 50.000001])], 20, 50).missed == 1
    assert camera.frames_of([frames([7])], 20, 50).jitter_ns == 0


def test_lag_is_the_senders_and_not_the_models() -> None:
    """At 100 Hz, a frame sent late because the one before it took too long tells nothing of the sender."""
    assert camera.lag(frames([15] * 50, late_ms=[5.0 * i for i in range(50)]), 100) == 0
    assert camera.lag(frames([3] * 50, late_ms=[2.0] * 50), 100) == pytest.approx(0.2)
    punctual = [0.0] * 500
    assert camera.lag(frames([3] * 500, late_ms=punctual), 100) == 0
    assert camera.lag(frames([3] * 500, late_ms=[9.0, 9.0, *punctual[2:]]), 100) == 0, "two in five hundred"


def windows(medians_ms: list[float], throttled_at: int = -1) -> list[SustainedWindow]:
    """A window a second."""
    return [
        SustainedWindow(
            start_s=float(i),
            n=10,
            median_ns=round(ms * 1e6),
            max_ns=round(ms * 2e6),
            mhz=None,
            temperature_c=None,
            throttled=i == throttled_at,
        )
        for i, ms in enumerate(medians_ms)
    ]


@pytest.mark.parametrize(
    ("medians_ms", "throttled_at", "verdict"),
    [
        ([10.0] * 300, -1, "steady"),
        ([10.0] * 60 + [11.0] * 240, -1, "slowed"),
        ([10.0, 10.1] * 150, -1, "steady"),
        ([10.0] * 300, 150, "throttled"),
        ([10.0] * 60 + [9.0] * 240, -1, "steady"),
        ([10.0] * 119, -1, "too_short"),
        ([10.0] * 120, -1, "steady"),
        ([10.0] * 20 + [12.0] * 20, -1, "slowed"),
    ],
)
def test_sustained_verdicts(medians_ms: list[float], throttled_at: int, verdict: str) -> None:
    assert sustained.end_against_start(windows(medians_ms, throttled_at)).verdict == verdict


def test_sustained_compares_the_last_minute_with_the_first() -> None:
    made = sustained.end_against_start(windows([10.0] * 60 + [50.0] * 180 + [12.0] * 60))
    assert (made.first_median_ns, made.last_median_ns) == (10_000_000, 12_000_000)
    assert made.slowdown == pytest.approx(1.2) and made.slowdown_ci95 == pytest.approx((1.2, 1.2))
    low, high = sustained.end_against_start(windows([10.0, 11.0] * 150)).slowdown_ci95
    assert low <= 1 <= high


def test_sustained_needs_six_windows() -> None:
    assert sustained.end_against_start(windows([10.0] * 5)) is None
    assert sustained.end_against_start(windows([10.0] * 6)).verdict == "too_short"
