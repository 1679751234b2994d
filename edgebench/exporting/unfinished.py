"""An export that another machine has to finish: what is ready for it, and what the target's parser says of that."""

from __future__ import annotations

from edgebench.errors import Unsupported
from edgebench.linting import lint
from edgebench.records.linted import Linted
from edgebench.specs import Artifact


class UnfinishedExport(Unsupported):
    """This machine cannot build the target; `portable` is the artifact from which the right machine can build it, and
    `linted` what the target's parser says of it, if it has one."""

    def __init__(self, cause: Unsupported, target: str, portable: Artifact, linted: Linted | None = None) -> None:
        super().__init__(
            f"the {target} artifact cannot be built here: {cause.message}. The portable part is ready and verified: "
            f"{portable.path}. Copy that folder to the board that will run it, and finish there with "
            f"`edgebench export {portable.path.name} --target {target}`, which needs nothing else of this machine."
            + (f" {lint.explain(linted)}" if linted else ""),
            cause.fix,
        )
        self.portable, self.linted = portable, linted
