"""On a board: the base install and one runtime measure an artifact made elsewhere, on every Python we claim."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment

from edgebench.specs import Artifact


def python(version: str) -> str | None:
    """A Python of this version: this one, one on PATH, or one of pyenv's."""
    if version == "{}.{}".format(*sys.version_info):
        return sys.executable
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    works = (c for c in candidates if c and subprocess.run([c, "-c", ""], capture_output=True).returncode == 0)
    return next(works, None)


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.13"])
def test_a_base_install_verifies_and_measures(onnx_artifact: Artifact, tmp_path: Path, version: str) -> None:
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} here")
    subprocess.run([interpreter, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    installed = tmp_path / "venv" / "bin"
    # A copy of what the wheel is made of, so that building it leaves nothing in the repository.
    ignored = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "tests", "__pycache__")
    source = shutil.copytree(REPOSITORY, tmp_path / "source", ignore=ignored)
    command = [installed / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["-c", REPOSITORY / "scripts" / "constraints.txt", source, "onnxruntime"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)

    listed = subprocess.run([installed / "pip", "list", "--format", "json"], capture_output=True, text=True, check=True)
    names = {item["name"].lower() for item in json.loads(listed.stdout)}
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

    for arguments, code in ((("report",), 0), (("devices",), 0), (("doctor",), 0), (("train",), 1)):
        done = edgebench(*arguments)
        assert done.returncode == code and "Traceback" not in done.stderr, (arguments, done.stderr)
    assert "pip install 'edgebench[train]'" in done.stderr
    done = edgebench("export", "made-elsewhere", "--target", "openvino")
    assert done.returncode == 1 and "pip install 'edgebench[openvino]'" in done.stderr
