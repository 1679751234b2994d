"""What TensorRT's inspector tells of a plan, in the words of its versions, and what is made of it."""

from __future__ import annotations

import json

import pytest
from edgebench.runtimes.tensorrt_layers import layers
from hypothesis import given
from hypothesis import strategies as st

from edgebench.specs import Layers


def layer(kind: str, *reads: str, key: str = "Format/Datatype", **more: str) -> dict:
    return {"Name": "some", "LayerType": kind, "Inputs": [{"Name": "x", key: read} for read in reads], **more}


def told(*found: dict) -> list[Layers]:
    return layers(json.dumps({"Layers": found, "Bindings": ["image", "logits"]}), "TensorRT")


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        ("Float", "fp32"),
        ("Row major linear FP32", "fp32"),
        ("Half", "fp16"),
        ("Channel major FP16 format where channel % 8 == 0", "fp16"),
        ("BFloat16", "bf16"),
        ("Row major linear BF16 format", "bf16"),
        ("Int8", "int8"),
        ("Thirty-two wide channel vectorized row major Int8 format.", "int8"),
        ("Int64", None),
        ("Row major linear Boolean", None),
        ("", None),
    ],
)
def test_the_precision_is_that_of_what_a_layer_reads(words: str, precision: str | None) -> None:
    assert told(layer("CaskConvolution", words)) == [Layers(precision, "TensorRT", 1)]
    assert told(layer("gemm", words, key="Datatype")) == [Layers(precision, "TensorRT", 1)]


def test_layers_are_counted_by_precision_and_copies_are_none() -> None:
    found = told(
        layer("Reformat", "Float", Origin="REFORMAT"),
        layer("Quantize", "Float", Origin="QDQ"),
        layer("CaskConvolution", "Int8"),
        layer("CaskConvolution", "Int8"),
        layer("kgen", "Bool", "Half"),
        layer("Constant"),
        layer("NoOp", "Half"),
        layer("signal"),
        layer("Dequantize", "Int8", Origin="QDQ"),
    )
    assert found == [Layers("int8", "TensorRT", 2), Layers("fp16", "TensorRT", 1)]


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"Layers": null}', '{"Layers": ["conv", "relu"]}', "1"])
def test_a_plan_that_tells_names_alone_tells_nothing_of_its_layers(text: str) -> None:
    assert layers(text, "TensorRT") == []


anything = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["Layers", "LayerType", "Inputs", "Origin", "Format/Datatype"]), inner)
    ),
    max_leaves=12,
)


@given(anything)
def test_whatever_it_tells_no_error_comes_of_it(value: object) -> None:
    assert all(found.count > 0 for found in layers(json.dumps(value), "TensorRT"))
