"""The figures of a training run arrive where they were asked for, and survive its end."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from conftest import REPOSITORY, clean_environment
from factories import make_artifact

from edgebench.errors import BadFile, Unsupported
from edgebench.training import history, tracking

EPOCHS = [{"epoch": n, "loss": 1 / n, "validation_accuracy": 0.25 * n} for n in (1, 2, 3)]

CONFIG = make_artifact().training.config


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_PROJECT", "WANDB_RUN_ID", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")


def test_each_epoch_is_on_disk_as_soon_as_it_ends(tmp_path: Path) -> None:
    with tracking.open(CONFIG, tmp_path / "run") as tracker:
        for done, epoch in enumerate(EPOCHS, 1):
            tracker.log(epoch)
            assert history.read(tmp_path / "run" / "history.jsonl") == EPOCHS[:done]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["history.jsonl"]


def test_a_new_run_begins_a_new_history_and_a_resumed_one_drops_what_it_repeats(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for done in (0, 0, 1, 2):
        with tracking.open(CONFIG, tmp_path, epochs_done=done) as tracker:
            for epoch in EPOCHS[done:]:
                tracker.log(epoch)
        assert history.read(path) == EPOCHS


def test_a_line_cut_off_by_a_kill_is_no_epoch(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"epoch":1,"loss":2.5}\n{"epoch":2,"lo')
    assert history.read(path) == [{"epoch": 1, "loss": 2.5}]
    with tracking.open(CONFIG, tmp_path, epochs_done=1) as tracker:
        tracker.log({"epoch": 2, "loss": float("nan")})
    assert history.read(path) == [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": None}]


@pytest.mark.parametrize(
    "text", ["[]\n", "nonsense\n", '{"loss":1}\n', '{"epoch":1,"loss":"low"}\n', "[" * 9999 + "\n"]
)
def test_what_is_no_history_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    with pytest.raises(BadFile, match=r"history\.jsonl"):
        history.read(path)


def test_tensorboard_reads_back_each_figure_and_forgets_what_a_resumed_run_repeats(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def scalars(name: str) -> dict[int, float]:
        events = EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        assert events.Tags()["scalars"] == ["loss", "validation_accuracy"]
        return {event.step: event.value for event in events.Scalars(name)}

    with tracking.open(CONFIG, tmp_path, tensorboard=True) as tracker:
        for epoch in EPOCHS:
            tracker.log(epoch)
    assert scalars("loss") == pytest.approx({1: 1, 2: 1 / 2, 3: 1 / 3})
    with tracking.open(CONFIG, tmp_path, tensorboard=True, epochs_done=1) as tracker:
        tracker.log(EPOCHS[1] | {"validation_accuracy": 0.75})
    assert scalars("validation_accuracy") == {1: 0.25, 2: 0.75}


def wandb_records(folder: Path) -> list:
    """The records of a W&B run's own file, a LevelDB log of protobufs: 7 bytes of header in front of each fragment."""
    import wandb
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # W&B's own process may still be writing
    (path,) = folder.glob("*.wandb")
    data, position, whole, records = path.read_bytes(), 7, b"", []  # the file begins with ":W&B", a number, a version
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:  # no header fits into the rest of a block
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last of its fragments
            records.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return records


def test_wandb_keeps_config_figures_and_exit_code_of_good_failed_and_resumed_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking.open(CONFIG, tmp_path, wandb=True) as tracker:
        for epoch in EPOCHS:
            tracker.log(epoch)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    records = wandb_records(folder)
    histories = [r.history for r in records if r.HasField("history")]
    lines = [{item.key or item.nested_key[0]: json.loads(item.value_json) for item in h.item} for h in histories]
    lines = [{k: v for k, v in line.items() if k not in ("_runtime", "_timestamp")} for line in lines]
    assert [{"epoch": line.pop("_step"), **line} for line in lines] == EPOCHS
    (run,) = (r.run for r in records if r.HasField("run"))
    assert run.project == "edgebench" and CONFIG.model in run.display_name
    config = {update.key: json.loads(update.value_json) for update in run.config.update}
    assert {k: config[k] for k in asdict(CONFIG)} == asdict(CONFIG)
    assert [r.exit.exit_code for r in records if r.HasField("exit")] == [0]

    monkeypatch.setenv("WANDB_PROJECT", "robots")
    with pytest.raises(ZeroDivisionError), tracking.open(CONFIG, tmp_path, wandb=True, epochs_done=2) as tracker:
        tracker.log(EPOCHS[2])
        raise ZeroDivisionError
    resumed = max((tmp_path / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime_ns)
    records = wandb_records(resumed)
    (again,) = (r.run for r in records if r.HasField("run"))
    assert (again.project, again.run_id) == ("robots", run.run_id)
    assert [r.exit.exit_code for r in records if r.HasField("exit")] == [1]


class FakeMlflow(ModuleType):
    """As much of MLflow 3.17 as is used, with its signatures: the real one takes 100 packages."""

    class MlflowException(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.places, self.experiments, self.runs, self.MlflowClient, self.gone = [], [], {}, self.client, False
        self.Metric, self.Param = namedtuple("Metric", "key value timestamp step"), namedtuple("Param", "key value")

    def client(self, tracking_uri: str) -> FakeMlflow:
        if "nobody" in tracking_uri:
            raise self.MlflowException("connection refused\nby nobody")
        self.places.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments.append(name)
        return name

    def create_run(self, experiment_id: str, run_name: str) -> SimpleNamespace:
        run = f"{len(self.runs) + 1:032x}"
        self.runs[run] = {"name": run_name, "in": experiment_id, "status": "RUNNING", "metrics": [], "params": {}}
        return self.get_run(run)

    def get_run(self, run_id: str) -> SimpleNamespace:
        assert run_id in self.runs
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def update_run(self, run_id: str, status: str) -> None:
        if self.gone:
            raise self.MlflowException("connection reset\nby its peer")
        self.runs[run_id]["status"] = status

    set_terminated = update_run

    def log_batch(self, run_id: str, metrics: Sequence = (), params: Sequence = ()) -> None:
        if self.gone:
            raise self.MlflowException("connection reset\nby its peer")
        self.runs[run_id]["metrics"] += [(each.key, each.value, each.step) for each in metrics]
        self.runs[run_id]["params"].update(dict(params))


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMlflow:
    module = FakeMlflow()
    for name in ("mlflow", "mlflow.entities", "mlflow.exceptions"):
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_mlflow_keeps_settings_figures_and_how_good_failed_and_resumed_runs_ended(
    tmp_path: Path, mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs" / "run"
    with pytest.raises(ZeroDivisionError), tracking.open(CONFIG, folder, mlflow=True) as tracker:
        tracker.log(EPOCHS[0])
        raise ZeroDivisionError
    assert mlflow.places == [f"sqlite:///{tmp_path}/logs/mlflow.db"]
    ((first, run),) = mlflow.runs.items()
    assert (run["in"], run["status"]) == ("edgebench", "FAILED") and CONFIG.model in run["name"]
    assert run["params"] == {name: str(value) for name, value in asdict(CONFIG).items()}

    with tracking.open(CONFIG, folder, mlflow=True, epochs_done=1) as tracker:
        assert mlflow.runs[first]["status"] == "RUNNING"
        for epoch in EPOCHS[1:]:
            tracker.log(epoch)
    assert [*mlflow.runs] == [first] and run["status"] == "FINISHED"
    assert run["metrics"] == [(k, e[k], e["epoch"]) for e in EPOCHS for k in ("loss", "validation_accuracy")]

    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "robots")
    with tracking.open(CONFIG, folder, mlflow=True):
        assert [found["in"] for found in mlflow.runs.values()] == ["edgebench", "robots"], "a new run"


def test_a_server_of_mlflows_that_is_not_there_is_told(
    tmp_path: Path, mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@nobody")
    with (
        pytest.raises(Unsupported, match=r"at http://nobody: connection refused\n") as raised,
        tracking.open(CONFIG, tmp_path, mlflow=True),
    ):
        pytest.fail("the block was entered")
    assert "MLFLOW_TRACKING_URI" in raised.value.fix


def test_a_server_of_mlflows_that_goes_away_costs_its_figures_and_not_the_training(
    tmp_path: Path, mlflow: FakeMlflow
) -> None:
    said: list[str] = []
    folder = tmp_path / "logs" / "run"
    with tracking.open(CONFIG, folder, mlflow=True, say=said.append) as tracker:
        mlflow.gone = True
        for epoch in (1, 2):
            tracker.log({"epoch": epoch, "loss": 0.5})
    assert len((folder / "history.jsonl").read_text().splitlines()) == 2
    assert said == [f"MLflow gets no more figures: connection reset; {folder / 'history.jsonl'} has all of them"]


@pytest.mark.parametrize(
    ("package", "option"), [("wandb", "wandb"), ("mlflow", "mlflow"), ("tensorboard", "tensorboard")]
)
def test_a_missing_package_is_told_at_once_and_costs_no_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, option: str
) -> None:
    (tmp_path / "history.jsonl").write_text("kept")
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unsupported) as raised, tracking.open(CONFIG, tmp_path, **{option: True}):
        pytest.fail("the block was entered")
    assert raised.value.fix == f"pip install 'edgebench[{option}]'"
    assert (tmp_path / "history.jsonl").read_text() == "kept"


def test_wandb_without_a_key_says_how_to_go_on(tmp_path: Path) -> None:
    """In a process of its own, as a key may be in this one's memory; nothing reaches the network before the refusal."""
    code = (
        "import sys; sys.path.insert(0, 'tests')\nfrom pathlib import Path\nfrom factories import make_artifact\n"
        "from edgebench.training import history, tracking\n"
        f"with tracking.open(make_artifact().training.config, Path({str(tmp_path)!r}), wandb=True): print('entered')"
    )
    environment = clean_environment(WANDB_MODE="online", HOME=str(tmp_path), WANDB_API_KEY="")
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 60, "cwd": REPOSITORY}
    done = subprocess.run([sys.executable, "-c", code], env=environment, **options)
    assert "entered" not in done.stdout
    assert "errors.Unsupported" in done.stderr and "WANDB_MODE=offline" in done.stderr


def test_the_id_of_a_run_of_mlflows_is_read_from_a_small_regular_file(tmp_path: Path, mlflow: FakeMlflow) -> None:
    for folder, make in ((tmp_path / "a", os.mkfifo), (tmp_path / "b", lambda path: path.write_bytes(b"x" * 5000))):
        folder.mkdir()
        make(folder / "mlflow-run")
        with (
            pytest.raises(BadFile, match=r"no regular file|larger than"),
            tracking.open(CONFIG, folder, mlflow=True, epochs_done=1),
        ):
            pass
