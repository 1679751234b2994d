"""Whether what export, run and evaluate tell of an artifact's answers is what plain loops over the same pictures find.

    python scripts/check_printed.py [WORKSPACE]

For each artifact of a checkpoint in the workspace that has been evaluated once: its runtime is asked by edgebench, in
a process of its own; then its file is opened here by ONNX Runtime, OpenVINO or ncnn itself, and loops in plain Python
count agreement, cosine, relative error and accuracy. They have to be equal to the last digit that is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgebench import artifact as folder
from edgebench.measuring import correctness, process, testset
from edgebench.records.batches import only_batch
from edgebench.records.jobs import Job
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact

RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn"}
BATCHES, LARGEST = (1, 3), 16


def opened(made: Artifact):
    """A function from an input to the logits, by the runtime's own library."""
    if made.format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(made.path / "model.onnx", providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {session.get_inputs()[0].name: x})[0]
    if made.format == "ncnn":
        return one_by_one(made)
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": "bf16" if made.precision == "bf16" else "f32"}
    model = openvino.Core().compile_model(made.path / "model.xml", "CPU", hint)
    return lambda x: model(x)[0]


def one_by_one(made: Artifact):
    """ncnn takes one picture at a time."""
    import ncnn

    net = ncnn.Net()
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
        setattr(net.opt, name, made.precision == "fp16")
    assert not net.load_param(str(made.path / "model.param")) and not net.load_model(str(made.path / "model.bin"))

    def answer(picture: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(picture)).clone())
        return np.array(extractor.extract(net.output_names()[0])[1])

    return lambda x: np.stack([answer(picture) for picture in x])


def asked(run, made: Artifact, images: np.ndarray, batch: int) -> np.ndarray:
    rows = []
    for start in range(0, len(images), batch):
        chunk = images[start : start + batch]
        rows.append(run(folder.prepared(np.resize(chunk, (batch, *chunk.shape[1:])), made))[: len(chunk)])
    return np.concatenate(rows).astype(float)


def by_hand(known: np.ndarray, found: np.ndarray) -> tuple[float, float, float]:
    """Relative error, cosine and agreement, picture by picture."""
    middle = sorted(max(abs(float(v)) for v in row) for row in known)[(len(known) - 1) // 2]
    errors, cosines, same = [], [], 0
    for mine, theirs in zip(found, known.astype(float), strict=True):
        errors.append(max(abs(mine - theirs)) / max(max(abs(theirs)), middle))
        cosines.append(float(mine @ theirs) / (float(mine @ mine) * float(theirs @ theirs)) ** 0.5)
        same += int(np.argmax(mine) == np.argmax(theirs))
    return max(errors), sum(cosines) / len(cosines), same / len(known)


def checked(made: Artifact, images: Path) -> list[str]:
    """What differs, in words."""
    only = only_batch(made)
    reference, run, wrong = folder.read_reference(made), opened(made), []
    verified = [only] if only else sorted({*BATCHES, LARGEST})
    for scenario, batches in (("verify", verified), ("evaluate", [only or LARGEST])):
        job = Job(
            artifact=made.identity, runtime=RUNTIMES[made.format], device="", compute="cpu", scenario=scenario,
            precision=made.precision, batch=only or LARGEST, time_limit_s=3600,
        )  # fmt: skip
        result = process.run_job(job, made, images=images if scenario == "evaluate" else None)
        if result.status != "ok":
            return [f"{scenario}: {result.status}: {result.message}"]
        each = [by_hand(reference.logits, asked(run, made, reference.images, batch)) for batch in batches]
        error, cosine, same = max(e for e, _, _ in each), min(c for _, c, _ in each), min(s for _, _, s in each)
        told = correctness.explain(result.parity)
        for mine in (f"relative error {error:.2g} (", f"cosine {cosine:.5f} (", f"top-1 agreement {same:.1%} ("):
            wrong += [] if mine in told else [f"{scenario}: by hand {mine[:-2]}; told: {told}"]
        if scenario == "evaluate":
            with testset.opened(images, made) as test:
                labels, torch = test.labels, test.first
                first = np.concatenate([asked(run, made, part, only or LARGEST).argmax(axis=1) for part in test.images])
            counted = sum(map(int, first == labels)) / len(labels), sum(map(int, first == torch)) / len(labels)
            said = result.evaluation.accuracy, result.evaluation.torch_agreement
            if [f"{100 * v:.2f}" for v in counted] != [f"{100 * v:.2f}" for v in said]:
                wrong.append(f"evaluate: by hand accuracy, agreement {counted}; told {said}")
    return wrong


def main(workspace: Workspace) -> int:
    bad = number = 0
    for made in workspace.all_artifacts():
        if made.adopted or made.format not in RUNTIMES or not workspace.test_set(made).is_file():
            continue
        made, number = folder.read(made.path), number + 1
        wrong = checked(made, workspace.test_set(made))
        bad += bool(wrong)
        print(f"{made.path.name}: {'; '.join(wrong) or 'equal'}", flush=True)
    print(f"{number - bad} of {number} artifacts are told as plain loops find them")
    return bool(bad or not number)


if __name__ == "__main__":
    sys.exit(main(Workspace(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))))
