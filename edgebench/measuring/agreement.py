"""Does a session answer as the reference does? Of an adopted model each output, else the logits (correctness.py)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebench import artifact as folder
from edgebench.measuring import correctness
from edgebench.measuring.correctness import GATES, Gate
from edgebench.protocols import Session
from edgebench.records.answers import OutputParity, Parity
from edgebench.records.declared import FARTHEST
from edgebench.records.notices import Notice, notice
from edgebench.specs import Artifact

ZERO = 1e-6  # of a median answer: what rounding alone makes
FAR = 0.05  # of an output's largest value, or of its indices: an answer that a user would call another one


def check(session: Session, artifact: Artifact, batches: Sequence[int]) -> Parity:
    """Compare a session with the answers in the artifact's reference file, at each of the batch sizes.

    An adopted model gets the requests that it was adopted with, which have one batch size.
    """
    if not artifact.adopted:
        return correctness.check_parity(session, artifact, folder.read_reference(artifact), batches)
    examples, made = folder.read_examples(artifact), artifact.adopted
    answers = [session.run(request) for request in examples.requests]
    outputs = tuple(
        compared(
            spec.name, [found.get(spec.name) for found in answers], [known[spec.name] for known in examples.answers],
            artifact.precision, repeated=spec.name not in made.unrepeatable,
        )
        for spec in artifact.outputs
    )  # fmt: skip
    gate = GATES[artifact.precision]
    errors, cosines = ([v for o in outputs if (v := getattr(o, n)) is not None] for n in ("relative_error", "cosine"))
    return Parity(
        batches=(made.batch,), images=len(answers), relative_error=max(errors, default=None), top1_agreement=None,
        non_finite=0, accuracy=None, tolerance=gate.relative_error, passed=all(output.passed for output in outputs),
        cosine=min(cosines, default=None), cosine_bound=gate.cosine, agreement_bound=gate.agreement,
        against=made.reference, outputs=outputs,
    )  # fmt: skip


def compared(
    name: str, found: Sequence[np.ndarray | None], known: Sequence[np.ndarray], precision: str, *, repeated: bool = True
) -> OutputParity:
    """One output over all requests. Indices, counts and truth values have to be equal; below fp32, most of them, since
    rounding decides ties. Floats, and the bytes of quantized models, have to be near."""
    gate = GATES[precision]
    if not repeated:
        return OutputParity(name=name, compared=False)
    if any(each is None for each in found):
        return OutputParity(name=name, passed=False, problem="is missing")
    for mine, theirs in zip(found, known, strict=True):
        if mine.shape != theirs.shape:
            return OutputParity(name=name, passed=False, problem=f"has shape {mine.shape}, not {theirs.shape}")
    whole = known[0].dtype.kind in "iub" and not (known[0].dtype.itemsize == 1 and precision == "int8")
    if whole or known[0].dtype.kind == "b":
        total = sum(each.size for each in known)
        same = sum(int((mine == theirs).sum()) for mine, theirs in zip(found, known, strict=True))
        equal = same / total if total else 1.0
        return OutputParity(name=name, equal=equal, passed=equal >= gate.agreement)
    return _near(name, found, known, gate)


def _near(name: str, found: Sequence[np.ndarray], known: Sequence[np.ndarray], gate: Gate) -> OutputParity:
    kind = np.complex128 if known[0].dtype.kind == "c" else np.float64
    pairs = [(mine.astype(kind), theirs.astype(kind)) for mine, theirs in zip(found, known, strict=True)]
    finite = [(mine[np.isfinite(theirs)], theirs[np.isfinite(theirs)]) for mine, theirs in pairs]
    if wrong := sum(int((~np.isfinite(mine)).sum()) for mine, _ in finite):
        return OutputParity(name=name, passed=False, problem=f"has {wrong} values that are NaN or infinite")
    if not all(np.array_equal(a[~np.isfinite(b)], b[~np.isfinite(b)], equal_nan=True) for a, b in pairs):
        return OutputParity(name=name, passed=False, problem="is finite where the reference's is NaN or infinite")
    if not (filled := [pair for pair in finite if pair[1].size]):
        return OutputParity(name=name, relative_error=0.0, cosine=1.0)
    scales = correctness.scales(np.array([np.abs(theirs).max() for _, theirs in filled]))
    worst = max(float(np.abs(mine - theirs).max() / by) for (mine, theirs), by in zip(filled, scales, strict=True))
    cosine = min(_cosine(mine / by, theirs / by) for (mine, theirs), by in zip(filled, scales, strict=True))
    worst = min(worst, FARTHEST)  # further than that a record does not say
    passed = worst <= gate.relative_error and cosine >= gate.cosine
    return OutputParity(name=name, relative_error=worst, cosine=cosine, passed=passed)


def _cosine(mine: np.ndarray, theirs: np.ndarray) -> float:
    """1 for what is as good as zero beside the rest, which is scaled to about 1: the relative error speaks for that."""
    if np.abs(theirs).max() < ZERO:
        return 1.0
    lengths = float(np.linalg.norm(mine)) * float(np.linalg.norm(theirs))
    return float(np.vdot(mine, theirs).real) / lengths if lengths else 0.0


def explain(parity: Parity) -> str:
    """One sentence on how far the answers are from the reference's."""
    if not parity.outputs:
        return correctness.explain(parity)
    wrong = [output for output in parity.outputs if not output.passed]
    told = "; ".join(_told(output, parity) for output in (wrong or _worst(parity.outputs))[:3])
    more = f"; and {len(wrong) - 3} more outputs" if len(wrong) > 3 else ""
    left = [output.name for output in parity.outputs if not output.compared]
    alone = f"; not compared, since the reference does not repeat it: {', '.join(left)}" if left else ""
    count = f"{parity.images} request{'s' * (parity.images != 1)}"
    return f"{told or 'nothing was compared'}{more} on {count}{alone}"


def _worst(outputs: Sequence[OutputParity]) -> list[OutputParity]:
    """The output that is farthest from the reference, and the first that had to be equal."""
    near = [output for output in outputs if output.relative_error is not None]
    equal = [output for output in outputs if output.equal is not None]
    return [*([max(near, key=lambda output: output.relative_error)] if near else []), *equal[:1]]


def _far(output: OutputParity) -> bool:
    """Farther from the reference than rounding takes an answer, whatever the bounds of the precision allow."""
    return (output.relative_error or 0) > FAR or (output.equal is not None and output.equal < 1 - FAR)


def _told(output: OutputParity, parity: Parity) -> str:
    if output.problem:
        return f"output {output.name!r} {output.problem}"
    if output.equal is not None:
        return f"output {output.name!r}: {output.equal:.2%} equal (bound {parity.agreement_bound:.0%})"
    return (
        f"output {output.name!r}: relative error {output.relative_error:.2g} (bound {parity.tolerance:g}), cosine "
        f"{output.cosine:.5f} (bound {parity.cosine_bound:g})"
    )


def wrong(artifact: Artifact, parity: Parity) -> str:
    """A sentence on answers that are not the reference's; empty if they are."""
    if parity.passed:
        return ""
    if artifact.adopted:
        return f"its answers are not those of {artifact.adopted.reference}: {explain(parity)}"
    return f"its answers are not torch's: {explain(parity)}"


def notices(artifact: Artifact, parity: Parity | None = None) -> list[Notice]:
    """What has to be known beside the figures of an adopted model."""
    made, found = artifact.adopted, []
    if made and parity and parity.passed and (far := [output for output in parity.outputs if _far(output)]):
        told = "; ".join(_told(output, parity) for output in _worst(far))
        found.append(notice("answers_differ", told=told, reference=made.reference, precision=artifact.precision))
    if made and made.steered_by and made.inputs == "synthetic":
        found.append(notice("values_steer", operators=", ".join(made.steered_by)))
    if made and made.unrepeatable:
        found.append(notice("reference_varies", outputs=", ".join(made.unrepeatable), reference=made.reference))
    return found
