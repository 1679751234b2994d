"""Rows of one model name are told apart by what their networks differ in, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

from factories import make_artifact, make_result, make_samples

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


def test_settings_of_one_runtime_are_named_by_what_differs() -> None:
    """Two rows of `--runtime-option` looked the same but for their times."""
    made_by = make_artifact()
    plain = make_result(made_by, options={"shared": "1"})
    tried = make_result(made_by, options={"shared": "1", "session.inter_op_threads": "2"})
    spins = make_result(made_by, options={"shared": "1"}, environment={"OMP_WAIT_POLICY": "active"})
    other = make_result(made_by, runtime="openvino", options={"hint": "latency"})
    found = {row.name.removeprefix(made_by.model.name) for row in rows([plain, tried, spins, other])}
    assert found == {"", ", session.inter_op_threads=2", ", OMP_WAIT_POLICY=active"}
    assert [row.settings for row in rows([tried])] == [("session.inter_op_threads=2", "shared=1")]


def test_what_was_interrupted_says_so_in_its_name() -> None:
    """It stood in tables like a whole measurement, where there was no room for why it stopped."""
    cut = make_result(samples=[make_samples((1_000_000,) * 40)] * 2, stop="interrupted")
    model = cut.artifact.model.name
    assert [row.name for row in rows([cut])] == [f"{model}, interrupted after 2 launches"]
    (once,) = rows([make_result(stop="interrupted")])
    assert once.name == f"{model}, interrupted after 1 launch"
