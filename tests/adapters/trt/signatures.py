"""Holds a stand-in's classes to the real pybind11 ones: what those lack is taken away, and every call is checked."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    name: str
    kind: str
    optional: bool


def overloads(name: str, doc: str) -> list[list[Parameter]]:
    """The parameters of each signature in a pybind11 docstring, `self` left out."""
    found = re.findall(rf"^(?:\d+\. )?{re.escape(name)}\((.*)\) -> .+$", doc, re.MULTILINE)
    return [[_parameter(text) for text in _split(inner)][1:] for inner in found]


def _split(inner: str) -> list[str]:
    parts, depth = [""], 0
    for letter in inner:
        depth += letter in "[(<"
        depth -= letter in "])>"
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _parameter(text: str) -> Parameter:
    name, _, rest = text.partition(":")
    kind, equals, _ = rest.partition(" = ")
    return Parameter(name.strip(), kind.strip(), bool(equals))


def fits(value: Any, parameter: Parameter, module: ModuleType) -> bool:
    """Whether pybind11 would take this value for the parameter."""
    kind = parameter.kind
    if value is None:
        return parameter.optional
    if kind in ("int", "typing.SupportsInt"):
        return hasattr(type(value), "__index__")
    if kind in ("buffer", "typing_extensions.Buffer", "collections.abc.Buffer"):
        try:
            memoryview(value)
        except TypeError:
            return False
        return True
    if kind in ("str", "bool", "tuple", "list"):
        return isinstance(value, {"str": str, "bool": bool, "tuple": tuple, "list": list}[kind])
    if (name := kind.removeprefix("nvinfer1::").rpartition(".")[2]) == "Dims" and isinstance(value, (tuple, list)):
        return all(hasattr(type(size), "__index__") for size in value)  # converted implicitly
    return isinstance(value, getattr(module, name, ()))


def _bind(signature: list[Parameter], args: tuple, kwargs: dict[str, Any], module: ModuleType) -> bool:
    if len(args) > len(signature):
        return False
    given = dict(zip((p.name for p in signature), args, strict=False))
    if given.keys() & kwargs.keys() or not kwargs.keys() <= {p.name for p in signature}:
        return False
    given |= kwargs
    return all(fits(given[p.name], p, module) if p.name in given else p.optional for p in signature)


def _checked(owner: str, function: Callable, signatures: list[list[Parameter]], module: ModuleType) -> Callable:
    @functools.wraps(function)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(_bind(signature, args, kwargs, module) for signature in signatures):
            raise TypeError(
                f"{owner}.{function.__name__}(): incompatible function arguments {args} {kwargs}; takes {signatures}"
            )
        return function(self, *args, **kwargs)

    return checked


def like(real: type, module: ModuleType) -> Callable[[type], type]:
    """Decorate a stand-in of `real`. `module` is the stand-in's own, whose classes stand for the real ones in calls."""

    def decorate(own: type) -> type:
        for name, member in list(vars(own).items()):
            if name.startswith("_") and name != "__init__":
                continue
            actual = getattr(real, name, None)
            signatures = overloads(name, getattr(actual, "__doc__", None) or "")
            if name == "__init__":
                if signatures:  # else it is made by the library only
                    own.__init__ = _checked(own.__name__, member, signatures, module)
            elif not hasattr(real, name):
                delattr(own, name)  # this version has no such thing
            elif isinstance(member, property) != isinstance(actual, property):
                raise TypeError(f"{real.__name__}.{name}: a property on one side only")
            elif not isinstance(member, property):
                if not signatures:
                    raise TypeError(f"{real.__name__}.{name}: no signature in its docstring")
                setattr(own, name, _checked(own.__name__, member, signatures, module))
        own.__getattr__ = _missing(real)
        own.__setattr__ = _set
        return own

    return decorate


def _missing(real: type) -> Callable[[Any, str], Any]:
    def missing(self: Any, name: str) -> Any:
        if hasattr(real, name):
            raise NotImplementedError(f"the stand-in lacks {real.__name__}.{name}: add it")
        raise AttributeError(f"{real.__name__!r} object has no attribute {name!r}")

    return missing


def _set(self: Any, name: str, value: Any) -> None:
    if not (name.startswith("_") or isinstance(getattr(type(self), name, None), property)):
        raise NotImplementedError(f"the stand-in has no {type(self).__name__}.{name} that can be set")
    object.__setattr__(self, name, value)
