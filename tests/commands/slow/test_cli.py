"""The commands as a user types them, with bad input above all: one clear message, no traceback, nothing lost."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from conftest import REPOSITORY, SCRIPTED_CLOCK, Command

from edgebench import artifact
from edgebench.cli import cli
from edgebench.machine import locks
from edgebench.machine.profiles import profile_names
from edgebench.specs import Artifact

FAST = ("--duration", "0.2", "--warmup", "0", "--launches", "1")


def refused(done, code: int, *says: str) -> None:
    """The command ended with this code and one message that holds all of `says`, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Error: ") == 1
    message = " ".join(done.stderr.split())
    for text in says:
        assert text in message, f"{text!r} is not in {message!r}"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("trian",), 2, ["unknown command 'trian'", "did you mean train"]),
        (("train", "--model", "resnet51"), 2, ["unknown model 'resnet51'", "resnet50", "edgebench models --all"]),
        (("train", "--dataset", "digit"), 2, ["unknown dataset or folder 'digit'", "did you mean digits"]),
        (("train", "--subset", "5000"), 2, ["larger than the 1437", "--subset full"]),
        (("train", "--subset", "9"), 2, ["too small for 10 classes", "--subset 20"]),
        (("train", "--subset", "many"), 2, ["'many' is not a size"]),
        (("train", "--epochs", "0"), 2, ["--epochs is 0"]),
        (("train", "--lr", "nan"), 2, ["--lr is nan"]),
        (("train", "--image-size", "9", "--model", "test_vit", "--no-adapt"), 2, ["9 × 9 pixels", "--image-size"]),
        (("export", "--target", "onxx", "x"), 2, ["unknown target 'onxx'", "did you mean onnx"]),
        (("export", "--target", "onnx"), 1, ["there is no checkpoint", "edgebench train"]),
        (("export", "--target", "onnx", "nowhere"), 1, ["nowhere does not exist", "edgebench train"]),
        (("run",), 1, ["there is nothing to run", "edgebench train"]),
        (("run", "--device", "jetson_orinn"), 2, ["unknown device 'jetson_orinn'", "jetson_orin"]),
        (("run", "nowhere"), 1, ["nowhere does not exist"]),
        (("run", "--duration", "0"), 2, ["--duration is 0", "positive"]),
        (("run", "--scenario", "camera", "--rate", "-1"), 2, ["--rate is -1", "positive"]),
        (("run", "--scenario", "camera", "--deadline-ms", "0"), 2, ["--deadline-ms is 0", "positive"]),
        (("run", "--scenario", "camera", "--rate", "1e6"), 2, ["is more than 100000 frames", "--duration"]),
        (("run", "--scenario", "throughput", "--streams", "0"), 2, ["--streams is 0", "at least 1"]),
        (("run", "--streams", "2"), 2, ["no meaning in the scenario latency", "--scenario throughput"]),
        (("run", "--rate", "60"), 2, ["--rate has no meaning in the scenario latency", "--scenario camera or server"]),
        (("run", "--minutes", "2"), 2, ["--minutes has no meaning", "--scenario sustained"]),
        (("run", "--scenario", "camera", "--rate", "-3"), 2, ["--rate is -3", "positive number"]),
        (("run", "--launches", "0"), 2, ["--launches is 0", "at least 1"]),
        (("run", "--precision-target", "2"), 2, ["--precision-target is 2", "0.01"]),
        (("run", "--precision-target", "nan"), 2, ["--precision-target is nan"]),
        (("run", "--max-seconds", "0"), 2, ["--max-seconds is 0", "positive"]),
        (("run", "--scenario", "sustained", "--minutes", "0"), 2, ["--minutes is 0", "positive"]),
        (("run", "--scenario", "sustained", "--minutes", "inf"), 2, ["--minutes is inf"]),
        (("run", "--batch", "0"), 2, ["--batch is 0"]),
        (("run", "--time-limit", "2"), 2, ["leaves no room", "--time-limit"]),
        (("run", "--runtime-option", "fast"), 2, ["is not KEY=VALUE"]),
        (("report",), 1, ["there are no results", "edgebench run"]),
        (("report", "--out", "report.doc"), 2, ["does not say which format", ".md"]),
        (("devices", "show", "../../etc/passwd"), 2, ["../../etc/passwd"]),
        (("devices", "jetson_orin"), 2, ["is a device", "devices show jetson_orin"]),
        (("devices", "shw"), 2, ["unknown command 'shw'", "did you mean show"]),
        (("devices", "--json", "show", "cpu"), 2, ["--json", "devices show"]),
        (("models", "zzz*"), 1, ["no model fits"]),
    ],
)
def test_bad_input_gets_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, says: list[str]
) -> None:
    """In this process, by click's own runner: forty times torch would take minutes to load."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    where = () if arguments[0] in ("trian", "devices", "models") else ("--workspace", str(tmp_path))
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, [*arguments, *where])
    refused(SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr), code, *says)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()], "a refused command left files"


def test_an_unknown_runtime_is_named_before_anything_runs(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    done = in_process("run", onnx_artifact.path, "--runtime", "onnxrutime", "--workspace", tmp_path)
    refused(done, 2, "unknown runtime 'onnxrutime'", "did you mean onnxruntime")


DAMAGES = ("cut in half", "one byte", "gone", "manifest cut", "manifest is a list", "empty folder")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_artifact_is_refused_by_run_and_export(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path, damage: str
) -> None:
    folder = Path(shutil.copytree(onnx_artifact.path, tmp_path / "damaged"))
    model, manifest = folder / "model.onnx", folder / "artifact.json"
    content = bytearray(model.read_bytes())
    if damage == "cut in half":
        model.write_bytes(content[: len(content) // 2])
    elif damage == "one byte":
        content[len(content) // 2] ^= 1
        model.write_bytes(content)
    elif damage == "gone":
        model.unlink()
    elif damage == "manifest cut":
        manifest.write_text(manifest.read_text()[:200])
    elif damage == "manifest is a list":
        manifest.write_text("[1, 2]")
    else:
        for file in folder.iterdir():
            file.unlink()
    for command in (("run", folder, *FAST), ("export", folder, "--target", "openvino")):
        refused(in_process(*command, "--workspace", tmp_path / "runs"), 1, "damaged", "fix:")
    assert not list(tmp_path.glob("runs/*/*")), "nothing was measured or exported"


def test_an_onnx_file_cut_in_half_behind_a_fitting_hash_is_a_failed_result(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    """Damaged before it was hashed: the runtimes themselves have to refuse it."""
    folder = Path(shutil.copytree(onnx_artifact.path, tmp_path / "cut"))
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    artifact.write_manifest(folder, onnx_artifact)
    both = ("--runtime", "onnxruntime", "--runtime", "openvino")
    done = in_process("run", folder, *both, *FAST, "--workspace", tmp_path, "--json")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    rows = json.loads(done.stdout)
    assert {row["runtime"] for row in rows} == {"onnxruntime", "openvino"}
    assert {row["status"] for row in rows} == {"failed"}
    assert all(str(folder) in row["message"] for row in rows)


def test_a_checkpoint_with_a_changed_byte_is_refused(in_process: Command, checkpoint: Artifact, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint.path, tmp_path / "changed"))
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)
    done = in_process("export", folder, "--target", "onnx", "--workspace", tmp_path)
    refused(done, 1, "changed or damaged", "sha256")


def test_an_unwritable_workspace_is_named(in_process: Command, onnx_artifact: Artifact) -> None:
    """/proc takes no new folders, not even root's; training is not begun for nothing."""
    for command in (("train", "--epochs", "1", "--subset", "100", "--image-size", "32"), ("run", onnx_artifact.path)):
        done = in_process(*command, "--workspace", "/proc/edgebench")
        refused(done, 1, "/proc/edgebench", "fix:", "--workspace")
        assert "epoch" not in done.stderr


def test_a_workspace_that_is_a_file(in_process: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = in_process("train", "--workspace", tmp_path / "file", "--epochs", "1")
    assert done.returncode == 2 and "is a file" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_more_threads_than_cores_are_refused(in_process: Command, onnx_artifact: Artifact, tmp_path: Path) -> None:
    done = in_process("run", onnx_artifact.path, "--threads", "9999", "--workspace", tmp_path)
    refused(done, 2, "--threads is 9999", "this machine has", "give at most")


def test_an_out_below_a_file(in_process: Command, checkpoint: Artifact, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = in_process("export", checkpoint.path, "--target", "onnx", "--out", tmp_path / "file" / "sub")
    refused(done, 1, "file", "choose another --workspace or --out")
    assert (tmp_path / "file").read_text() == "mine"


def test_out_does_not_overwrite_a_foreign_folder(in_process: Command, checkpoint: Artifact, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("mine")
    done = in_process("export", checkpoint.path, "--target", "onnx", "--out", tmp_path / "thesis")
    refused(done, 1, "is not an edgebench folder", "--out")
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "mine"


def test_run_measures_everything_newest_on_every_runtime(
    edgebench: Command, in_process: Command, workspace: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(workspace, tmp_path / "runs")
    # One thread each: two of torch wait for each other's core where there are other programs, 30 s of this test.
    done = edgebench("run", *FAST, "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = in_process("report", "--json", cwd=tmp_path)
    rows = {(row["format"], row["runtime"]): row for row in json.loads(shown.stdout)}
    assert set(rows) >= {
        ("checkpoint", "torch"), ("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino"),
    }  # fmt: skip
    assert not {runtime for _, runtime in rows} & {"fake"}, "a scripted runtime was run without being named"
    for row in rows.values():
        assert row["status"] == "ok" and row["evidence"] == "measured" and row["precision"] == "fp32"
        # On a machine that others use torch may not make the six requests that a median needs.
        assert row["median_ms"] > 0 if row["requests"] >= 6 else row["median_ms"] is None
        assert row["throughput_per_s"] > 0 and row["peak_memory_mib"] > 20
        assert row["threads"] == 1 and row["gflops"] == pytest.approx(2 * row["gmacs"])
    assert len(list((copied / "results").glob("*.json"))) == len(rows)
    for form, start in (("markdown", "| model |"), ("csv", "model,parameters_m,"), ("table", "")):
        shown = in_process("report", "--format", form, cwd=tmp_path)
        assert shown.returncode == 0 and shown.stdout.startswith(start)
        assert row["model"] in shown.stdout.replace("\\", "") and "NaN" not in shown.stdout


def test_the_fake_runtime_takes_the_time_it_is_told(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    done = in_process(
        "run", onnx_artifact.path, "--runtime", "fake", "--runtime-option", "latency_ms=3,3,30", "--duration", "1",
        "--launches", "1", "--workspace", tmp_path, "--json", env=SCRIPTED_CLOCK,
    )  # fmt: skip
    (row,) = json.loads(done.stdout)
    assert row["evidence"] == "scripted"
    assert (row["median_ms"], row["p90_ms"]) == (3.001, 30.001), "and a look at the clock"
    assert row["p99_ms"] is None, "about 80 requests do not support a 99th percentile"


def test_a_run_that_waits_for_another_says_so(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "taken", lambda handle, shared=False: False)  # at first; then it waits, and has it
    quick = ("--runtime", "fake", "--launches", "1", "--duration", "0.05", "--warmup", "0", "--power", "none")
    done = in_process("run", onnx_artifact.path, *quick, "--workspace", tmp_path)
    assert done.returncode == 0 and locks.WAITING in done.stderr, done.stderr


def test_a_batch_that_the_artifact_takes_is_measured_and_counted(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    command = ("run", onnx_artifact.path, "--runtime", "ort", "--batch", "5", "--workspace", tmp_path, "--json")
    done = in_process(*command, *FAST)
    (row,) = json.loads(done.stdout)
    assert row["batch"] == 5
    (result,) = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json")]
    samples = result["launches"][0]["samples"]
    assert row["throughput_per_s"] == pytest.approx(5 * len(samples["latency_ns"]) / samples["wall_ns"] * 1e9)
    assert result["parity"]["batches"] == [1, 3, 5]
    assert len(samples["latency_ns"]) == result["summary"]["n"]


def test_a_jetson_profile_elsewhere_is_emulated_loudly(
    edgebench: Command, in_process: Command, onnx_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = ("--device", "jetson_orin", "--runtime", "ort", *FAST, "--workspace", tmp_path, "--json")
    command = ("run", onnx_artifact.path, *elsewhere)
    done = edgebench(*command)
    assert done.returncode == 0, done.stderr
    assert {row["evidence"] for row in json.loads(done.stdout)} == {"emulated"}
    assert "EMULATED" in done.stderr
    refused(in_process(*command, "--require-device"), 1, "jetson_orin", "fix:")
    monkeypatch.setenv("CI", "true")
    refused(in_process(*command), 1, "jetson_orin", "fix:")


def test_an_emulated_board_has_its_number_of_cores(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    profile = tmp_path / "one_core.toml"
    profile.write_text(
        'schema = 1\ntitle = "A board with one core"\ncompute = "cpu"\nruntimes = ["onnxruntime"]\n'
        'precisions = ["fp32"]\n[match]\ndevice_tree = ["acme,one"]\n[cpu]\ncores = 1\n[memory]\ntotal_mib = 2048\n'
    )
    done = in_process(
        "run", onnx_artifact.path, "--device", profile, "--runtime", "ort", *FAST, "--workspace", tmp_path, "--json"
    )
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "results").glob("*.json"):
        result = json.loads(path.read_text())
        assert result["evidence"] == "emulated"
        assert result["job"]["cores"] == result["job"]["threads"] == 1
        assert result["launches"][0]["effective"]["threads"] == 1
        assert result["job"]["memory_limit_mib"] == 2048


def test_a_corrupt_result_file_hides_no_good_one(in_process: Command, onnx_artifact: Artifact, tmp_path: Path) -> None:
    assert in_process("run", onnx_artifact.path, "--runtime", "fake", *FAST, "--workspace", tmp_path).returncode == 0
    (tmp_path / "results" / "00000-broken.json").write_text('{"half": ')
    done = in_process("report", "--json", "--workspace", tmp_path)
    assert done.returncode == 0 and len(json.loads(done.stdout)) == 1
    assert "00000-broken.json" in done.stderr


def test_doctor_says_what_works_and_the_fix(in_process: Command) -> None:
    done = in_process("doctor", "--json")
    assert done.returncode == 0, done.stderr
    findings = {(f["kind"], f["name"]): f for f in json.loads(done.stdout)["findings"]}
    assert findings["runtime", "onnxruntime"]["works"] and findings["exporter", "openvino"]["works"]
    if "tensorrt" not in sys.modules and not findings["runtime", "tensorrt"]["works"]:
        assert findings["runtime", "tensorrt"]["fix"]


def test_completion_offers_devices(edgebench: Command) -> None:
    typed = {"COMP_WORDS": "edgebench run --device jetson_o", "COMP_CWORD": "3"}
    done = edgebench(env={"_EDGEBENCH_COMPLETE": "bash_complete"} | typed)
    offered = {line.split(",")[1] for line in done.stdout.splitlines()}
    assert offered == {name for name in profile_names() if name.startswith("jetson_o")} and len(offered) > 2
    assert "_EDGEBENCH_COMPLETE=bash_complete" in edgebench("completion", "bash").stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8_gets_signs_that_it_has(edgebench: Command, tmp_path: Path, encoding: str) -> None:
    workspace = shutil.copytree(REPOSITORY / "tests" / "fixtures" / "workspace", tmp_path / "runs")
    for command in (("devices",), ("select", "--device", "cpu"), ("report",)):
        where = ("--workspace", workspace) if command != ("devices",) else ()
        done = edgebench(*command, *where, env={"PYTHONIOENCODING": encoding}, encoding=encoding)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    told = done.stdout
    assert ("+-" if encoding == "ascii" else "±") in told
