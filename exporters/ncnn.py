"""ONNX → ncnn by its own converter, pnnx: weights in fp32 or fp16, one picture a request."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from edgebench.artifact import model_file
from edgebench.errors import BadFile, EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.machine.children import Child
from edgebench.records import replacing
from edgebench.specs import Artifact, Exported, ExportOptions, Precision, TensorSpec

LIMIT_S, MAGIC, NAMES = 1800.0, "7767517", ("model.param", "model.bin")
OTHERS = ("pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx", "ncnnpy")  # files for other purposes than ours


class NcnnExporter:
    """Lets pnnx convert the ONNX artifact in a process of its own."""

    accepts = dict.fromkeys(("fp32", "fp16"), ("onnx", "fp32"))
    bakes_input = False
    inputs = ("float32",)
    produces = "ncnn"
    verify_with = "ncnn"
    verify_on = "cpu"
    installs = dict.fromkeys(("ncnn", "pnnx"), "edgebench[ncnn]")
    libraries = ("pnnx",)

    def __init__(self) -> None:
        import ncnn  # noqa: F401

        found = importlib.util.find_spec("pnnx")  # importing it would load torch, and we need the program in it alone
        if found is None:
            raise ModuleNotFoundError("No module named 'pnnx'", name="pnnx")
        self._program = Path(found.origin).with_name("pnnx")

    def check(self, precision: Precision) -> None:
        """Nothing beyond the libraries is needed."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        refuse_unknown_options("the ncnn exporter", options.extra)
        inputs = tuple(map(_one, source.inputs))
        with replacing.scratch() as scratch:
            # pnnx writes a dozen files beside the one that it reads, so it reads a link.
            (link := Path(scratch, "model.onnx")).symlink_to(model_file(source, ".onnx").resolve())
            sizes = ",".join(f"[{','.join(map(str, spec.sizes or spec.shape))}]f32" for spec in inputs)
            made = [f"{key}={out / name}" for key, name in zip(("ncnnparam", "ncnnbin"), NAMES, strict=True)]
            other = [f"{key}={Path(scratch, key)}" for key in OTHERS]
            half = f"fp16={int(options.precision == 'fp16')}"
            command = [str(self._program), str(link), f"inputshape={sizes}", half, *made, *other]
            ending = Child(command).wait(time_limit_s=LIMIT_S)
        if ending.exit_code != 0 or not all((out / name).is_file() for name in NAMES):
            raise EdgebenchError(
                f"pnnx cannot convert {source.path.name}: it {ending.how} ({ending.last_line})",
                "another pnnx, or another --target",
            )
        if unknown := _not_converted(out / NAMES[0]):
            raise Unsupported(
                f"ncnn has no layer for {', '.join(unknown)}, which {source.model.name} needs", "another --target"
            )
        return Exported(
            files=NAMES, inputs=inputs, outputs=tuple(_batch_of_1(spec) for spec in source.outputs),
            tools={"pnnx": metadata.version("pnnx"), "ncnn": metadata.version("ncnn")}, precision=options.precision,
        )  # fmt: skip


def _one(spec: TensorSpec) -> TensorSpec:
    """The input for one picture. Raises Unsupported for what ncnn does not take: it has no batch and no integers."""
    if spec.dtype != "float32":
        raise Unsupported(f"ncnn takes float32, and the input {spec.name!r} is {spec.dtype}", "another --target")
    spec = spec if spec.sizes else _batch_of_1(spec)
    if not 2 <= len(spec.shape) <= 4 or (spec.sizes or spec.shape)[0] != 1:
        raise Unsupported(f"ncnn takes requests of one row, and {spec.name} is {spec.sizes or spec.shape}", "--shape")
    return spec


def _batch_of_1(spec: TensorSpec) -> TensorSpec:
    return replace(spec, shape=(1, *spec.shape[1:])) if spec.shape else spec


def _not_converted(param: Path) -> list[str]:
    """The operators that pnnx left as it found them: it ends well, and ncnn then does not open the file.

    ncnn's own layers are single words; those of torch, ONNX and pnnx have a dot or a colon, as in "Tensor.index".
    """
    lines = param.read_text(errors="replace").splitlines()
    if lines[:1] != [MAGIC]:
        raise BadFile(f"pnnx wrote {param.name} in another format than {MAGIC}", "another pnnx")
    return sorted({words[0] for line in lines[2:] if (words := line.split()) and not words[0].isalnum()})
