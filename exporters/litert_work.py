"""`python -m edgebench.exporters.litert_work`: LiteRT's converter and quantizer, in a process of their own.

python -m edgebench.exporters.litert_work convert CHECKPOINT OUT.tflite
python -m edgebench.exporters.litert_work fp16|int8 IN.tflite REQUESTS.npy OUT.tflite
"""

from __future__ import annotations

import sys
from pathlib import Path


def convert(checkpoint: str, out: str) -> None:
    """fp32, for one picture, which stays NCHW."""
    import torch

    from edgebench import artifact
    from edgebench.training import models  # before litert_torch, which imports what timm would

    source = artifact.read(Path(checkpoint))
    network = models.restore(source).eval()
    import litert_torch

    example = torch.zeros(1, *source.inputs[0].shape[1:])
    litert_torch.convert(network, (example,)).export(out)


def halve(path: str, out: str) -> None:
    """Weights in fp16; LiteRT computes with them in fp32, or on Arm in fp16 where the CPU can."""
    from ai_edge_quantizer import qtyping, quantizer
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    work = quantizer.Quantizer(path)
    work.add_weight_only_config(
        regex=".*", operation_name=qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=16,
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )  # fmt: skip
    Path(out).write_bytes(work.quantize().quantized_model)


def quantize(path: str, requests: str, out: str) -> None:
    """Weights of eight bits with a scale for each channel, activations of eight bits with ranges from the requests.

    What goes in and comes out stays float: by itself it would be int8, with scales that no manifest has.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import qtyping, quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    ((signature, given),) = Interpreter(path).get_signature_list().items()
    work = quantizer.Quantizer(path)
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        work.update_quantization_recipe(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)
    images = np.load(requests, allow_pickle=False)
    ranges = work.calibrate({signature: [{given["inputs"][0]: images[i : i + 1]} for i in range(len(images))]})
    Path(out).write_bytes(work.quantize(ranges).quantized_model)


def main(arguments: list[str]) -> None:
    from edgebench.machine.children import end_with_parent

    end_with_parent()
    verb, *paths = arguments
    if verb == "convert":
        convert(*paths)
    elif verb == "fp16":
        halve(paths[0], paths[2])
    else:
        quantize(*paths)


if __name__ == "__main__":
    main(sys.argv[1:])
