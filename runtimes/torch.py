"""PyTorch eager: runs a checkpoint as it was trained, the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from edgebench.errors import EdgebenchError, OutOfMemory, Unsupported, refuse_unknown_options
from edgebench.specs import Artifact, Effective, SessionOptions
from edgebench.training import models


class Torch:
    """Opens checkpoints on the CPU or a CUDA GPU."""

    accepts = frozenset({"checkpoint"})

    def version(self) -> str:
        return torch.__version__

    def devices(self) -> tuple[str, ...]:
        return ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)

    def open(self, artifact: Artifact, device: str, options: SessionOptions) -> TorchSession:
        refuse_unknown_options("torch", options.extra)
        if device not in self.devices():
            raise Unsupported(
                f"this torch ({torch.__version__}) has no device {device!r}",
                "--compute cpu, or a torch built for the GPU of this machine",
            )
        if options.precision != "fp32":
            raise Unsupported(f"torch eager runs fp32 here, not {options.precision}", "an fp32 checkpoint")
        if options.threads:
            torch.set_num_threads(max(1, options.threads // options.streams))
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
        return TorchSession(models.restore(artifact).to(device), artifact, device, options.streams)


class TorchSession:
    """A model in eval mode; inputs are copied to the device and outputs back, as a robot would."""

    def __init__(self, model: torch.nn.Module, artifact: Artifact, device: str, streams: int) -> None:
        self._model: torch.nn.Module | None = model
        self._input, self._output = artifact.inputs[0], artifact.outputs[0].name
        self._device = torch.device(device)
        provider = f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else "cpu"
        self.effective = Effective(
            provider=f"torch eager {provider}",
            precision="fp32",
            threads=torch.get_num_threads() * streams if device == "cpu" else None,
            version=torch.__version__,
        )

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._model is None:
            raise EdgebenchError("the torch session is closed")
        images = inputs[self._input.name]
        if images.shape[1:] != self._input.shape[1:]:  # a convolution would take any size without a word
            raise EdgebenchError(f"the input has shape {images.shape}, the model takes {self._input.shape}")
        with torch.inference_mode():
            try:  # .cpu() waits for the GPU; numpy() shares memory with a tensor that nobody else holds
                logits = self._model(torch.from_numpy(images).to(self._device)).cpu()
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(f"torch: {error}", "a smaller --batch") from error
        return {self._output: logits.numpy()}

    def lanes(self, count: int) -> list[Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]]:
        return [self.run] * count  # a model in eval mode may be called by several threads; each has its own pool

    def close(self) -> None:
        self._model = None

    def __enter__(self) -> TorchSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
