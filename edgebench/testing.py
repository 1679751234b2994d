"""The contract that every runtime must pass; import it to test your own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebench import artifact as folder
from edgebench.errors import EdgebenchError
from edgebench.machine import registry
from edgebench.measuring import correctness
from edgebench.protocols import Runtime, Session
from edgebench.specs import Artifact, Effective, SessionOptions

MAX_BATCH = 8


def check_runtime(name: str, artifact: Artifact, device: str = "cpu") -> None:
    """Hold the registered runtime `name` to the contract, on an artifact that it accepts and a device that it has.

    Raises AssertionError that says which rule is broken.
    """
    runtime: Runtime = registry.load("runtimes", name)
    _describes_itself(runtime, artifact, device)
    _refuses_unknown_device(runtime, artifact)
    for rule in (
        _says_what_it_runs,
        _inputs_stay,
        _outputs_stay,  # before the comparison, which a shared buffer would fail for a reason hard to see
        _takes_any_batch,
        _answers_as_torch,
        _answers_the_same_twice,
        _refuses_wrong_input,
    ):
        with _open(runtime, artifact, device) as session:
            rule(session, artifact)
    _closes(runtime, artifact, device)
    _opens_two_at_once(runtime, artifact, device)


def _open(runtime: Runtime, artifact: Artifact, device: str) -> Session:
    return runtime.open(artifact, device, SessionOptions(threads=1, precision=artifact.precision, batch=MAX_BATCH))


def _inputs(artifact: Artifact, batch: int, start: int = 0) -> dict[str, np.ndarray]:
    images = folder.read_reference(artifact).images
    chosen = images[(start + np.arange(batch)) % len(images)]
    return {artifact.inputs[0].name: folder.prepared(chosen, artifact)}


def _raises(action: Callable[[], object]) -> BaseException | None:
    try:
        action()
    except Exception as error:
        return error
    return None


def _describes_itself(runtime: Runtime, artifact: Artifact, device: str) -> None:
    assert isinstance(runtime.accepts, frozenset), "`accepts` must be a frozenset, so that nobody changes it"
    assert artifact.format in runtime.accepts, f"the artifact's format {artifact.format!r} is not in `accepts`"
    assert isinstance(runtime.version(), str) and runtime.version(), "`version()` must give the library's version"
    assert device in runtime.devices(), f"`devices()` gives {runtime.devices()}, without {device!r}"


def _refuses_unknown_device(runtime: Runtime, artifact: Artifact) -> None:
    error = _raises(lambda: _open(runtime, artifact, "no-such-device"))
    assert isinstance(error, EdgebenchError), "opening on an unknown device must raise an EdgebenchError, not fall back"
    assert error.fix, "the error for an unknown device must say how to fix it"


def _says_what_it_runs(session: Session, artifact: Artifact) -> None:
    effective = session.effective
    assert isinstance(effective, Effective), "`effective` must be an Effective"
    assert effective.provider, "`effective.provider` must say what really runs the model"
    assert effective.precision in (artifact.precision, None), "another precision than asked for: a silent fallback"
    assert effective.threads is None or effective.threads >= 1, "unknown threads are None, never 0"


def _answers_as_torch(session: Session, artifact: Artifact) -> None:
    parity = correctness.check_parity(session, artifact, folder.read_reference(artifact), (1, 3))
    assert parity.passed, f"its answers are not torch's: {correctness.explain(parity)}"


def _takes_any_batch(session: Session, artifact: Artifact) -> None:
    output = artifact.outputs[0]
    for batch in (2, 1, MAX_BATCH, 5):  # up and down again: buffers that only grow show here
        outputs = session.run(_inputs(artifact, batch))
        assert set(outputs) == {spec.name for spec in artifact.outputs}, f"outputs are called {sorted(outputs)}"
        logits = outputs[output.name]
        assert isinstance(logits, np.ndarray), f"outputs must be numpy arrays, not {type(logits).__name__}"
        assert logits.shape == (batch, *output.shape[1:]), f"batch {batch} gave shape {logits.shape}"
        assert logits.dtype == np.dtype(output.dtype), f"outputs are {logits.dtype}, the artifact says {output.dtype}"


def _answers_the_same_twice(session: Session, artifact: Artifact) -> None:
    name, inputs = artifact.outputs[0].name, _inputs(artifact, 3)
    first = session.run(inputs)[name].copy()
    session.run(_inputs(artifact, 3, start=7))
    assert np.allclose(first, session.run(inputs)[name], rtol=1e-5, atol=1e-5), "the same input gave another answer"


def _outputs_stay(session: Session, artifact: Artifact) -> None:
    name = artifact.outputs[0].name
    kept = session.run(_inputs(artifact, 3))[name]
    copy = kept.copy()
    session.run(_inputs(artifact, 3, start=11))
    assert np.array_equal(kept, copy), "a later run changed the outputs of an earlier one: return copies"


def _inputs_stay(session: Session, artifact: Artifact) -> None:
    inputs = _inputs(artifact, 3)
    (array,) = inputs.values()
    before = array.copy()
    session.run(inputs)
    assert np.array_equal(array, before), "a run changed the caller's input"


def _refuses_wrong_input(session: Session, artifact: Artifact) -> None:
    name, array = artifact.inputs[0].name, next(iter(_inputs(artifact, 2).values()))
    assert _raises(lambda: session.run({name: array[:, :, :-1]})), "an input of the wrong height must raise"
    assert _raises(lambda: session.run({"no-such-input": array})), "an unknown input name must raise"


def _closes(runtime: Runtime, artifact: Artifact, device: str) -> None:
    session = _open(runtime, artifact, device)
    session.close()
    session.close()
    error = _raises(lambda: session.run(_inputs(artifact, 1)))
    assert isinstance(error, EdgebenchError), "running a closed session must raise an EdgebenchError"


def _opens_two_at_once(runtime: Runtime, artifact: Artifact, device: str) -> None:
    name = artifact.outputs[0].name
    with _open(runtime, artifact, device) as one, _open(runtime, artifact, device) as two:
        left, right = one.run(_inputs(artifact, 2))[name], two.run(_inputs(artifact, 2))[name]
    assert np.allclose(left, right, rtol=1e-5, atol=1e-5), "two sessions of one artifact disagree"
