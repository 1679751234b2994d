"""The TensorRT adapters, held against the real Python bindings of every version that is supported.

Each version gets a process of its own (trt/cases_*.py), since its native module can be imported once only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import REPOSITORY, lacking, needed

ROOT = REPOSITORY
CASES = Path(__file__).parent / "trt"
FETCH = "scripts/fetch_tensorrt_bindings"


@pytest.mark.parametrize("version", ["10.3.0", "10.16.1.11", "11.4.0.106"])
def test_adapters(version: str) -> None:
    home = Path(os.environ.get("EDGEBENCH_TRT_DIR", ROOT / ".venv" / "tensorrt"))
    bindings = home / version
    ready, tag = bindings / "ready", "cp{}{}".format(*sys.version_info)
    if not ready.is_file() or ready.read_text().strip() != tag:
        lacking(f"{bindings} holds no TensorRT bindings for {tag}: {FETCH} {home} fetches them")
    libraries = [str(bindings / "stubs"), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": str(CASES),
        "EDGEBENCH_TRT_BINDINGS": str(bindings),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
    }
    check(f"TensorRT {version}", CASES.glob("cases_*.py"), environment)


def test_adapters_of_tensorrt_rtx() -> None:
    needed("tensorrt_rtx_bindings", "TensorRT-RTX is not installed: pip install 'edgebench[tensorrt-rtx]'")
    environment = {**os.environ, "PYTHONPATH": str(CASES), "EDGEBENCH_TRT_BINDINGS": "rtx", "EDGEBENCH_TRT_RTX": "1"}
    check("TensorRT-RTX", [CASES / "rtx_rules.py"], environment)


def check(what: str, cases: Iterable[Path], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "machine", "-p", "no:cacheprovider", *sorted(map(str, cases))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{what}:\n{done.stdout}\n{done.stderr}"
