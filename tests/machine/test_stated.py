"""What no runtime takes is refused before any work: names of computes, of options, and their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Command

import edgebench
from edgebench.adopting import adopt
from edgebench.errors import UsageError
from edgebench.machine import registry, stated
from edgebench.measuring import process
from edgebench.sweeping import plan

WRONG = [
    ({"runtimes": ["ort"], "options": {"spining": "off"}}, "unknown option of onnxruntime 'spining'", "spinning"),
    ({"runtimes": ["ort"], "options": {"spinning": "no"}}, "spinning is 'no'", "spinning=on or off"),
    ({"runtimes": ["ort"], "options": {"opnvino.x": "1"}}, "unknown option of onnxruntime", "provider"),
    ({"runtimes": ["ncnn"], "options": {"cache": "on"}}, "ncnn has no option 'cache'", "drop it"),
    ({"runtimes": ["litert"], "compute": "cuda"}, "litert does not run on cuda", "--compute cpu"),
    ({"compute": "gpuu"}, "unknown compute 'gpuu'", "did you mean gpu"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "said", "fix"), WRONG)
def test_it_is_refused_with_what_was_meant(asked: dict[str, Any], said: str, fix: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        stated.check(**asked)
    assert fix in refused.value.fix


def test_what_they_take_is_taken() -> None:
    for asked in (
        {"runtimes": ["ort"], "compute": "npu", "options": {"provider": "openvino", "openvino.device_type": "NPU"}},
        {"runtimes": ["openvino"], "compute": "auto", "options": {"cache": "on"}}, {"compute": "cuda"}, {},
        {"runtimes": ["fake"], "options": {"latency_ms": "1,2"}},
    ):  # fmt: skip
        stated.check(**asked)


def test_a_runtime_from_elsewhere_that_states_nothing_looks_at_them_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = registry.RuntimeFacts()
    monkeypatch.setattr(registry, "canonical", lambda kind, name: name)
    monkeypatch.setattr(registry, "all_facts", lambda kind: {"theirs": plain})
    monkeypatch.setattr(registry, "facts", lambda kind, name: plain)
    stated.check(["theirs"], "tpu", {"anything": "1"})


def test_each_runtime_of_ours_states_both() -> None:
    ours = ("fake", "litert", "ncnn", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "torch")
    for name in ours:
        facts = registry.facts("runtimes", name)
        assert facts.on and facts.takes is not None and {*facts.tunes} <= {*facts.takes}


# tune tries the options of runtimes itself, and takes none.
@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        *[(command, ("--compute", "gpuu")) for command in ("run", "evaluate", "tune", "ab")],
        *[(command, ("--runtime-option", "spining=off")) for command in ("run", "evaluate", "ab")],
    ],
)
def test_every_command_refuses_it_before_any_work(
    command: str, wrong: tuple[str, str], tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker was started for it, and the failure was stored: exit code 1."""
    for module, name in ((adopt, "read"), (process, "run_job"), (process, "probe_all")):
        monkeypatch.setattr(module, name, lambda *given, **more: pytest.fail("it worked first"))
    done = in_process(command, tmp_path / "n.onnx", "--runtime", "onnxruntime", *wrong, "--workspace", tmp_path)
    assert done.returncode == 2 and "unknown " in done.stderr and "did you mean" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "given",
    [
        ("--runtime-option", "spinning=off"), ("--runtime-option-b", "spinning=off"),
        ("--runtime-b", "onnxruntime", "--runtime-option", "spinning=off"),
        ("--runtime", "onnxruntime", "--runtime-b", "openvino", "--runtime-option", "spinning=off"),
    ],
)  # fmt: skip
def test_ab_gives_an_option_to_no_runtime_that_was_not_named_or_does_not_take_it(
    given: tuple[str, ...], tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt, "read", lambda *given, **more: pytest.fail("it worked first"))
    done = in_process("ab", tmp_path / "n.onnx", *given, "--workspace", tmp_path)
    assert done.returncode == 2 and ("--runtime NAME" in done.stderr or "option of openvino" in done.stderr)


def test_a_sweep_and_the_api_refuse_it_too(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('models = ["resnet_mini"]\nruntimes = ["onnxruntime"]\n[run]\ncompute = "gpuu"\n')
    with pytest.raises(UsageError, match="unknown compute"):
        plan.make(plan.read(file))
    for function in (edgebench.run, edgebench.evaluate, edgebench.tune):
        with pytest.raises(UsageError, match="unknown compute"):
            function(tmp_path / "net.onnx", workspace=tmp_path, compute="gpuu")
