"""The contract that every runtime must pass; import it to test your own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edgebench import artifact as folder
from edgebench.errors import EdgebenchError
from edgebench.machine import registry
from edgebench.measuring import agreement
from edgebench.protocols import Runtime, Session
from edgebench.records.batches import only_batch
from edgebench.specs import Artifact, Effective, Layers, SessionOptions

MAX_BATCH = 8


def check_runtime(name: str, artifact: Artifact, compute: str = "cpu") -> None:
    """Hold the registered runtime `name` to the contract, on an artifact that it accepts and a compute that it has.

    An adopted artifact has one batch size, as some formats have, and any inputs and outputs; the first output has to be
    one that is compared.
    Raises AssertionError, which says which rule is broken.
    """
    runtime: Runtime = registry.load("runtimes", name)
    _states_facts(name)
    _describes_itself(runtime, artifact, compute)
    _refuses_unknown_compute(runtime, artifact)
    for rule in (
        _says_what_it_runs,
        _inputs_stay,
        _outputs_stay,  # before the comparison, which a shared buffer would fail for no obvious reason
        _takes_any_batch,
        _answers_as_the_reference,
        _answers_the_same_twice,
        _refuses_wrong_input,
        _tells_device_time,
        _tells_layers,
    ):
        with _open(runtime, artifact, compute) as session:
            rule(session, artifact)
    _serves_several_at_once(runtime, artifact, compute)
    _closes(runtime, artifact, compute)
    _opens_two_at_once(runtime, artifact, compute)


def _open(runtime: Runtime, artifact: Artifact, compute: str, streams: int = 1) -> Session:
    batch = only_batch(artifact) or MAX_BATCH
    options = SessionOptions(threads=1, precision=artifact.precision, batch=batch, streams=streams)
    return runtime.open(artifact, compute, options)


def _inputs(artifact: Artifact, batch: int, start: int = 0) -> dict[str, np.ndarray]:
    """A request, of `batch` images if any may be taken; other ones for other values of `start`."""
    if artifact.adopted:
        requests = folder.read_examples(artifact).requests
        return requests[start % len(requests)]
    images, batch = folder.read_reference(artifact).images, only_batch(artifact) or batch
    chosen = images[(start + np.arange(batch)) % len(images)]
    return {artifact.inputs[0].name: folder.prepared(chosen, artifact)}


def _raises(action: Callable[[], object]) -> BaseException | None:
    try:
        action()
    except Exception as error:
        return error
    return None


def _describes_itself(runtime: Runtime, artifact: Artifact, compute: str) -> None:
    assert isinstance(runtime.accepts, frozenset), "`accepts` must be a frozenset, so that nobody changes it"
    assert artifact.format in runtime.accepts, f"the artifact's format {artifact.format!r} is not in `accepts`"
    assert isinstance(runtime.version(), str) and runtime.version(), "`version()` must give the library's version"
    assert compute in runtime.computes(), f"`computes()` gives {runtime.computes()}, without {compute!r}"


def _states_facts(name: str) -> None:
    stated = registry.facts("runtimes", name)
    for fact in ("aliases", "libraries", "native", "requirements", "suits"):
        value = getattr(stated, fact)
        told = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
        assert told or (fact == "requirements" and value is None), f"`{fact}` must be a tuple of strings, not {value!r}"
    for format in (*stated.native, *stated.adopts, *stated.suffixes):
        assert format in stated.accepts, f"`native`, `adopts` or `suffixes` names {format!r}, which is not in `accepts`"


def _refuses_unknown_compute(runtime: Runtime, artifact: Artifact) -> None:
    error = _raises(lambda: _open(runtime, artifact, "no-such-compute"))
    assert isinstance(error, EdgebenchError), (
        "opening on an unknown compute must raise an EdgebenchError, not fall back"
    )
    assert error.fix, "the error for an unknown compute must say how to fix it"


def _says_what_it_runs(session: Session, artifact: Artifact) -> None:
    effective = session.effective
    assert isinstance(effective, Effective), "`effective` must be an Effective"
    assert effective.provider, "`effective.provider` must say what really runs the model"
    assert effective.precision in (artifact.precision, None), "another precision than asked for: a silent fallback"
    assert effective.threads is None or effective.threads >= 1, "unknown threads are None, never 0"


def _answers_as_the_reference(session: Session, artifact: Artifact) -> None:
    only = only_batch(artifact)
    wrong = agreement.wrong(artifact, agreement.check(session, artifact, (only,) if only else (1, 3)))
    assert not wrong, wrong


def _takes_any_batch(session: Session, artifact: Artifact) -> None:
    output = artifact.outputs[0]
    only = only_batch(artifact)
    for batch in (only,) if only else (2, 1, MAX_BATCH, 5):  # up and down again: a buffer that only grows shows here
        outputs = session.run(_inputs(artifact, batch))
        assert set(outputs) == {spec.name for spec in artifact.outputs}, f"outputs are called {sorted(outputs)}"
        if artifact.adopted:
            types = {spec.name: str(outputs[spec.name].dtype) for spec in artifact.outputs}
            assert types == {spec.name: spec.dtype for spec in artifact.outputs}, f"outputs are {types}"
            return
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
    before = {name: array.copy() for name, array in inputs.items()}
    session.run(inputs)
    same = all(np.array_equal(array, before[name]) for name, array in inputs.items())
    assert same, "a run changed the caller's input"


def _refuses_wrong_input(session: Session, artifact: Artifact) -> None:
    name, array = artifact.inputs[0].name, next(iter(_inputs(artifact, 2).values()))
    if not artifact.adopted:
        assert _raises(lambda: session.run({name: array[:, :, :-1]})), "an input of the wrong height must raise"
    assert _raises(lambda: session.run({"no-such-input": array})), "an unknown input name must raise"


def _tells_device_time(session: Session, artifact: Artifact) -> None:
    session.run(_inputs(artifact, 2))
    told = session.device_time_ns()
    assert told is None or (isinstance(told, int) and told > 0), (
        f"`device_time_ns()` gives {told!r}: it must be nanoseconds as an int, or None if unknown"
    )


def _tells_layers(session: Session, artifact: Artifact) -> None:
    for layer in session.layers():
        assert isinstance(layer, Layers) and layer.count > 0, f"`layers()` gives {layer!r}; empty if it cannot tell"


def _serves_several_at_once(runtime: Runtime, artifact: Artifact, compute: str) -> None:
    name, batches = artifact.outputs[0].name, [_inputs(artifact, MAX_BATCH, start) for start in (0, 5)]
    with _open(runtime, artifact, compute, streams=2) as session:
        expected = [session.run(inputs)[name].copy() for inputs in batches]
        lanes = session.lanes(2)
        if not lanes:  # it takes one request at a time
            return
        assert len(lanes) == 2, f"`lanes(2)` gives {len(lanes)}: as many as asked for, or none"
        with ThreadPoolExecutor(2) as pool:
            for _ in range(3):
                found = [one[name] for one in pool.map(lambda lane, inputs: lane(inputs), lanes, batches)]
                for one, other in zip(found, expected, strict=True):
                    assert np.allclose(one, other, rtol=1e-5, atol=1e-5), (
                        "lanes used at the same time mix their answers"
                    )


def _closes(runtime: Runtime, artifact: Artifact, compute: str) -> None:
    session = _open(runtime, artifact, compute)
    session.close()
    session.close()
    error = _raises(lambda: session.run(_inputs(artifact, 1)))
    assert isinstance(error, EdgebenchError), "running a closed session must raise an EdgebenchError"


def _opens_two_at_once(runtime: Runtime, artifact: Artifact, compute: str) -> None:
    name = artifact.outputs[0].name
    with _open(runtime, artifact, compute) as one, _open(runtime, artifact, compute) as two:
        left, right = one.run(_inputs(artifact, 2))[name], two.run(_inputs(artifact, 2))[name]
    assert np.allclose(left, right, rtol=1e-5, atol=1e-5), "two sessions of one artifact disagree"
