"""Shared fixtures: one trained checkpoint and its artifacts, made once by the real commands."""

from __future__ import annotations

import fcntl
import importlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker a core: torch's threads would wait for each other's cores, and the suite took half as long again. Before
    # anything imports torch; the commands that tests start inherit it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A command that asks for more threads shares the cores with other tests: its threads sleep where they wait for each
# other. Spinning took several times as much of the CPU as the work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from click.testing import CliRunner
from hypothesis import HealthCheck, settings

from edgebench import artifact
from edgebench.cli import cli
from edgebench.machine.children import Ending
from edgebench.records.probe import Probe
from edgebench.specs import Artifact

# Else each of the hundreds of processes that tests start compiles edgebench anew, a third of a short command's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# No test may fetch weights by accident, or find those of this machine: what begins with them says so itself.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = os.environ["EDGEBENCH_WEIGHTS"] = str(Path(tempfile.gettempdir(), "edgebench-tests-no-weights"))
os.environ["EDGEBENCH_CACHE"] = str(Path(tempfile.gettempdir(), "edgebench-tests-cache"))  # not the user's own
# No power passes but where they are tested: on a machine with a meter each run would take a quarter of a minute longer.
os.environ["EDGEBENCH_POWER"] = "none"
# In a shell's background job Ctrl-C is ignored, and so it would be in every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may take as long as a busy machine makes it take: both of these would fail by the clock.
settings.register_profile("edgebench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edgebench")

# A folder for each of xdist's workers, with a measuring lock of its own: they need not wait for each other.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
SCRATCH = Path(tempfile.gettempdir(), f"edgebench-tests-{WORKER or 'main'}")
SCRATCH.mkdir(exist_ok=True)
os.environ["EDGEBENCH_LOCKS"] = str(SCRATCH)
if WORKER:
    tempfile.tempdir = str(SCRATCH)  # for the commands that run in this process

REPOSITORY = Path(__file__).parent.parent
LONGEST = (
    "test_train.py", "test_ray.py", "test_tune_command.py", "test_resume.py",
    "test_sweep_processes.py", "test_plugin.py", "test_precision.py", "test_ab.py",
)  # fmt: skip
PLUGINS = Path(__file__).parent / "plugins" / "faulty"
# What measures then reads a clock that a scripted inference alone moves, so that its figures are known beforehand.
SCRIPTED_CLOCK = {"PYTHONPATH": str(Path(__file__).parent / "plugins" / "scripted_clock")}
PATIENCE_S = 300  # for what is certain to come: it ends a test that hangs, and says nothing of how long things take

Command = Callable[..., subprocess.CompletedProcess]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first: whatever trains, exports or starts processes by the dozen is in a folder `slow`.

    Of those the longest come first, so that no worker is left alone with one of them at the end.
    """
    items.sort(key=lambda item: ("slow" in item.path.parts, item.path.name not in LONGEST))


def eventually(true: Callable[[], object]) -> bool:
    """Wait until it comes true; False if it does not in PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not (came := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(came)  # asked again it may be over: a worker is stopped for some milliseconds at a time


def lacking(what: str) -> NoReturn:
    """End a test that cannot run here: skipped on a laptop, failed in continuous integration, which has everything."""
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(what)
    pytest.skip(what, allow_module_level=True)


def needed(module: str, why: str) -> ModuleType:
    """The module; without it the test is at its end (see `lacking`)."""
    try:
        return importlib.import_module(module)
    except ImportError:
        lacking(why)


def clean_environment(**extra: str) -> dict[str, str]:
    """This environment without what would change the behaviour under test, plus `extra`."""
    dropped = ("CI", "EDGEBENCH_WORKSPACE", "PYTHONPATH")
    own = {"COLUMNS": "200", "TMPDIR": str(SCRATCH)}
    return {k: v for k, v in os.environ.items() if k not in dropped} | own | extra


@pytest.fixture(scope="session")
def edgebench() -> Command:
    """Runs the real command line in a process of its own: edgebench("run", "--json", cwd=..., env=...)."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "edgebench", *map(str, arguments)]
        options = {"capture_output": True, "text": True, "timeout": PATIENCE_S} | options
        return subprocess.run(command, env=clean_environment(**(env or {})), **options)

    return run


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Command:
    """As `edgebench`, in this process, where the start is not what is tested: it takes half a second, with torch
    several. Workers are processes of their own here too."""

    def run(
        *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess:
        if cwd:
            monkeypatch.chdir(cwd)
        runner = CliRunner(env={"COLUMNS": "200"} | (env or {}))
        done = runner.invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a checkpoint that tells most digits apart, and its ONNX and OpenVINO artifacts; never changed.

    The first of xdist's workers makes it, for all of them, in its own process: others load torch, timm and sklearn
    from the disk again.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared-workspace"
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "whole").exists():
            for arguments in (
                ("train", "--epochs", "6", "--subset", "400"),
                ("export", "--target", "onnx", "--target", "openvino"),
            ):
                done = CliRunner().invoke(cli, [*arguments, "--workspace", str(root)], catch_exceptions=False)
                assert done.exit_code == 0, done.stderr
            (root / "whole").touch()
    return root


def _only(folder: Path, ending: str) -> Artifact:
    (path,) = folder.glob(f"*{ending}")
    return artifact.read(path)


@pytest.fixture(scope="session")
def checkpoint(workspace: Path) -> Artifact:
    return _only(workspace / "checkpoints", "")


@pytest.fixture(scope="session")
def onnx_artifact(workspace: Path) -> Artifact:
    return _only(workspace / "artifacts", "-onnx")


@pytest.fixture(scope="session")
def openvino_artifact(workspace: Path) -> Artifact:
    return _only(workspace / "artifacts", "-openvino")


class LooksHere:
    """Looks at picture files in this process, as scanning.Looker does in another one."""

    def look(self, paths: list[Path], exact: bool, near: bool) -> tuple:
        from edgebench.training.data import looking

        return looking.look(paths, exact=exact, near=near)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def scanned_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a process for the pictures of each tiny dataset would take half a second, hundreds of times."""
    from edgebench.training.data import scanning

    monkeypatch.setattr(scanning, "Looker", LooksHere)


@pytest.fixture(scope="session", autouse=True)
def probed_once() -> Iterator[None]:
    """Commands in this process ask a runtime what it can do once, then know: each asking is a process of half a second,
    with torch several. A process finds the same plug-ins and libraries as long as PYTHONPATH stays as it is."""
    from edgebench.measuring import process

    ask, known = process._probe, {}

    def probe(adapters: Sequence[tuple[str, str]]) -> tuple[list[Probe], Ending | None]:
        place, ending = os.environ.get("PYTHONPATH"), None
        if missing := [adapter for adapter in adapters if (adapter, place) not in known]:
            found, ending = ask(missing)
            known.update({(adapter, place): answer for adapter, answer in zip(missing, found, strict=False)})
        answered = itertools.takewhile(lambda adapter: (adapter, place) in known, adapters)
        return [known[adapter, place] for adapter in answered], ending

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_probe", probe)
        yield
