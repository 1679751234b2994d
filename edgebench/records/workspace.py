"""The workspace: where checkpoints, artifacts and results are on disk, and which of them are the newest."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records import files

if TYPE_CHECKING:
    from edgebench.specs import Artifact

UNFINISHED = ".unfinished"  # how the folder of a training that has not ended is called
STATE = "state.safetensors"  # the state of such a training, in its folder


def unfinished(out: Path) -> Path:
    """The hidden folder beside a future checkpoint that holds the state of its training."""
    return out.parent / f".{out.name}{UNFINISHED}"


def need_unfinished(out: Path) -> None:
    """Raise UsageError if there is no state of a training of this future checkpoint to go on from."""
    if not (unfinished(out) / STATE).is_file():
        raise UsageError(f"there is no unfinished run to resume in {unfinished(out)}", "leave out --resume")


def now() -> str:
    """The present moment as ISO 8601 in UTC; text order is time order."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Workspace:
    """The folder that holds checkpoints/, artifacts/ and results/ (`--workspace`, by default ./runs)."""

    root: Path

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def answers(self) -> Path:
        """What teachers answered to images, for `edgebench train --distill`."""
        return self.root / "answers"

    @property
    def features(self) -> Path:
        """The cache of frozen features (training/feature_cache.py)."""
        return self.root / "features"

    @property
    def floors(self) -> Path:
        """The folder of floors that were computed for trainings here (training/floor_cache.py)."""
        return self.root / "floors"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder in which something is replaced."""
        own = (self.root / name for name in ("testsets", "tuned", "pick", "sweep", "sweep/steps"))
        models = [made for place in (self.checkpoints, self.artifacts) for made in place.glob("*")]
        return (self.checkpoints, self.artifacts, self.results, self.answers, self.features, self.floors, *own, *models)

    def test_set(self, found: Artifact) -> Path:
        """The file that keeps the test split of an artifact's checkpoint once it was needed (testset.py)."""
        return files.inside(self.root / "testsets", f"{(found.origin or found.identity)[:16]}.npz")

    def validation_set(self, found: Artifact) -> Path:
        """The same for its validation split, by which settings are chosen."""
        return files.inside(self.root / "testsets", f"{(found.origin or found.identity)[:16]}-validation.npz")

    def tuned(self, found: Artifact, device: str, goal: str) -> Path:
        """The file with the setting that `edgebench tune` found for the artifacts of a checkpoint on a device."""
        return files.inside(self.root / "tuned", f"{(found.origin or found.identity)[:16]}-{device}-{goal}.json")

    def family(self, found: Artifact) -> list[Artifact]:
        """The checkpoint or adopted artifact that `found` was made from, if it is here, and all that was exported from
        it, with `found`."""
        origin = found.origin or found.identity
        related = [c for c in _manifests(self.checkpoints) if c.identity == origin]
        related += [e for e in _manifests(self.artifacts) if origin in (e.origin, e.identity)]
        others = [_read(other.path) for other in related if other.identity != found.identity]
        return [found, *others]

    def newest_source(self) -> Artifact:
        """What was trained or adopted last: exports begin with it. Raises EdgebenchError if there is none."""
        heads = [one for one in _manifests(self.artifacts) if one.adopted and not one.origin]
        found = max(self.all_checkpoints() + heads, key=lambda one: one.created, default=None)
        if found is None:
            raise EdgebenchError(
                f"there is no checkpoint and no adopted model in {self.root}",
                "make one: `edgebench train`; or name a model file",
            )
        return _read(found.path)

    def all_checkpoints(self) -> list[Artifact]:
        """Every checkpoint of a training, the oldest first. Raises BadFile for a folder that cannot be read."""
        return [found for found in _manifests(self.checkpoints) if found.training]

    def all_artifacts(self) -> list[Artifact]:
        """Every artifact that is no checkpoint of ours, the oldest first. Raises BadFile as `all_checkpoints` does."""
        return _manifests(self.artifacts)

    def checkpoint_of(self, found: Artifact) -> Artifact:
        """The checkpoint that an artifact was made from. Raises EdgebenchError if it is not in this workspace."""
        origin = found.origin or found.identity
        for checkpoint in _manifests(self.checkpoints):
            if checkpoint.identity == origin:
                return _read(checkpoint.path)
        raise EdgebenchError(
            f"the checkpoint {origin[:8]} that {found.path.name} was made from is not in {self.checkpoints}",
            "name its --workspace, or give the test images with --images FILE",
        )

    def head(self, found: Artifact) -> Artifact:
        """The adopted artifact that `found` was exported from. Raises EdgebenchError if it is not here."""
        if not found.origin:
            return found
        for one in _manifests(self.artifacts):
            if one.identity == found.origin:
                return _read(one.path)
        raise EdgebenchError(
            f"the adopted model that {found.path.name} was made from is not in {self.artifacts}", "name it itself"
        )

    def named(self, path: Path) -> Path:
        """The artifact or checkpoint of this bare name here; the path itself where there is none."""
        places = (self.artifacts, self.checkpoints) if path == Path(path.name) else ()
        return next((place / path for place in places if (place / path).is_dir()), path)

    def newest_artifacts(self) -> list[Artifact]:
        """The newest checkpoint and what was exported from it; failing that, all artifacts here.

        Raises EdgebenchError if there is none, BadFile for a folder that cannot be read: none is left out.
        """
        checkpoints, exported = _manifests(self.checkpoints), _manifests(self.artifacts)
        if not (checkpoints or exported):
            raise EdgebenchError(
                f"there is nothing to run in {self.root}",
                "`edgebench train`, then `edgebench export --target onnx`; or `edgebench adopt FILE`",
            )
        origin = max(checkpoints + exported, key=lambda found: found.created)
        origin_id = origin.origin or origin.identity
        chain = [c for c in checkpoints if c.identity == origin_id]
        chain += [e for e in exported if origin_id in (e.origin, e.adopted and e.identity)]
        return [_read(found.path) for found in chain]


def _manifests(folder: Path) -> list[Artifact]:
    """The artifacts in the folder, the oldest first. Their hashes are checked later, when one is used."""
    if not folder.is_dir():
        return []
    inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = []
    for path in inside:
        try:
            found.append(_read(path, verify=False))
        except BadFile as error:
            raise BadFile(f"{error.message}", f"{error.fix or 'repair it'}, or delete the folder {path}") from None
    return sorted(found, key=lambda item: item.created)


def _read(path: Path, verify: bool = True) -> Artifact:
    from edgebench import artifact  # a command has its workspace before it loads anything

    return artifact.read(path, verify)
