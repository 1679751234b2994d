"""A mistyped name is refused before work begins; what adopting on the way says, and what it leaves."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import Command
from factories import make_artifact
from rich.console import Console

import edgebench
from edgebench.adopting import adopt, opener
from edgebench.cli import cli
from edgebench.commands import _adopting, models
from edgebench.errors import UsageError
from edgebench.records.adopted import Adopted
from edgebench.records.workspace import Workspace, now
from edgebench.specs import TensorSpec
from edgebench.training import at_hand
from edgebench.training.models.names import import_timm


@pytest.mark.parametrize("command", ["run", "estimate", "tune", "evaluate", "ab", "crosscheck"])
@pytest.mark.parametrize("option", ["--runtime", "--device", "--rival"])
def test_a_name_that_nobody_knows_is_refused_before_the_file_is_read(
    command: str, option: str, tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt, "read", lambda *given: pytest.fail("it was read first"))
    done = in_process(command, tmp_path / "net.onnx", option, "tensorflow", "--workspace", tmp_path)
    assert done.returncode == 2 and ("unknown " in done.stderr or "No such option" in done.stderr)


@pytest.mark.parametrize(
    ("arguments", "said", "fix"),
    [
        (("run", "--runtime", "ortt"), "unknown runtime 'ortt'", "did you mean onnxruntime?"),
        (("run", "--runtime", "ovv"), "unknown runtime 'ovv'", "did you mean openvino?"),
        (("adopt", "timm:mobilnetv3_small_100"), "unknown model", "did you mean mobilenetv3_small_100"),
        (("train", "--model", "mobilenetv99"), "unknown model 'mobilenetv99'", "did you mean mobilenetv"),
        (("run", "/etc/passwd"), "its name has no ending", "convert it"),
    ],
)  # fmt: skip
def test_what_was_meant_is_offered(
    arguments: tuple[str, ...], said: str, fix: str, tmp_path: Path, in_process: Command
) -> None:
    done = in_process(*arguments, "--workspace", tmp_path)
    assert done.returncode == 2 and said in done.stderr and fix in done.stderr


def test_every_network_of_timms_is_known_without_importing_it() -> None:
    for name in import_timm().list_models()[::25]:
        at_hand.check_name(name)
        at_hand.check_name(f"{name}.some_tag")
    at_hand.check_name("tf_efficientnet_b0_ap")  # a former name, which timm still takes
    with pytest.raises(UsageError):
        at_hand.check_name("tf_efficientnet_b99")


def test_the_api_refuses_it_first_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopt, "read", lambda *given: pytest.fail("it was read first"))
    for function in (edgebench.run, edgebench.evaluate, edgebench.tune):
        for wrong in ({"device": "jetson"}, {"runtime": "tensorflow"}):
            with pytest.raises(UsageError, match="unknown"):
                function(tmp_path / "net.onnx", workspace=tmp_path, **wrong)
    with pytest.raises(UsageError, match="unknown target"):
        edgebench.export(tmp_path / "net.onnx", target="tensorflow", workspace=tmp_path)


@pytest.mark.parametrize("command", ["adopt", "run"])
def test_ctrl_c_while_a_model_is_adopted_leaves_nothing_and_says_so(
    command: str, tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: object, asked: object, place: Path, **given: object) -> None:
        (place / "net.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(opener.Opener, "made", interrupted)
    (tmp_path / "net.onnx").write_bytes(b"a model")
    done = in_process(command, tmp_path / "net.onnx", "--workspace", tmp_path / "runs")
    assert done.returncode == 130 and "nothing of it is left behind" in done.stderr and "Aborted" not in done.stderr
    assert list((tmp_path / "runs" / "artifacts").iterdir()) == []


@pytest.mark.parametrize(
    ("created", "said"),
    [("2026-01-01T00:00:00+00:00", "net.onnx was adopted before: "), (None, "adopted net.onnx as ")],
)
def test_only_what_is_adopted_now_is_said_to_be(
    created: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Adopted(file="net.onnx", reference="r", inputs="synthetic", seed=0, requests=8)
    inputs = (TensorSpec("x", "float32", (1, 4), sizes=(1, 4)),)

    def read(*given: object) -> object:
        return make_artifact(tmp_path / "made", adopted=known, inputs=inputs, created=created or now())

    monkeypatch.setattr(adopt, "read", read)
    shown = io.StringIO()
    _adopting.read([Path("net.onnx")], Workspace(tmp_path), Console(file=shown, width=200))
    assert shown.getvalue().startswith(said)


def test_ctrl_c_in_a_command_that_has_nothing_to_tell_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models.command, "callback", interrupted)
    done = CliRunner().invoke(cli, ["models"])
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "Interrupted.\n")
