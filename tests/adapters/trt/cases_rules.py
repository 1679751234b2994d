"""The stand-ins notice mistakes, and are like what they stand for; test_tensorrt.py runs this for each."""

from __future__ import annotations

import importlib
import inspect
import re
import sys

import numpy as np
import pytest
from fakecuda import SIGNATURES, RuleBroken, cudaError_t, cudaMemcpyKind
from helpers import IMAGE
from machine import CUDA, ELEVEN, TRT, Quiet, export, images, loaded, open_plan, real_cuda

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine import cuda


def test_missing_synchronisation_shows(plan, monkeypatch):
    session = open_plan(plan)
    with monkeypatch.context() as patch:
        patch.setattr(CUDA.module, "cudaStreamSynchronize", lambda stream: (cudaError_t.cudaSuccess,))
        assert np.isnan(session.run({"image": images(1)})["logits"]).all()
        with pytest.raises(RuleBroken, match="work to do"):
            CUDA.module.cudaStreamDestroy(session._stream)
    CUDA.module.cudaStreamSynchronize(session._stream)
    session.close()


def test_forgotten_address_shows(plan, monkeypatch):
    monkeypatch.setattr(TRT.IExecutionContext, "set_tensor_address", lambda self, name, memory: True)
    with open_plan(plan) as session, pytest.raises(RuleBroken, match="addresses of"):
        session.run({"image": images(1)})


def test_forgotten_shape_shows(plan, monkeypatch):
    monkeypatch.setattr(TRT.IExecutionContext, "set_input_shape", lambda self, name, shape: True)
    with pytest.raises(Unsupported, match="depends on the data"):
        open_plan(plan)
    context = loaded(plan).create_execution_context()
    with pytest.raises(RuleBroken, match="before the shapes"):
        context.execute_async_v3(0)


def test_freed_and_short_memory_show(plan):
    context = loaded(plan).create_execution_context()
    assert context.set_input_shape("image", (2, *IMAGE))
    (_, short), (_, stream) = CUDA.module.cudaMalloc(8), CUDA.module.cudaStreamCreate()
    for name in ("image", "logits"):
        context.set_tensor_address(name, short)
    with pytest.raises(RuleBroken, match="do not lie within a live device allocation"):
        context.execute_async_v3(int(stream))
    CUDA.module.cudaFree(short)
    with pytest.raises(RuleBroken, match="do not lie within a live device allocation"):
        context.set_tensor_address("image", short)
    with pytest.raises(RuleBroken, match="no live allocation"):
        CUDA.module.cudaFree(short)
    CUDA.module.cudaStreamDestroy(stream)


def test_shape_outside_the_profile_and_unknown_name_show(plan):
    context = loaded(plan).create_execution_context()
    assert not context.set_input_shape("image", (9, *IMAGE))
    with pytest.raises(RuleBroken, match="no tensor 'picture'"):
        context.set_input_shape("picture", (1, *IMAGE))


def test_dynamic_network_without_profile_is_not_built(source, tmp_path, monkeypatch):
    monkeypatch.setattr(TRT.IBuilderConfig, "add_optimization_profile", lambda self, profile: 0)
    with pytest.raises(EdgebenchError, match="no optimization profile has been defined"):
        export(source, tmp_path / "plan")


def test_building_before_parsing_shows(source, tmp_path, monkeypatch):
    monkeypatch.setattr(TRT.OnnxParser, "parse_from_file", lambda self, model: True)
    with pytest.raises(RuleBroken, match="before the network was parsed"):
        export(source, tmp_path / "plan")


def test_dangling_view_reads_poison(plan):
    session = open_plan(plan)
    session.run({"image": images(1)})
    view = session._outputs["logits"].buffer.view
    session.close()
    assert np.isnan(view).all()


def test_a_leak_shows(plan, monkeypatch):
    monkeypatch.setattr(cuda.Buffer, "free", lambda self: None)
    open_plan(plan).close()
    assert len(CUDA.leaks()) == 4
    CUDA.reset()


def test_what_a_version_lacks_fails(plan):
    engine = loaded(plan)
    if ELEVEN:
        for owner, name in [(TRT.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH"), (TRT.BuilderFlag, "FP16")]:
            with pytest.raises(AttributeError, match=name):
                getattr(owner, name)
        with pytest.raises(AttributeError):
            _ = engine.device_memory_size
    for owner, name in [(engine, "get_binding_index"), (engine.create_execution_context(), "execute_async_v2")]:
        with pytest.raises(AttributeError, match=name):
            getattr(owner, name)
    with pytest.raises(AttributeError):
        _ = TRT.no_such_function


def test_a_literal_for_the_flag_fails_in_eleven():
    written_for_ten = TRT.Builder(Quiet()).create_network(1 << 1)
    assert written_for_ten.get_flag(TRT.NetworkDefinitionCreationFlag.STRONGLY_TYPED) != ELEVEN


def test_calls_are_held_to_the_real_signatures(plan):
    context = loaded(plan).create_execution_context()
    for call in (
        lambda: context.set_tensor_address("image", 1.5),
        lambda: context.set_tensor_address(tensor="image", memory=1),
        lambda: context.set_input_shape("image", 1),
        lambda: context.execute_async_v3(),
        lambda: context.get_tensor_shape(0),
        lambda: TRT.Builder("no logger"),
    ):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            call()
    with pytest.raises(TypeError, match="__init__"):
        _logger_without_init()


def _logger_without_init():
    class Logger(TRT.ILogger):
        def __init__(self):
            pass

        def log(self, severity, msg):
            pass

    return Logger()


# cuda-python.


@pytest.mark.skipif(real_cuda is None, reason="cuda-python is not installed; the fake's list of functions stands alone")
def test_fake_is_like_cuda_python():
    for name, parameters in SIGNATURES.items():
        real = re.match(rf"{name}\((.*)\)", getattr(real_cuda, name).__doc__.strip())[1]
        # "size_t count, kind: cudaMemcpyKind" → count, kind
        names = [part.split(":")[0].split()[-1] for part in real.split(",") if part.strip()]
        assert names == list(parameters), name
    for kind in (cudaError_t, cudaMemcpyKind):
        for member in kind:
            assert int(getattr(getattr(real_cuda, kind.__name__), member.name)) == member
    assert int(real_cuda.cudaStream_t(5)) == 5
    assert {"name", "major", "minor"} <= set(dir(real_cuda.cudaDeviceProp()))


def test_only_listed_cuda_functions_are_used():
    used = set(re.findall(r"cudart\.(cuda[A-Z]\w*)", inspect.getsource(cuda)))
    assert {name for name in used if not name.endswith(("_t", "Kind"))} <= set(SIGNATURES)


def test_older_layout_of_cuda_python(monkeypatch):
    package = type(sys)("cuda")
    package.__path__ = []
    package.cudart = CUDA.module
    for name in ("cuda.bindings", "cuda.bindings.runtime"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cuda", package)
    monkeypatch.setitem(sys.modules, "cuda.cudart", CUDA.module)
    spec = importlib.util.find_spec("edgebench.machine.cuda")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.has_gpu()


def test_without_cuda_python_the_missing_module_is_named(monkeypatch):
    for name in ("cuda", "cuda.bindings", "cuda.bindings.runtime"):
        monkeypatch.setitem(sys.modules, name, None)
    spec = importlib.util.find_spec("edgebench.machine.cuda")
    with pytest.raises(ModuleNotFoundError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert caught.value.name.split(".")[0] == "cuda"
