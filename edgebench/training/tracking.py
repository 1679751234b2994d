"""Sends the figures of each epoch to history.jsonl, TensorBoard, Weights & Biases and MLflow."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgebench.errors import Unsupported
from edgebench.records import files
from edgebench.records.recipe import TrainConfig
from edgebench.training.history import History, Record

Sink = Callable[[Record], None]


PACKAGES = {"wandb": "Weights & Biases", "mlflow": "MLflow", "tensorboard": "TensorBoard"}


def check(**asked: bool) -> None:
    """Raise Unsupported for a sink of PACKAGES whose package is not installed; nothing is imported."""
    for package, name in PACKAGES.items():
        found = find_spec(package) if asked.get(package) else None
        if asked.get(package) and (found is None or found.origin is None):  # W&B's own folder ./wandb has none
            raise _missing(name, package, "it is not installed")


class Tracker:
    """Sends the figures of an epoch to every sink."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def log(self, epoch_record: Record) -> None:
        """`epoch_record` maps names to figures; its "epoch", counted from 1, is the step in each sink."""
        for sink in self._sinks:
            sink(epoch_record)


@contextmanager
def open(
    config: TrainConfig, folder: Path, wandb: bool = False, mlflow: bool = False, tensorboard: bool = False,
    epochs_done: int = 0, say: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Tracker]:  # fmt: skip
    """A Tracker that writes `folder`/history.jsonl and, if asked, `folder`/tensorboard/ and `folder`/wandb/, and tells
    MLflow.

    `epochs_done`: epochs of a resumed run to keep; later ones are dropped. `folder` must not be moved before the end.
    An error inside the block marks the run of W&B and MLflow as failed. Entering it raises Unsupported if a package is
    missing or one of them does not start; an existing history is then unchanged. `say` gets a sentence if MLflow's
    server goes away later: the training goes on.
    """
    with ExitStack() as stack:
        opened: list[AbstractContextManager[Sink]] = []
        if tensorboard:
            opened.append(_tensorboard(folder, epochs_done))
        if wandb:
            opened.append(_wandb(config, folder, epochs_done))
        if mlflow:
            opened.append(_mlflow(config, folder, epochs_done, say))
        sinks = [stack.enter_context(place) for place in opened]
        yield Tracker([History(folder / "history.jsonl", epochs_done).append, *sinks])


@contextmanager
def _tensorboard(folder: Path, epochs_done: int) -> Iterator[Sink]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise _missing("TensorBoard", "tensorboard", error) from None

    # purge_step: TensorBoard drops its figures of the epochs that will be repeated.
    with SummaryWriter(str(folder / "tensorboard"), purge_step=epochs_done + 1 if epochs_done else None) as writer:

        def log(record: Record) -> None:
            for name, value in record.items():
                if name != "epoch":
                    writer.add_scalar(name, value, record["epoch"])
            writer.flush()

        yield log


@contextmanager
def _wandb(config: TrainConfig, folder: Path, epochs_done: int) -> Iterator[Sink]:
    try:
        import wandb

        start = wandb.init  # without the package, W&B's own folder ./wandb imports as an empty one
    except (ImportError, AttributeError) as error:
        raise _missing("Weights & Biases", "wandb", error) from None

    # W&B names its folders run-TIME-ID or offline-run-TIME-ID.
    earlier = [path.name.split("run-", 1)[1].split("-", 1) for path in (folder / "wandb").glob("*run-*-*")]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = start(
            project=os.environ.get("WANDB_PROJECT", "edgebench"),
            name=_name(config),
            config=dataclasses.asdict(config),
            dir=str(folder.absolute()),
            id=max(earlier)[1] if epochs_done and earlier else None,
            resume="allow" if epochs_done else None,
            settings=wandb.Settings(console="off"),  # otherwise W&B captures the progress bar
        )
    except wandb.Error as error:
        raise Unsupported(
            f"Weights & Biases does not start: {error}", "log in with `wandb login`, or set WANDB_MODE=offline"
        ) from None

    exit_code = 1
    try:
        yield lambda record: run.log({k: v for k, v in record.items() if k != "epoch"}, step=int(record["epoch"]))
        exit_code = 0
    finally:
        run.finish(exit_code=exit_code)


@contextmanager
def _mlflow(config: TrainConfig, folder: Path, epochs_done: int, say: Callable[[str], None]) -> Iterator[Sink]:
    """Without a server that MLFLOW_TRACKING_URI names, a database beside all trainings' logs: `mlflow ui` shows it."""
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise _missing("MLflow", "mlflow", error) from None

    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "mlflow-run"  # its id, for a training that is resumed
    known = files.content(kept, most=1000).decode(errors="replace").strip() if epochs_done and kept.exists() else ""
    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.absolute().parent / 'mlflow.db'}"
    try:
        client = MlflowClient(tracking_uri=place)
        if re.fullmatch("[0-9a-f]{32}", known):
            run = client.get_run(known).info.run_id
            client.update_run(run, "RUNNING")
        else:
            project = os.environ.get("MLFLOW_EXPERIMENT_NAME", "edgebench")
            there = client.get_experiment_by_name(project)
            run = client.create_run(
                there.experiment_id if there else client.create_experiment(project), run_name=_name(config)
            ).info.run_id
            settings = [Param(name, str(value)) for name, value in dataclasses.asdict(config).items()]
            client.log_batch(run, params=settings)
            kept.write_text(run)
    except MlflowException as error:
        bare = urlsplit(place)
        raise Unsupported(
            f"MLflow does not start at {bare._replace(netloc=bare.netloc.rpartition('@')[2]).geturl()}: {_line(error)}",
            "set MLFLOW_TRACKING_URI to a server that runs, or leave it out for a file in the workspace",
        ) from None

    lost: list[str] = []

    def send(act: Callable[..., None], *arguments: Any) -> None:
        """Tell MLflow, as long as it listens: nothing that it lacks is worth a training."""
        if lost:
            return
        try:
            act(run, *arguments)
        except MlflowException as error:
            lost.append(_line(error))
            say(f"MLflow gets no more figures: {lost[0]}; {folder / 'history.jsonl'} has all of them")

    def log(record: Record) -> None:
        at, step = int(1000 * time.time()), int(record["epoch"])
        send(client.log_batch, [Metric(k, float(v), at, step) for k, v in record.items() if k != "epoch"])

    ended = "FAILED"
    try:
        yield log
        ended = "FINISHED"
    finally:
        send(client.set_terminated, ended)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _name(config: TrainConfig) -> str:
    return f"{config.model} on {config.dataset}, seed {config.seed}"


def _missing(name: str, extra: str, error: Exception | str) -> Unsupported:
    return Unsupported(f"{name} does not load: {error}", f"pip install 'edgebench[{extra}]'")
