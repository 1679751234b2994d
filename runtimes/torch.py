"""PyTorch eager: runs a checkpoint's network, or a program of torch.export, the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, OutOfMemory, Unsupported, refuse_unknown_options
from edgebench.protocols import Run
from edgebench.specs import Artifact, Effective, Foreign, Layers, SessionOptions

if TYPE_CHECKING:
    import torch


class Torch:
    """Opens checkpoints and programs of torch.export (.pt2) on the CPU or a CUDA GPU."""

    accepts = frozenset({"checkpoint", "pt2"})
    native = ("checkpoint", "pt2")
    adopts = ("pt2",)
    aliases = ("pytorch",)
    suffixes = {"checkpoint": ".safetensors", "pt2": ".pt2"}
    installs = dict.fromkeys(("torch", "timm", "safetensors", "sklearn"), "edgebench[train]")
    libraries = ("torch", "timm")
    on, takes = ("cpu", "cuda"), {}
    baseline = True

    def __init__(self) -> None:
        import torch

        from edgebench.training import models

        self._library, self._restore = torch, models.restore

    def signature(self, path: Path) -> Foreign:
        from edgebench.runtimes import torch_pt2

        return torch_pt2.signature(path)

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        return ("cuda", "cpu") if self._library.cuda.is_available() else ("cpu",)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> TorchSession:
        torch = self._library
        refuse_unknown_options("torch", options.extra)
        if compute not in self.computes():
            raise Unsupported(
                f"this torch ({torch.__version__}) does not run on {compute!r}",
                "--compute cpu, or a torch built for the GPU of this machine",
            )
        if options.precision != artifact.precision:
            raise Unsupported(
                f"torch eager runs {artifact.precision} here, not {options.precision}",
                f"leave out --precision, for {artifact.precision}",
            )
        if options.threads:
            torch.set_num_threads(max(1, options.threads // options.streams))
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
        network = self._program(artifact) if artifact.format == "pt2" else self._restore(artifact)
        return TorchSession(network.to(compute), artifact, compute, options.streams)

    def _program(self, artifact: Artifact) -> torch.nn.Module:
        from edgebench.runtimes import torch_pt2_graph

        return torch_pt2_graph.load(model_file(artifact, ".pt2"), artifact.inputs)


class TorchSession:
    """A model in eval mode. Inputs are copied to its device and outputs back, as on a robot."""

    def __init__(self, model: torch.nn.Module, artifact: Artifact, compute: str, streams: int) -> None:
        import torch

        from edgebench.training import models

        self._torch, self._named = torch, models.named_outputs
        self._model: torch.nn.Module | None = model
        self._inputs, self._outputs = artifact.inputs, [spec.name for spec in artifact.outputs]
        self._device = torch.device(compute)
        provider = f"cuda ({torch.cuda.get_device_name()})" if compute == "cuda" else "cpu"
        self.effective = Effective(
            provider=f"torch eager {provider}",
            precision=artifact.precision,
            threads=torch.get_num_threads() * streams if compute == "cpu" else None,
            version=torch.__version__,
        )

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._model is None:
            raise EdgebenchError("the torch session is closed")
        torch, arrays = self._torch, [inputs[spec.name] for spec in self._inputs]
        for spec, array in zip(self._inputs, arrays, strict=True):
            if not _fits(spec.shape, array.shape):  # a convolution would accept any size without an error
                raise EdgebenchError(f"the input {spec.name!r} has shape {array.shape}, the model takes {spec.shape}")
        with torch.inference_mode():
            try:  # .cpu() waits for the GPU; numpy() shares memory with a tensor that nothing else holds
                result = self._model(*(torch.from_numpy(array).to(self._device) for array in arrays))
                found = [tensor.cpu().numpy() for tensor in self._named(result, self._outputs[0]).values()]
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(f"torch: {error}", "a smaller --batch") from error
            except (RuntimeError, IndexError, ValueError, TypeError) as error:  # inputs that the network does not take
                raise EdgebenchError(f"torch: {(str(error) or type(error).__name__).splitlines()[0]}") from error
        return dict(zip(self._outputs, found, strict=True))

    def lanes(self, count: int) -> Sequence[Run]:
        return [self.run] * count  # a model in eval mode may be called by several threads; each has its own pool

    def layers(self) -> Sequence[Layers]:
        return []

    def device_time_ns(self) -> int | None:
        return None

    def close(self) -> None:
        self._model = None

    def __enter__(self) -> TorchSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _fits(stated: tuple[int | str, ...], shape: tuple[int, ...]) -> bool:
    sizes = zip(stated, shape, strict=False)
    return len(stated) == len(shape) and all(isinstance(size, str) or size == own for size, own in sizes)
