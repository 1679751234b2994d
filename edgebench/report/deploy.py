"""A chosen artifact as a folder that runs on its own: the model, its preprocessing, infer.py, and the evidence."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebench import artifact as folder
from edgebench.choosing import confidence
from edgebench.choosing.confidence import Sure
from edgebench.choosing.decision import Decision
from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.machine import registry
from edgebench.records import jsonio, replacing
from edgebench.report import card, choice
from edgebench.specs import Artifact
from edgebench.training.data.formats import FORMATS
from edgebench.training.data.listing import SYSTEM_FOLDERS, THUMBNAILS

# infer.py, the same for every runtime except for the lines that load the model, which the runtime states. It reads
# names from JSON, so no name is code.
INFER, ROS2 = (Path(__file__).with_name(name) for name in ("infer.txt", "ros2_node.txt"))
NOT_NEEDED = {folder.REFERENCE, "history.jsonl", "config.toml"}
OURS = "decision.json"  # marks a folder that may be replaced


def runtimes(format: str, named: Sequence[str] = ()) -> list[str]:
    """The runtimes of this format that infer.py can be written for: the named ones among them, or all.

    Raises UsageError for any other.
    """
    asked = list(dict.fromkeys(registry.canonical("runtimes", name) for name in named))
    stated = registry.all_facts("runtimes")
    able = [name for name, facts in stated.items() if facts.infer_py and format in facts.accepts]
    if wrong := [name for name in asked if name not in able]:
        raise UsageError(f"pick makes no folder that runs on {wrong[0]}", f"--runtime {' or '.join(able)}")
    return asked or able


def check(out: Path) -> None:
    """Raise UsageError if `out` must not be replaced: a file, or a folder that `pick` did not make."""
    if out.exists() and not (out.is_dir() and ((out / OURS).is_file() or not any(out.iterdir()))):
        raise UsageError(f"--out {out} exists and was not made by edgebench pick", "name another folder")


def write(
    out: Path, decision: Decision, chosen: Artifact | None, results: list[Path],
    calibrate: Callable[[Path], Sequence[Sure]] = lambda folder: (),
) -> Decision:  # fmt: skip
    """Write the folder `out`, whole or not at all: the evidence and, if something was chosen, the files to run it.

    `results`: the files of the results that the decision rests on. `calibrate` gets the folder once its infer.py runs,
    and says how sure that has to be; if it raises EdgebenchError, the folder has no thresholds. Returns the decision
    as it was written, with a note on that. Raises Unsupported for a runtime or an artifact that infer.py cannot run.
    """
    check(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing.staged(out) as scratch:
        (scratch / "evidence").mkdir()
        for path in results:
            shutil.copy2(path, scratch / "evidence")
        sure: Sequence[Sure] = ()
        if chosen is not None:
            settings = _runnable(scratch, decision, chosen)
            try:
                sure = calibrate(scratch)
            except EdgebenchError as error:
                note = f"no threshold was calibrated: {error.message}"
                decision = replace(decision, notes=(*decision.notes, note))
            if sure:
                _settings(scratch, settings | {"sure": [vars(one) for one in sure]})
            jsonio.write_text(scratch / "README.md", card.card(decision, chosen, sure))
        jsonio.write_text(scratch / OURS, choice.as_json(decision))
        jsonio.write_text(
            scratch / "decision.md", "\n".join([choice.markdown(decision), *([confidence.table(sure)] if sure else [])])
        )
    return decision


def _settings(scratch: Path, settings: dict[str, Any]) -> None:
    jsonio.write_text(scratch / "preprocessing.json", jsonio.dumps(settings, indent=1) + "\n")


def _runnable(scratch: Path, decision: Decision, chosen: Artifact) -> dict[str, Any]:
    """Put the files into the folder that run the model, and return what its preprocessing.json holds."""
    row = decision.chosen.row
    stated = registry.all_facts("runtimes")
    load = stated[row.runtime].infer_py if row.runtime in stated else ""
    if not load or row.compute != "cpu" or chosen.input_type != "float32":
        able = [name for name, facts in stated.items() if facts.infer_py]
        raise Unsupported(
            f"infer.py is written for {' and '.join(able)} on a CPU, not for {row.runtime} on {row.compute}",
            f"the artifact is {chosen.path}",
        )
    for name in chosen.files.keys() - NOT_NEEDED:
        shutil.copy2(folder.file_in(chosen, name), scratch / name)
    shutil.copy2(chosen.path / folder.manifest_name(chosen.format), scratch)
    suffix = stated[row.runtime].suffixes.get(chosen.format)
    if suffix is None:
        able = " or ".join(stated[row.runtime].suffixes)
        raise EdgebenchError(f"{chosen.path} is in the format {chosen.format}", f"choose an artifact in {able}")
    prepared = chosen.preprocessing
    settings = {
        "model": folder.model_file(chosen, suffix).name, "input": chosen.inputs[0].name, "threads": row.threads,
        "precision": chosen.precision,
        "height": prepared.height, "width": prepared.width, "mean": prepared.mean, "std": prepared.std,
        "classes": chosen.training.data.classes, "levels": prepared.levels, "formats": tuple(FORMATS),
        "passed_over": sorted(THUMBNAILS | SYSTEM_FOLDERS),
    }  # fmt: skip
    _settings(scratch, settings)
    jsonio.write_text(scratch / "infer.py", infer_py(row.runtime, load))
    shutil.copyfile(ROS2, scratch / "ros2_node.py")
    return settings


def infer_py(runtime: str, load: str) -> str:
    """The program of a folder whose model this runtime opens with the lines `load`."""
    text = INFER.read_text(encoding="utf-8").replace("@RUNTIME@", runtime)
    return text.replace("@LOAD@", textwrap.indent(load, "    "))
