"""What is planned for a board, by its profile and what its system has; nothing is connected to."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebench.boards import installer, provision
from edgebench.boards.messages import BoardFacts, Installing
from edgebench.boards.ssh import Host
from edgebench.errors import UsageError
from edgebench.machine import registry
from edgebench.machine.device import load_profile

ORIN = ["nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"]
PI = ["raspberrypi,5-model-b", "brcm,bcm2712"]


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch):
    """A board that tells this when it is looked at."""

    def describe(device_tree: list[str], modules: list[str], cuda: str | None = None) -> None:
        def answer(host: Host, asked: dict[str, Any], say: Any) -> Installing:
            assert asked["do"] == "look"
            found = tuple(name for name in modules if name in asked["modules"])
            told = BoardFacts(
                python="3.10.12", machine="aarch64", free_bytes=1 << 40, device_tree=tuple(device_tree), modules=found,
                cuda=cuda,
            )  # fmt: skip
            return Installing(facts=told)

        monkeypatch.setattr(provision, "_converse", answer)

    return describe


@pytest.mark.parametrize(("cuda", "wanted"), [("12.6.68", "12"), ("13.0.0", "13"), (None, "12")])
def test_a_jetson_runs_its_own_tensorrt_and_onnx_runtime(board, cuda: str | None, wanted: str) -> None:
    board(ORIN, ["tensorrt"], cuda)
    made = provision.plan(Host("orin"))
    assert made.runtimes == ("tensorrt", "onnxruntime") and made.system_site_packages
    assert made.requirements == (f"cuda-python=={wanted}.*", "onnxruntime>=1.17")


@pytest.mark.parametrize(("told", "wanted"), [("# R39 (release), REVISION: 2.0, GCID: 1", "13"), ("# R36 (r", "12")])
def test_the_release_of_jetson_linux_tells_the_cuda_that_the_board_does_not(
    board, monkeypatch: pytest.MonkeyPatch, told: str, wanted: str
) -> None:
    board(ORIN, ["tensorrt"], None)
    seen = provision._converse
    told_too = lambda *given: Installing(facts=replace(seen(*given).facts, l4t=told))  # noqa: E731
    monkeypatch.setattr(provision, "_converse", told_too)
    assert provision.plan(Host("orin")).requirements[0] == f"cuda-python=={wanted}.*"


def test_a_jetson_without_tensorrt_in_its_python_runs_onnx_runtime_alone(board) -> None:
    board(ORIN, [])
    made = provision.plan(Host("orin"))
    assert made.runtimes == ("onnxruntime",) and not made.system_site_packages


def test_another_board_gets_the_first_of_its_profile_that_pip_can_install(board) -> None:
    board(PI, ["tensorrt"])
    made = provision.plan(Host("pi"))
    assert made.runtimes == ("ncnn", "onnxruntime")  # ncnn's files are made of ONNX, which has to run too
    assert made.requirements == ("ncnn>=1.0.20250503", "onnxruntime>=1.17")


def test_a_runtime_that_opens_nothing_that_is_exported_is_not_chosen(board, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would measure none of what `train` and `export` make."""
    board([], [])
    listed = replace(load_profile("cpu"), runtimes=("litert", "onnxruntime"))
    monkeypatch.setattr(provision, "_recognised", lambda device_tree: listed)
    every = registry.all_facts
    fewer = lambda kind: {name: facts for name, facts in every(kind).items() if name != "tflite"}  # noqa: E731
    monkeypatch.setattr(registry, "all_facts", fewer)
    assert provision.plan(Host("board")).runtimes == ("onnxruntime",)


def test_what_is_named_is_meant(board) -> None:
    board(PI, [])
    assert provision.plan(Host("pi"), ["ov", "fake"]).requirements == ("openvino>=2024.4",)
    with pytest.raises(UsageError, match="does not know what torch needs"):
        provision.plan(Host("pi"), ["torch"])


@pytest.mark.parametrize(
    ("code", "said", "message", "fix"),
    [
        (1, "python3: No module named ensurepip", "cannot make virtual environments", "-venv"),
        (1, "Traceback\nOSError: [Errno 28] No space left on device: ensurepip", "No space left", "free space"),
        (-9, "", "signal 9 ended it", "free space"),
    ],
)
def test_a_pip_that_cannot_be_put_into_the_environment_is_told_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, said: str, message: str, fix: str
) -> None:
    """Not every failure of ensurepip is a Debian without python3-venv."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(command, code if "ensurepip" in command else 0, said, "")

    monkeypatch.setattr(installer.subprocess, "run", run)
    monkeypatch.setattr(installer, "own_pip", lambda: None)
    with pytest.raises(installer.Failure) as failed:
        installer.make_environment(tmp_path / "venv", False)
    assert message in failed.value.args[0] and fix in failed.value.args[1]


def test_pip_is_unpacked_and_not_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """ensurepip compiles hundreds of files, of which few are ever loaded: two minutes on a slow board."""
    called, real = [], subprocess.run

    def run(command: list[str], **more: object) -> subprocess.CompletedProcess:
        called.append(command)
        return real(command, **more)

    monkeypatch.setattr(installer.subprocess, "run", run)
    assert installer.own_pip(), "this Python has no wheel of pip: what else could be tested?"
    installer.make_environment(tmp_path / "venv", False)
    assert len(called) == 1 and not list(tmp_path.glob("venv/**/pip/**/*.pyc"))
    assert installer.usable(tmp_path / "venv", False)


def test_a_damaged_wheel_of_pip_is_told_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = tmp_path / "pip.whl"
    wheel.write_bytes(b"no archive")
    monkeypatch.setattr(installer, "own_pip", lambda: wheel)
    with pytest.raises(installer.Failure, match="cannot make a virtual environment"):
        installer.make_environment(tmp_path / "venv", False)
    assert not (tmp_path / "venv").exists()


def test_while_pip_says_nothing_set_up_tells_how_much_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go, told = tmp_path / "go", []

    def tell(say: str) -> None:
        told.append(say)
        if "Installing: " in say and "written" in say:
            go.touch()

    monkeypatch.setattr(installer, "BEAT_S", 0.02)
    monkeypatch.setattr(installer, "tell", tell)
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(.01)"
    silent = f"import os, time\nprint('Installing: a, b', flush=True)\n{wait}"
    installer.run([sys.executable, "-c", silent], {})
    assert "Installing: a, b" in told and "Installing: 0 MB are written" in [re.sub(r"\d+", "0", say) for say in told]
