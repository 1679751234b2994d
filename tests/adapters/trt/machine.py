"""The machine under test, a pytest plug-in: the stand-ins are installed before the adapters are imported."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from edgebench.runtimes import tensorrt_rtx_library
from fakecuda import FakeCuda
from helpers import IMAGE, folder, network, onnx_artifact
from standin import RTX, install

from edgebench.specs import ExportOptions, SessionOptions

try:
    from cuda.bindings import runtime as real_cuda  # before the stand-in takes its name
except ImportError:
    real_cuda = None

BINDINGS = Path(os.environ["EDGEBENCH_TRT_BINDINGS"])
CUDA = FakeCuda()
TRT, CONTROL = install(BINDINGS, CUDA)
if RTX:
    tensorrt_rtx_library.load = lambda: TRT
ELEVEN = int(TRT.__version__.split(".")[0]) >= 11

from edgebench.exporters.tensorrt import TensorRtExporter  # noqa: E402
from edgebench.runtimes.tensorrt import TensorRt  # noqa: E402


@pytest.fixture(autouse=True)
def machine():
    """A fresh machine for each test, which has to leave it as it was."""
    CUDA.reset()
    CONTROL.reset()
    yield
    assert CUDA.leaks() == []


@pytest.fixture
def source(tmp_path):
    return onnx_artifact(tmp_path / "onnx", network())


@pytest.fixture
def plan(source, tmp_path):
    return export(source, tmp_path / "plan")


def export(source, out, **options):
    out.mkdir()
    return folder(out, "tensorrt", TensorRtExporter().export(source, out, ExportOptions(**{"max_batch": 1, **options})))


def open_plan(plan, **options):
    return TensorRt().open(plan, "cuda", SessionOptions(**{"precision": plan.precision, **options}))


def images(n, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(n, *IMAGE)).astype(dtype)


def expected(source, array):
    session = onnxruntime.InferenceSession(source.path / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, {"image": array})[0]


class Quiet(TRT.ILogger):
    def log(self, severity, msg):
        pass


def loaded(plan):
    """The engine itself, for tests that go past the adapters."""
    return TRT.Runtime(Quiet()).deserialize_cuda_engine((plan.path / "model.engine").read_bytes())
