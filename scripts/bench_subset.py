"""How long does a stratified subset of ten million labels take, beside scikit-learn's train_test_split?

.venv/bin/python scripts/bench_subset.py [--images 10000000] [--classes 1000] [--rounds 3]

Both cut a tenth of the same labels, in turn; prints each time, the medians and their ratio.
"""

import argparse
import statistics
import time

import numpy as np
from sklearn.model_selection import train_test_split

from edgebench.training.data.subset import is_validation, stratified_order


def ours(labels: np.ndarray, seed: int) -> None:
    """What `data.load` does: the subset, and validation cut from it."""
    order, rank = stratified_order(labels, seed)
    count = len(labels) // 10
    validation = is_validation(rank[:count])
    assert len(order[:count][validation]) + len(order[:count][~validation]) == count


def sklearns(labels: np.ndarray, seed: int) -> None:
    """The subset alone."""
    train_test_split(np.arange(len(labels)), train_size=len(labels) // 10, stratify=labels, random_state=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    labels = np.random.default_rng(0).integers(0, given.classes, given.images)
    seconds: dict[str, list[float]] = {"edgebench": [], "scikit-learn": []}
    for seed in range(given.rounds):
        for name, cut in zip(seconds, (ours, sklearns), strict=True):
            started = time.perf_counter()
            cut(labels, seed)
            seconds[name].append(time.perf_counter() - started)
            print(f"round {seed + 1}: {name} {seconds[name][-1]:.2f} s", flush=True)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{given.images} labels of {given.classes} classes, medians of {given.rounds}: ", end="")
    print(", ".join(f"{name} {median:.2f} s" for name, median in medians.items()), end="; ")
    print(f"scikit-learn takes {medians['scikit-learn'] / medians['edgebench']:.1f} times as long")


if __name__ == "__main__":
    main()
