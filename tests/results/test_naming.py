"""Rows of one model name are told apart by what their networks differ in, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

from factories import make_artifact, make_result

from edgebench.records.result import Result
from edgebench.results.rows import rows
from edgebench.specs import Artifact


def made(origin: str, *, pixels: int = 32, epochs: int = 8, dataset: str = "photos") -> Artifact:
    base = make_artifact(origin=origin, files={"model.onnx": origin})
    trained = replace(
        base.training, config=replace(base.training.config, epochs=epochs),
        data=replace(base.training.data, dataset=dataset),
    )  # fmt: skip
    return replace(base, preprocessing=replace(base.preprocessing, height=pixels, width=pixels), training=trained)


def names(*artifacts: Artifact, runtimes: tuple[str, ...] = ("onnxruntime",)) -> set[str]:
    found: list[Result] = [make_result(each, runtime=runtime) for each in artifacts for runtime in runtimes]
    model = artifacts[0].model.name
    return {row.name.removeprefix(f"{model}, ") for row in rows(found)}


def test_one_network_keeps_its_plain_name() -> None:
    network = made("a" * 64)
    assert names(network, runtimes=("onnxruntime", "openvino")) == {network.model.name}


def test_networks_are_named_by_what_differs() -> None:
    assert names(made("a" * 64, pixels=32), made("b" * 64, pixels=224)) == {"32 px", "224 px"}
    assert names(made("a" * 64, epochs=3), made("b" * 64, epochs=20)) == {"3 epochs", "20 epochs"}
    assert names(made("a" * 64, dataset="indoors"), made("b" * 64)) == {"indoors", "photos"}
    assert names(made("a" * 64), made("b" * 64)) == {"a" * 8, "b" * 8}
    assert names(made("a" * 64), made("b" * 64, epochs=3), made("c" * 64, epochs=3)) == {
        "8 epochs, aaaaaaaa", "3 epochs, bbbbbbbb", "3 epochs, cccccccc",
    }  # fmt: skip
