"""A mistyped name is refused before work begins; what adopting on the way says, and what it leaves."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import Command
from factories import make_artifact
from PIL import Image
from rich.console import Console

import edgebench
from edgebench.adopting import adopt, opener
from edgebench.cli import cli
from edgebench.commands import _adopting, models
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records import replacing
from edgebench.records.adopted import Adopted
from edgebench.records.workspace import Workspace, now
from edgebench.specs import TensorSpec
from edgebench.training import at_hand, data, requirements, tracking
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


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("pick", "--data", "photos", "--models", "nosuch_net"), "unknown model 'nosuch_net'", 2),
        (("pick", "--data", "photos", "--device", "nosuch"), "unknown device", 2),
        (("probe", "--dataset", "photos", "--models", "nosuch_net"), "unknown model 'nosuch_net'", 2),
        (("study", "samples", "--dataset", "photos", "--models", "nosuch_net"), "unknown model 'nosuch_net'", 2),
        (("train", "--dataset", "photos", "--mlflow"), "MLflow does not load: it is not installed", 1),
        (("train", "--dataset", "photos", "--out", "made", "--resume"), "there is no unfinished run", 2),
    ],
)  # fmt: skip
def test_what_costs_nothing_to_find_out_is_told_before_any_picture_is_read(
    arguments: tuple[str, ...], said: str, code: int, tmp_path: Path, in_process: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """`pick --models nosuch` read all pictures first, and `--mlflow` without MLflow was told after them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "of", lambda *given, **more: pytest.fail("the pictures were read first"))
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    done = in_process(*arguments, "--workspace", tmp_path / "runs")
    assert done.returncode == code and said in done.stderr, done.stderr


def test_a_run_that_is_not_there_is_told_before_torch_is_loaded(
    tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "require_training_libraries", lambda: pytest.fail("torch was loaded first"))
    done = in_process("train", "--dataset", "digits", "--resume", "--workspace", tmp_path)
    assert done.returncode == 2 and "there is no unfinished run" in done.stderr


@pytest.mark.parametrize(
    ("reds", "blues", "said"),
    [(5, 0, "only the class 'red'"), (5, 1, "has 1 image: each class needs at least 3"), (5, 5, "4000")],
)
def test_what_is_wrong_with_a_folder_is_told_before_torch_is_loaded(
    reds: int, blues: int, said: str, tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class with a single image was told after eight seconds of imports."""
    for name, count in (("red", reds), ("blue", blues)):
        for i in range(count):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), name).save(tmp_path / "photos" / name / f"{i}.png")
    monkeypatch.setattr(requirements, "require_training_libraries", lambda: pytest.fail("torch was loaded first"))
    given = ("--dataset", tmp_path / "photos", "--subset", "4000", "--workspace", tmp_path / "runs")
    done = in_process("train", *given)
    assert done.returncode and said in done.stderr, done.stderr
    with pytest.raises(EdgebenchError, match=said):
        edgebench.train(dataset=str(tmp_path / "photos"), subset="4000", workspace=tmp_path / "runs")


def test_the_batch_of_an_export_is_not_taken_for_max_batch(tmp_path: Path, in_process: Command) -> None:
    """click offered `--max-batch`, which is about TensorRT's engines."""
    done = in_process("export", "--batch", "4", "--workspace", tmp_path)
    assert done.returncode == 2 and "requests of any size" in done.stderr and "run --batch 4" in done.stderr
    assert "--batch " not in in_process("export", "--help").stdout.replace("--max-batch", "")


def test_an_artifact_of_the_workspace_is_found_by_its_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The help of `evaluate` says NAME-onnx, and only its whole path was taken."""
    monkeypatch.chdir(tmp_path)
    made = make_artifact(tmp_path / "runs" / "artifacts" / "net-onnx")
    for given in ("net-onnx", "runs/artifacts/net-onnx"):
        assert adopt.read(Path(given), Workspace(Path("runs"))).identity == made.identity
    with pytest.raises(BadFile, match="no-such-onnx does not exist"):
        adopt.read(Path("no-such-onnx"), Workspace(Path("runs")))


def test_a_folder_that_cannot_be_written_to_is_told_by_its_own_name(
    tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a temporary folder was told, which nobody knows."""

    def refuses(*given: object, **named: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / f".net.1234{replacing.PARTIAL}"))

    monkeypatch.setattr(adopt, "read", refuses)
    done = in_process("run", tmp_path / "net.onnx", "--workspace", tmp_path)
    assert f"Error: {tmp_path}: Read-only file system" in done.stderr


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
