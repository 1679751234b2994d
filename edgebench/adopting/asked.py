"""What is asked of the process that opens a foreign model, and what it answers. The parent loads no more of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgebench.specs import Artifact


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What to adopt: a file of a `format`, opened by `runtime`, or `timm:NAME`. `network`: to which the weights in the
    file belong. `inputs`: the files of the user's requests, or `pictures` for them, which become inputs as `preprocess`
    says."""

    file: str
    format: str
    runtime: str
    name: str
    network: str = ""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    preprocess: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AdoptionAnswer:
    """The artifact, whose files lie in the folder but are not hashed yet; or what is wrong, how to fix it, and whether
    it is the request (`usage`)."""

    artifact: Artifact | None = None
    error: str = ""
    fix: str = ""
    usage: bool = False
