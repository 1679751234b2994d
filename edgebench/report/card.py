"""The model card of a folder to deploy, README.md: metadata for the Hugging Face hub, the data and the figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from edgebench import __version__
from edgebench.choosing import confidence
from edgebench.choosing.confidence import Sure
from edgebench.choosing.decision import Decision
from edgebench.records import account_text
from edgebench.report.formats import markdown_safe
from edgebench.results.figures import CRITERIA, Row
from edgebench.specs import Artifact, Training


def card(decision: Decision, chosen: Artifact, sure: Sequence[Sure] = ()) -> str:
    """The whole README.md. Names come from outside: in the metadata they are JSON, in the text they are escaped."""
    row, training = decision.chosen.row, chosen.training
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in _metadata(row, chosen).items())
    parts = [
        f"---\n{head}\n---", f"# {markdown_safe(row.model)} for {markdown_safe(training.data.dataset)}",
        f"An image classifier of {len(training.data.classes)} classes: "
        f"{markdown_safe(', '.join(training.data.classes))}. Chosen by edgebench {__version__} for "
        f"{markdown_safe(decision.device)}; `decision.md` tells from what and why, `evidence/` has the measurements.",
        "## Use\n\n```bash\npip install numpy pillow " + row.runtime + "\npython infer.py IMAGE_OR_FOLDER...\n"
        "python infer.py --camera 0 --json\n```\n\nOn ROS 2: `python ros2_node.py --ros-args -r "
        "image:=/camera/image_raw`.",
        "## Figures\n\n" + "\n".join(_figures(row)),
        "## Data\n\n" + "\n".join(_data(training)),
        "## Licence\n\n" + _licence(training),
        *([confidence.table(sure)] if sure else []),
    ]  # fmt: skip
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _metadata(row: Row, chosen: Artifact) -> dict[str, object]:
    training = chosen.training
    data, began = training.data.dataset, training.beginning
    accuracy = training.test_accuracy if row.deployed_accuracy is None else row.deployed_accuracy
    figures = [{
        "task": {"type": "image-classification"}, "dataset": {"name": data, "type": data},
        "metrics": [{"type": "accuracy", "value": round(accuracy, 4)}],
    }]  # fmt: skip
    told: dict[str, object] = {"pipeline_tag": "image-classification", "library_name": chosen.format}
    told["tags"] = ["edgebench", "vision", chosen.format, chosen.precision]
    if began and began.learned and began.weights:
        told["base_model"] = f"timm/{began.weights}"
    return told | {"model-index": [{"name": row.model, "results": figures}]}


def _figures(row: Row) -> Iterator[str]:
    machine = markdown_safe(", ".join(row.machine) or row.device)
    yield f"{row.evidence.capitalize()} on {machine} with {row.runtime}.\n"
    yield "| figure | value | 95 % interval |\n| --- | ---: | ---: |"
    for criterion in CRITERIA.values():
        known = criterion.known(row)
        if known.value is not None:
            sure = criterion.column.interval_of(row) is not None
            interval = f"{criterion.show(known.low)} to {criterion.show(known.high)}" if sure else ""
            yield f"| {criterion.title or criterion.name} | {criterion.show(known.value)} | {interval} |"


def _data(training: Training) -> Iterator[str]:
    data = training.data
    if data.account:
        yield from (f"- {markdown_safe(line)}" for line in account_text.short(data.account))
    else:
        counts = f"{data.train:,} training, {data.validation:,} validation, {data.test:,} test"
        yield f"- {markdown_safe(data.dataset)}: {counts}"
    if data.test_sha256:
        yield f"- the test images have the SHA-256 `{data.test_sha256}`"


def _licence(training: Training) -> str:
    began = training.beginning
    if began is None or not began.learned:
        return "The network began with random weights. Name a licence in the metadata above before you publish it."
    told = f"is {markdown_safe(began.licence)}" if began.licence else "is unknown"
    return (
        f"The network began with the weights {markdown_safe(began.title)}, whose licence {told}. Name a licence that "
        "agrees with it in the metadata above before you publish this model."
    )
