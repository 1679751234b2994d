"""Accuracy and parity from logits: does an artifact give the same answers as torch?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import Reference, prepared
from edgebench.protocols import Session
from edgebench.records.answers import ClassAccuracy, Parity
from edgebench.records.declared import FARTHEST
from edgebench.specs import Artifact

if TYPE_CHECKING:
    import torch

    from edgebench.protocols import Pixels


@dataclass(frozen=True)
class Gate:
    """How far an artifact's logits may be from torch's: the largest relative error, the lowest mean cosine over the
    images, and the lowest share of images for which both put the same class first."""

    relative_error: float
    cosine: float
    agreement: float


# fp32 against fp32 differs by rounding alone, about 1e-6 on every backbone we tried; 1e-3 leaves room for fused kernels
# and still catches a swapped channel or a wrong mean. fp16 keeps 11 bits, so errors of about ten roundings are a few
# thousandths. bf16 keeps 8: on a CPU that computes in it, five backbones erred by 0.001 to 0.004 of the largest logit,
# but MobileNetV3-Large, trained on digits, by 0.16 at a cosine of 0.9985; it agreed on every image. int8 moves single
# logits by as much as the largest logit and more at equal accuracy (by 1.2 of it on digits, where 97 % agreed: one
# clipped image is enough). On CIFAR-10, MobileNetV3 kept a cosine of 0.987 and agreed on 93 %, EfficientNet-Lite0 0.93
# and 83 %; swapped channels gave 0.56 and 43 %, 0.73 and 64 %. `evaluate` and --accuracy-drop show what int8 costs in
# accuracy.
GATES = {
    "fp32": Gate(1e-3, 0.99999, 1.0),
    "fp16": Gate(2e-2, 0.9999, 0.98),
    "bf16": Gate(0.3, 0.99, 0.95),
    "int8": Gate(2.0, 0.85, 0.75),
}


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of images, in [0, 1], whose largest logit is that of the label. logits (n, classes), labels (n,)."""
    return float((logits.argmax(axis=1) == labels).mean())


def by_class(answers: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> tuple[ClassAccuracy, ...]:
    """What became of the images of each class: their labels and the classes that they were taken for, int (n,) each."""
    counts = np.bincount(labels.astype(np.int64) * len(names) + answers, minlength=len(names) ** 2)
    confusion = counts.reshape(len(names), len(names))  # [label, answer]
    wrong = confusion - np.diag(np.diag(confusion))
    taken = wrong.argmax(axis=1)
    return tuple(
        ClassAccuracy(
            name=name, images=int(confusion[i].sum()), correct=int(confusion[i, i]),
            answered=int(confusion[:, i].sum()), mistaken_for=names[taken[i]] if wrong[i].any() else "",
            mistaken=int(wrong[i, taken[i]]),
        )
        for i, name in enumerate(names)
    )  # fmt: skip


def torch_logits(
    model: torch.nn.Module, normalised: Callable[[torch.Tensor], torch.Tensor], batch_size: int
) -> Callable[[Pixels], np.ndarray]:
    """A function from uint8 images (n, h, w, 3) to the model's logits (n, classes), in eval mode and in batches."""
    import torch

    def logits(images: Pixels) -> np.ndarray:
        model.eval()
        device = next(model.parameters()).device
        found = []
        with torch.no_grad():
            for start in range(0, len(images), batch_size):
                batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size])).permute(0, 3, 1, 2)
                found.append(model(normalised(batch.to(device))).float().cpu())
        return torch.cat(found).numpy()

    return logits


def run_batches(session: Session, artifact: Artifact, images: np.ndarray, batch: int) -> np.ndarray:
    """The session's logits (n, classes) for uint8 images (n, h, w, 3), `batch` at a time; the last one is filled up."""
    (input_spec,), output = artifact.inputs, artifact.outputs[0].name
    logits = []
    for start in range(0, len(images), batch):
        chunk = images[start : start + batch]
        filled = np.resize(chunk, (batch, *chunk.shape[1:]))  # np.resize repeats the chunk to fill the batch
        logits.append(session.run({input_spec.name: prepared(filled, artifact)})[output][: len(chunk)])
    return np.concatenate(logits)


def check_parity(session: Session, artifact: Artifact, reference: Reference, batches: Sequence[int]) -> Parity:
    """Compare a session with torch on the reference images, at each of the batch sizes; the worst of them counts.

    Each image is judged by its own answers, so that one odd image changes nothing for the others. relative_error is
    the largest of max |a − b| ÷ `scales`: absolute errors say nothing, since untrained networks put out logits of 1e6.
    The gate lets ties pass (`_tied`); top1_agreement does not count them as agreeing.
    """
    gate = GATES[artifact.precision]
    expected = reference.logits
    largest = np.abs(expected).max(axis=1)
    errors, non_finite, correct, cosines, agreements = [], 0, 0, [], []
    for batch in batches:
        actual = run_batches(session, artifact, reference.images, batch)
        if actual.shape != expected.shape:
            return Parity(
                batches=tuple(batches),
                images=len(expected),
                relative_error=None,
                top1_agreement=0.0,
                non_finite=0,
                accuracy=0.0,
                tolerance=gate.relative_error,
                passed=False,
            )
        non_finite += int((~np.isfinite(actual)).sum())
        errors.append(float((np.abs(actual - expected).max(axis=1) / scales(largest)).max()))
        first = actual.argmax(axis=1)
        differ = first != expected.argmax(axis=1)
        ties = int((differ & _tied(expected, first, gate)).sum())
        agreements.append((int((~differ).sum()) + ties, ties))
        cosines.append(_cosine(actual, expected) if not non_finite else None)
        correct += int((first == reference.labels).sum())
    finite = non_finite == 0
    error, cosine = (min(max(errors), FARTHEST), min(cosines)) if finite else (None, None)
    accepted, ties = min(agreements, key=lambda each: (each[0], -each[1]))
    near = finite and error <= gate.relative_error and cosine >= gate.cosine
    return Parity(
        batches=tuple(batches),
        images=len(expected),
        relative_error=error,
        top1_agreement=(accepted - ties) / len(expected),
        ties=ties,
        non_finite=non_finite,
        accuracy=correct / (len(expected) * len(batches)),
        tolerance=gate.relative_error,
        passed=near and accepted / len(expected) >= gate.agreement,
        cosine=cosine,
        cosine_bound=gate.cosine,
        agreement_bound=gate.agreement,
    )


def scales(largest: np.ndarray) -> np.ndarray:
    """What the error of each image (or request) is a share of: the largest magnitude in the reference's answer to it,
    or the median image's where that is larger, since an answer that is nearly zero is rounded as the others are."""
    middle = np.sort(largest)[(len(largest) - 1) // 2]
    return np.maximum(largest, middle if middle > 0 else max(largest.max(), np.finfo(np.float32).tiny))


def _tied(expected: np.ndarray, first: np.ndarray, gate: Gate) -> np.ndarray:
    """For each image, whether torch's logit of the class `first` is as good as its best one, so that rounding decides:
    the gap is what errors within the bound explain, of this image's own largest logit. The bounds of int8 and bf16
    allow more than that, so 0.02 is the most."""
    gap = expected.max(axis=1) - expected[np.arange(len(expected)), first]
    return gap <= 2 * min(gate.relative_error, 0.02) * np.abs(expected).max(axis=1)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The mean over the rows of their cosine; 1 for a row that is zero in both."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    product, lengths = (a * b).sum(axis=1), np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.where(lengths > 0, product / np.maximum(lengths, 1e-300), (a == b).all(axis=1)).mean())


def explain(parity: Parity) -> str:
    """One sentence on how far an artifact's answers are from torch's."""
    if parity.non_finite:
        return f"{parity.non_finite} of its logits are NaN or infinite"
    if parity.relative_error is None:
        return "its outputs have another shape than torch's"
    *others, last = map(str, parity.batches)
    batches = f"{', '.join(others)} and {last}" if others else last
    tied = f"{parity.ties} more {'is a tie' if parity.ties == 1 else 'are ties'}; " if parity.ties else ""
    return (
        f"relative error {parity.relative_error:.2g} (bound {parity.tolerance:g}), cosine {parity.cosine:.5f} (bound "
        f"{parity.cosine_bound:g}), top-1 agreement {parity.top1_agreement:.1%} ({tied}bound "
        f"{parity.agreement_bound:.0%}) on {parity.images} held-out images at batch {batches}"
    )
