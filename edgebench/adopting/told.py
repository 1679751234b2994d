"""An adopted model in words; loads no library."""

from __future__ import annotations

from edgebench.specs import Artifact


def inputs_told(made: Artifact) -> str:
    """The inputs with their sizes and values: "images 1×3×640×640 (0 to 1); sr a scalar (16000)"."""
    shapes = {spec.name: "×".join(map(str, spec.sizes)) or "a scalar" for spec in made.inputs}
    values, plain = made.adopted.values, {name: name if name.isprintable() else repr(name) for name in shapes}
    told = (f"{plain[n]} {s}{f' ({values[n]})' if n in values else ''}" for n, s in shapes.items())
    return "; ".join(told) or "none"
