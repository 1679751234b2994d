"""What adapters can do on this machine: asks runtimes and exporters in the process that it is called in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine import registry
from edgebench.machine.registry import AdapterKind
from edgebench.protocols import Exporter
from edgebench.records.probe import Probe


def probes(asked: Sequence[tuple[AdapterKind, str]]) -> Iterator[Probe]:
    """The answers in order, up to the first that may be wrong because of the libraries of those before it."""
    for n, (kind, name) in enumerate(asked):
        answer, certain = _probe(kind, name)
        if n and not certain:
            return
        yield answer


def _probe(kind: AdapterKind, name: str) -> tuple[Probe, bool]:
    """What one says, and whether it would say the same in a process of its own."""
    try:
        adapter = registry.load(kind, name)
        if kind == "exporters":
            made, others = precisions(adapter)
            return Probe(name=name, accepts=made, refused=others), True
        libraries = registry.versions(registry.facts(kind, name).libraries)
        lacking = adapter.lacking() if hasattr(adapter, "lacking") else {}
        return Probe(
            name=name, accepts=tuple(sorted(adapter.accepts)), version=adapter.version(), computes=adapter.computes(),
            lacking={compute: f"{why} ({fix})" for compute, (why, fix) in lacking.items()}, libraries=libraries,
        ), True  # fmt: skip
    except EdgebenchError as error:
        # A library that is absent is absent anywhere; one that is there and does not load is the cause of its error.
        return Probe(name=name, error=error.message, fix=error.fix), error.__cause__ is None
    except Exception as error:  # another author's adapter may fail in any way
        return Probe(name=name, error=f"{type(error).__name__}: {error}", fix="reinstall its library"), False


def precisions(exporter: Exporter) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The precisions it can make here, and why it cannot make the others. Raises Unsupported without fp32."""
    exporter.check("fp32")
    made, others = [], []
    for precision in exporter.accepts:
        try:
            exporter.check(precision)
            made.append(precision)
        except Unsupported as error:
            others.append(f"not {precision}: {error.message}{f' ({error.fix})' if error.fix else ''}")
    return tuple(made), tuple(others)
