"""The guide's runtime for an accelerator works with a stand-in of that accelerator's library."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import REPOSITORY
from factories import make_artifact

from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError
from edgebench.specs import Artifact, SessionOptions, TensorSpec


class RKNNLite:
    """As much of the library as the example calls; a file that says "bad" does not load."""

    def load_rknn(self, path: str) -> int:
        return -1 if b"bad" in Path(path).read_bytes() else 0

    def init_runtime(self) -> int:
        return 0

    def inference(self, inputs: list, data_format: str) -> list:
        assert data_format == "nchw"
        return [inputs[0].mean(axis=(2, 3))]

    def release(self) -> None:
        pass


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> type:
    text = (REPOSITORY / "docs/guide/extend.md").read_text().partition("## A runtime for an accelerator")[2]
    library = ModuleType("rknnlite.api")
    library.RKNNLite = RKNNLite
    monkeypatch.setitem(sys.modules, "rknnlite", ModuleType("rknnlite"))
    monkeypatch.setitem(sys.modules, "rknnlite.api", library)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.3")
    namespace: dict = {}
    exec(compile(re.search(r"```python\n(.*?)```", text, re.S)[1], "extend.md", "exec"), namespace)
    return namespace["Rknn"]


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    made = make_artifact(tmp_path / "net")
    (made.path / "model.rknn").write_bytes(b"good")
    return replace(
        made, format="rknn", files={"model.rknn": ""}, inputs=(TensorSpec("input", "float32", (1, 3, 4, 4)),),
        outputs=(TensorSpec("logits", "float32", (1, 3)),),
    )  # fmt: skip


def test_it_runs_and_refuses_what_it_has_to(example: type, artifact: Artifact) -> None:
    options = SessionOptions(precision=artifact.precision)
    with example().open(artifact, "npu", options) as session:
        picture = np.random.default_rng(0).random((1, 3, 4, 4), dtype=np.float32)
        assert np.allclose(session.run({"input": picture})["logits"], picture.mean(axis=(2, 3)))
        with pytest.raises(EdgebenchError, match="input takes"):
            session.run({"input": picture[:, :, 1:]})
    with pytest.raises(EdgebenchError, match="closed"):
        session.run({"input": picture})
    for kind, compute, asked in (
        (Unsupported, "cpu", options), (UsageError, "npu", replace(options, extra={"core": "1"})),
        (Unsupported, "npu", SessionOptions(precision="bf16")),
    ):  # fmt: skip
        with pytest.raises(kind):
            example().open(artifact, compute, asked)
    (artifact.path / "model.rknn").write_bytes(b"bad")
    with pytest.raises(BadFile, match="cannot open"):
        example().open(artifact, "npu", options)
