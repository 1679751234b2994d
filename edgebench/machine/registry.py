"""Finds adapters by name, through entry points: ours in the same way as anyone else's."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, Literal

from edgebench.errors import EdgebenchError, Unsupported, unknown_name
from edgebench.machine.linters import LinterFacts
from edgebench.protocols import ExporterFacts, MeterFacts, RuntimeFacts

AdapterKind = Literal["runtimes", "exporters", "linters", "meters", "scenarios", "models"]

# What a user calls one of each kind. Its entry points are in the group "edgebench.KIND".
WORDS: dict[AdapterKind, str] = {
    "runtimes": "runtime", "exporters": "target", "linters": "target", "meters": "meter", "scenarios": "scenario",
    "models": "model",
}  # fmt: skip
# What adapters of a kind state about themselves. Those of the other kinds state nothing.
FACTS: dict[AdapterKind, type] = {
    "runtimes": RuntimeFacts, "exporters": ExporterFacts, "linters": LinterFacts, "meters": MeterFacts,
}  # fmt: skip


def _entries(kind: AdapterKind) -> dict[str, EntryPoint]:
    return _installed(tuple(sys.path))[kind]


@cache
def _installed(path: tuple[str, ...]) -> dict[AdapterKind, dict[str, EntryPoint]]:
    """The entry points of every kind, by name; read once, since looking through `path` takes some 30 ms."""
    every = entry_points()
    return {kind: {entry.name: entry for entry in every.select(group=f"edgebench.{kind}")} for kind in WORDS}


def names(kind: AdapterKind) -> list[str]:
    """The registered names, whether or not their libraries are installed."""
    return sorted(_entries(kind))


def canonical(kind: AdapterKind, name: str) -> str:
    """The registered name for what the user typed. Raises UsageError that offers the closest ones."""
    known = names(kind)
    if name in known:
        return name
    if name.lower() in known:
        return name.lower()
    stated = all_facts(kind) if kind in FACTS else {}
    aliases = {alias: one for one, facts in stated.items() for alias in getattr(facts, "aliases", ())}
    if name.lower() in aliases:
        return aliases[name.lower()]
    raise unknown_name(WORDS[kind], name.lower(), known, aliases=aliases)


def load(kind: AdapterKind, name: str, *given: Any) -> Any:
    """An instance of the adapter, made with what is `given`.

    Raises Unsupported, with the fix, if its library is absent or does not load.
    """
    return _guarded(kind, name, lambda adapter: adapter(*given))


def load_object(kind: AdapterKind, name: str) -> Any:
    """The object that the entry point names, without calling it. Raises Unsupported as `load` does."""
    return _guarded(kind, name, lambda adapter: adapter)


def facts(kind: AdapterKind, name: str) -> Any:
    """What an adapter states about itself; needs no library of its own. Defaults if its file does not load."""
    return _stated(kind, _entries(kind)[canonical(kind, name)])


def all_facts(kind: AdapterKind) -> dict[str, Any]:
    """The facts of every adapter of a kind, by name."""
    return {name: _stated(kind, entry) for name, entry in sorted(_entries(kind).items())}


def native(format: str) -> str:
    """The runtime for a format if none is named: the one whose facts say so, else the one of the same name."""
    return next((name for name, stated in all_facts("runtimes").items() if format in stated.native), format)


def versions(distributions: tuple[str, ...]) -> dict[str, str]:
    """The installed versions; what is not installed is left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def runtime_libraries() -> tuple[str, ...]:
    """The libraries that any runtime declares, each once."""
    return tuple(dict.fromkeys(name for stated in all_facts("runtimes").values() for name in stated.libraries))


def _stated(kind: AdapterKind, entry: EntryPoint) -> Any:
    try:
        adapter = entry.load()
    except Exception:  # `load` says what is wrong with it
        return FACTS[kind]()
    given = {field.name: getattr(adapter, field.name) for field in fields(FACTS[kind]) if hasattr(adapter, field.name)}
    return FACTS[kind](**given)


def _guarded(kind: AdapterKind, name: str, use: Callable[[Any], Any]) -> Any:
    name = canonical(kind, name)
    try:
        return use(_entries(kind)[name].load())
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        raise Unsupported(
            f"{name} needs the Python module {module!r}, which is not installed", _fix(kind, name, module)
        ) from None
    except EdgebenchError:
        raise
    except Exception as error:  # a broken native library can raise anything when it is imported
        if found := re.search(r"(?<!\S)(\S+\.so[.\d]*): cannot open shared object file", str(error)):
            helps = getattr(facts(kind, name), "shared", {}).get(found[1], "install the package that has it")
            lacks = f"{name} needs the shared library {found[1]}, which this system lacks"
            raise Unsupported(lacks, helps) from error
        raise Unsupported(f"{name} does not load: {type(error).__name__}: {error}", "reinstall its library") from error


def _fix(kind: AdapterKind, name: str, module: str) -> str:
    stated = facts(kind, name) if kind in FACTS else None
    if stated is None or module not in stated.installs:
        return f"install the module {module!r}"
    return f"pip install {stated.installs[module]!r}" + (f" ({stated.install_note})" if stated.install_note else "")
