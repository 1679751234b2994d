"""Results of a simulated shared machine, for calibrating `edgebench compare`. As a program it prints the error rates:

python tests/simulated.py [COMPARISONS]
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from factories import make_artifact, make_job

from edgebench.comparing.judging import compare
from edgebench.records.notices import Notice
from edgebench.records.result import Launch, MemoryPeaks, Result, Samples
from edgebench.specs import Artifact, Effective

ARTIFACT = make_artifact()
CREATED = "2026-01-01T00:00:00.000000+00:00"
CPU = {"cpu": {"model": "Cortex-A78AE", "logical_cores": 8}, "libraries": {"onnxruntime": "1.20"}}
MEDIAN_NS, REQUESTS = 10_000_000, 120
LAUNCH_S = 2.5


def launch(latency_ns: Sequence[int], *codes: str, before: dict | None = None, **effective) -> Launch:
    """A launch of these requests, with notices of these codes."""
    ran = replace(Effective(provider="CPUExecutionProvider", precision="fp32", threads=1, version="1.20"), **effective)
    samples = Samples(latency_ns=tuple(int(t) for t in latency_ns), warmup_ns=(), wall_ns=int(sum(latency_ns)))
    notices = tuple(Notice(code, "seen", "stop it") for code in codes)
    return Launch(
        effective=ran,
        memory=MemoryPeaks(load_bytes=1, first_inference_bytes=2, steady_bytes=3, source="VmHWM"),
        samples=samples,
        before=CPU | (before or {}),
        notices=notices,
    )


def result(launches: Sequence[Launch] = (), artifact: Artifact = ARTIFACT, **changes) -> Result:
    """A result of these launches; `changes` are of the Result, or of its Job."""
    of_job = {name: changes.pop(name) for name in list(changes) if name not in Result.__dataclass_fields__}
    job = make_job(artifact, **of_job)
    bare = Result(
        job=job,
        artifact=artifact,
        status="ok",
        evidence=job.evidence,
        created=CREATED,
        launches=tuple(launches),
        stop="launches",
    )
    return replace(bare, **changes)


class Machine:
    """A shared machine with regimes of load, and launches made on it one after another.

    A regime lasts exponentially long, `dwell_s` on average: several launches. Half of them are quiet. In the others a
    share of the requests, anything from none to all, takes up to twice as long; `hidden` of those loads do not show in
    /proc/stat (a neighbour on the same host), the others raise the notice `foreign_load` in a launch where they use
    more than a tenth of a core. A launch has an effect of its own, heavy-tailed (Student's t with 4 degrees of freedom)
    with the standard deviation `launch_sd`.
    """

    def __init__(
        self, random: np.random.Generator, dwell_s: float = 15.0, hidden: float = 0.3, launch_sd: float = 0.013,
        loaded: float = 0.5, spread: float = 0.02,
    ) -> None:  # fmt: skip
        self.random, self.dwell_s, self.hidden = random, dwell_s, hidden
        self.launch_sd, self.loaded, self.spread = launch_sd, loaded, spread
        self.left_s = 0.0

    def _next_regime(self) -> None:
        self.left_s = self.random.exponential(self.dwell_s)
        busy = self.random.random() < self.loaded
        self.share = self.random.beta(0.7, 0.7) if busy else 0.0
        self.factor = 1 + self.random.uniform(0, 1)
        self.seen_cores = self.share if busy and self.random.random() > self.hidden else 0.0

    def launches(self, n: int, slower: float = 1.0) -> list[Launch]:
        return [self._launch(slower) for _ in range(n)]

    def _launch(self, slower: float) -> Launch:
        effect = np.exp(self.random.standard_t(4) / np.sqrt(2) * self.launch_sd)
        parts, cores = [], 0.0
        for _ in range(10):  # pieces of a launch, since a regime may end within it
            if self.left_s <= 0:
                self._next_regime()
            own = MEDIAN_NS * slower * effect * np.exp(self.spread * self.random.gamma(1.5, size=REQUESTS // 10))
            parts.append(np.where(self.random.random(len(own)) < self.share, own * self.factor, own))
            self.left_s -= LAUNCH_S / 10
            cores += self.seen_cores / 10
        return launch(np.concatenate(parts), *(["foreign_load"] if cores > 0.1 else []))


def outcome(base: Sequence[Launch], new: Sequence[Launch]) -> str:
    (cell,) = compare([result(base)], [result(new)]).cells
    return cell.outcome


def outcomes(comparisons: int, n: int, slower: float = 1.0, seed: int = 0, **machine) -> Counter:
    """How often each outcome came, when base and then new were measured on one machine."""
    counted: Counter = Counter()
    for i in range(comparisons):
        on = Machine(np.random.default_rng([seed, n, i]), **machine)
        base = on.launches(n)
        counted[outcome(base, on.launches(n, slower))] += 1
    return counted


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for title, settings in {
        "A/A, quiet": {"loaded": 0.0},
        "A/A, regimes of 15 s": {},
        "A/A, regimes of 60 s": {"dwell_s": 60.0},
        "A/A, regimes of 60 s, all hidden": {"dwell_s": 60.0, "hidden": 1.0},
        "A/A, regimes of 15 s, all hidden, always loaded": {"hidden": 1.0, "loaded": 1.0},
        "5 % slower, quiet": {"loaded": 0.0, "slower": 1.05},
        "5 % slower, quiet, steady requests": {"loaded": 0.0, "slower": 1.05, "spread": 0.002},
        "5 % faster, quiet": {"loaded": 0.0, "slower": 1 / 1.05},
        "10 % slower, regimes of 15 s": {"slower": 1.10},
    }.items():
        for n in (5, 9, 20):
            found = outcomes(number, n, **settings)
            shares = ", ".join(f"{name} {found[name] / number:.1%}" for name in sorted(found))
            print(f"{title}, {n} launches a side: {shares}", flush=True)
