"""How often int8 is refused at export, by what it loses: simulated answers, with the rule of exporting/deployable.py.

    python scripts/bench_judging.py [EXPORTS]

"apart": the share of the pictures that one of the two, torch or the artifact, alone has right. The bound is 1 point.
"""

from __future__ import annotations

import sys

import numpy as np

from edgebench.errors import VerificationFailed
from edgebench.exporting import deployable
from edgebench.records.answers import Evaluation

TORCH = 0.9  # its accuracy, which plays no part


def main(exports: int) -> None:
    random = np.random.default_rng(0)
    for images in (100, 500, 1500, 2000):
        for apart in (0.03, 0.06, 0.10):
            for loss in (0.0, 0.01, 0.02, 0.03):
                if loss > apart:
                    continue
                refused = proven = 0
                for _ in range(exports):
                    torch, own, _ = random.multinomial(images, [(apart + loss) / 2, (apart - loss) / 2, 1 - apart])
                    found = Evaluation(
                        images=images, accuracy=TORCH - (torch - own) / images, accuracy_ci95=(0.0, 1.0),
                        torch_accuracy=TORCH, torch_agreement=None, non_finite=0, classes=(),
                        only_reference=int(torch), only_artifact=int(own),
                    )  # fmt: skip
                    try:
                        proven += deployable.judge(found, "onnxruntime", deployable.BOUND).proven
                    except VerificationFailed:
                        refused += 1
                print(
                    f"{images:5} pictures, {apart:4.0%} apart, loses {100 * loss:.0f} points: "
                    f"refused {refused / exports:6.1%}, proven {proven / exports:6.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
