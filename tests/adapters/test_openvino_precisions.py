"""What the OpenVINO exporter offers is what the CPU computes in, as OpenVINO itself tells after compiling."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
from edgebench.exporters.openvino import CAPABILITIES, OpenVinoExporter
from openvino import opset13

from edgebench.errors import Unsupported
from edgebench.measuring import probing

TYPES = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16, "fp16": openvino.Type.f16}


@pytest.mark.parametrize("precision", TYPES)
def test_a_precision_is_offered_if_the_cpu_computes_in_it(precision: str) -> None:
    given = opset13.parameter([1, 8], np.float32)
    model = openvino.Model([opset13.matmul(given, np.ones((8, 8), np.float32), False, False)], [given])
    hint = openvino.properties.hint.inference_precision
    compiled = openvino.Core().compile_model(model, "CPU", {hint: TYPES[precision]})
    try:
        OpenVinoExporter().check(precision)
        offered = True
    except Unsupported as error:
        offered, said = False, error
        assert f"does not run {precision}" in said.message and "--precision fp32" in said.fix
    assert offered == (compiled.get_property(hint) == TYPES[precision])


@pytest.mark.parametrize("known", [["FP32", "INT8"], ["FP32", "BF16", "INT8"], ["FP32", "FP16"]])
def test_doctor_tells_what_cannot_be_made_here_apart(known: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", CAPABILITIES)
            return known

    monkeypatch.setattr(openvino, "Core", Core)
    made, others = probing.precisions(OpenVinoExporter())
    for precision, capability in (("bf16", "BF16"), ("fp16", "FP16")):
        assert (precision in made) == (capability in known)
        assert (capability in known) != any(other.startswith(f"not {precision}: this CPU") for other in others)
