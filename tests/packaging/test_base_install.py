"""On a board: the base install and one runtime measure an artifact made elsewhere, on old and new Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment

from edgebench.specs import Artifact

VERSIONS = ("3.10", "3.11", "3.12", "3.13")  # that the package is for, and ONNX Runtime has wheels for


@cache
def pythons() -> list[str]:
    """The Pythons here, oldest first, this one among them: those on PATH, and pyenv's."""
    found = []
    for version in VERSIONS:
        here = [sys.executable] if version == "{}.{}".format(*sys.version_info) else []
        pyenv = sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
        candidates = [*here, *filter(None, [shutil.which(f"python{version}")]), *pyenv]
        works = (c for c in candidates if subprocess.run([c, "-c", ""], capture_output=True).returncode == 0)
        found += [*works][:1]
    return found


PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def has_setuptools() -> bool:
    """Whether this Python has one that can build the wheel: see build-system in pyproject.toml."""
    try:
        return int(metadata.version("setuptools").partition(".")[0]) >= 77
    except metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository, built as pip builds it, from a copy: building leaves nothing here."""
    made = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "tests", "__pycache__")
    source = shutil.copytree(REPOSITORY, made / "source", ignore=ignored)
    command = [*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", made, source]
    # torch brings a setuptools that is new enough on Python 3.12 and later; else one is fetched for this one use, and
    # compiling it takes longer than the building. pip reads this upside down.
    command += ["--no-build-isolation"] if has_setuptools() else []
    environment = clean_environment(PIP_NO_COMPILE="no")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    (built,) = made.glob("*.whl")
    return built


@pytest.mark.xdist_group("base-install")
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_a_base_install_verifies_and_measures(onnx_artifact: Artifact, tmp_path: Path, wheel: Path, which: str) -> None:
    interpreter = pythons()[0 if which == "oldest" else -1]
    if which == "newest" and len(pythons()) == 1:
        pytest.skip("there is one Python here, and the test before was of it")
    subprocess.run([interpreter, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=120)
    installed = tmp_path / "venv" / "bin"
    command = [*PIP, "--python", installed / "python", "install", "--quiet", "--no-compile", "--no-warn-conflicts"]
    command += ["-c", REPOSITORY / "scripts" / "constraints.txt"]
    done = subprocess.run([*command, wheel, "onnxruntime"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

    list_names = "from importlib import metadata as m; print(*(d.name.lower() for d in m.distributions()))"
    listed = subprocess.run([installed / "python", "-c", list_names], capture_output=True, text=True, check=True)
    names = set(listed.stdout.split())
    assert {"edgebench", "onnxruntime"} <= names
    assert not names & {"torch", "timm", "onnx", "scikit-learn", "openvino", "safetensors"}

    def edgebench(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [installed / "edgebench", *arguments], cwd=tmp_path, capture_output=True, text=True,
            env=clean_environment(PATH=os.defpath), timeout=120,
        )  # fmt: skip

    shutil.copytree(onnx_artifact.path, tmp_path / "made-elsewhere")
    done = edgebench("run", "made-elsewhere", "--duration", "0.3", "--launches", "1", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["runtime"], row["status"], row["evidence"]) == ("onnxruntime", "ok", "measured")
    assert row["relative_error"] is not None and row["relative_error"] < 1e-3

    if which == "newest":  # the oldest has stood for all
        return
    api = "import edgebench; print(edgebench.select().chosen.row.runtime)"
    done = subprocess.run([installed / "python", "-c", api], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "onnxruntime\n", done.stderr
    for arguments, code in (
        (("report",), 0),
        (("report", "--html"), 0),
        (("devices",), 0),
        (("doctor",), 0),
        (("train",), 1),
    ):
        done = edgebench(*arguments)
        assert done.returncode == code and "Traceback" not in done.stderr, (arguments, done.stderr)
    assert "pip install 'edgebench[train]'" in done.stderr
    done = edgebench("export", "made-elsewhere", "--target", "openvino")
    assert done.returncode == 1 and "pip install 'edgebench[openvino]'" in done.stderr
