"""Records that edgebench makes itself, of whatever a meter, a clock or a launch may say: each can be read again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from factories import make_launch, make_samples

from edgebench.machine.power.window import Window, judge, mean_mw
from edgebench.racing.standing import Standing
from edgebench.records import decoding, jsonio
from edgebench.records.beside import BesideFp32
from edgebench.records.declared import Ratios, Shares, as_ratio
from edgebench.records.energy import Energy, Sample
from edgebench.records.floor import Beside
from edgebench.records.result import Summary, SustainedWindow
from edgebench.results import stats

S = 10**9


class Meter:
    """Says nothing by itself."""

    name, scope, modelled, streams, interval_s, total_rails = "paper", "module", False, True, 0.1, ("all",)


def made(chance: random.Random) -> Iterator[tuple[Any, Any]]:
    """Types, and values of them."""
    yield from _power(chance)
    yield from _race(chance)
    latencies = [
        tuple(chance.choice((1, 2, 1000, 10**6, 10**12)) for _ in range(chance.choice((1, 7, 60)))) for _ in range(6)
    ]
    launches = [make_launch(make_samples(one)) for one in latencies]
    yield Summary, stats.summarise(launches[: chance.randrange(1, 7)], chance.choice((1, 64)))
    yield Ratios, [as_ratio(one) for one in stats.median_ratio(latencies[0][:1] * 6, latencies[1][:1] * 6)[1:]]


def _power(chance: random.Random) -> Iterator[tuple[Any, Any]]:
    """Of a battery that is charged, a sensor with an offset, a counter, or one that says the same for ever."""
    low, high = sorted(chance.choice((-1e6, -3.0, 0.0, 0.5, 5000.0, 1e9)) for _ in range(2))
    looks = [
        Sample(round(i * S / 5 * chance.choice((1, 1, 1, 0.999))), mw, {"all": mw})
        for i in range(chance.choice((0, 1, 2, 200)))
        for mw in [chance.uniform(low, high)]
    ]
    idle, busy = Window(0, chance.choice((0, 5 * S))), Window(10 * S, chance.choice((10, 11, 30)) * S)
    yield (
        Energy,
        judge(Meter(), looks, busy, idle=idle, count=chance.choice((0, 1, 10**6)), images=chance.choice((0, 8))),
    )
    mw = mean_mw(looks, busy)
    yield (
        SustainedWindow,
        SustainedWindow(
            start_s=0.0, n=0, median_ns=1, max_ns=1, mhz=None, temperature_c=None, throttled=False, power_mw=mw
        ),
    )


def _race(chance: random.Random) -> Iterator[tuple[Any, Any]]:
    """Of settings whose launches have nothing in common."""
    seed, scale = chance.randrange(10**6), chance.choice((0.0, 0.01, 1.0, 10.0))
    effects = np.random.default_rng(seed).normal(0, scale, (chance.randrange(1, 7), chance.randrange(2, 6)))
    standing = Standing(np.clip(effects, -50, 50))
    standing.decide(1, 0)
    if found := standing.difference(1, 0):
        ratios = {name: as_ratio(getattr(found, name)) for name in ("ratio", "low", "high")}
        yield BesideFp32, BesideFp32(runtime="net", cpu="cpu", **ratios)


def shares(chance: random.Random) -> Iterator[tuple[Any, Any]]:
    """The intervals of shares, up to none and all."""
    n = chance.choice((1, 2, 3, 7, 360, 10_000, 10**6))
    right = chance.choice((0, 1, n - 1, n, chance.randrange(n + 1)))
    yield Shares, list(stats.wilson(right, n))
    yield Shares, list(stats.mean_of_shares([(right, n)] * 3)[1:])
    low, high = stats.paired_difference(right, n - right, n)
    yield Beside, Beside(
        images=n, network_accuracy=right / n, floor_accuracy=0.0, only_network=right, only_floor=n - right,
        difference=(2 * right - n) / n, low=low, high=high, verdict="unclear",
    )  # fmt: skip


def read_again(kind: Any, value: Any) -> None:
    """Raise BadFile if the value cannot be read after it was written."""
    decoding.decode(kind, json.loads(jsonio.dumps(value)), "our own")
