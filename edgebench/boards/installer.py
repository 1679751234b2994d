"""The program that sets edgebench up on a board. It is sent there as text and needs only Python's standard library.

The desk (provision.py) appends a line that calls `main` with the request as JSON. The program answers with lines of
JSON: {"say": …} on its progress, then {"facts": …}, {"done": …} or {"error": …, "fix": …}.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEAT_S = 10.0  # pip unpacks for minutes without a word
NEEDED_BYTES = 400 * 2**20  # for numpy and a runtime, unpacked, together with their wheels
NO_VENV = ("No module named venv", "No module named ensurepip", "ensurepip is not available")
NO_NETWORK = ("No matching distribution found", "Could not fetch URL", "NewConnectionError", "ConnectTimeoutError")


class Failure(Exception):
    """A foreseen failure: its message, and the fix."""


def main(asked: str) -> None:
    print("edgebench installer", flush=True)
    given = json.loads(asked)
    root = Path(given["root"]).expanduser()
    try:
        tell(facts=look(root, given["modules"])) if given["do"] == "look" else tell(done=install(root, given))
    except Failure as failure:
        tell(error=failure.args[0], fix=failure.args[1])
    except OSError as error:
        tell(error=f"{error.filename or root}: {error.strerror}", fix="correct this there, then set it up again")


def tell(**answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")  # in one piece: two threads tell
    sys.stdout.flush()


def look(root: Path, modules: list[str]) -> dict[str, Any]:
    """What this board is, which of these modules its Python has, and what was set up on it before."""
    root.mkdir(parents=True, exist_ok=True)
    try:
        tree = Path("/proc/device-tree/compatible").read_text().strip("\0").split("\0")
    except OSError:
        tree = []
    try:
        before = json.loads((root / "setup.json").read_text())
        works = [str(root / "venv" / "bin" / "python"), "-c", "import numpy, edgebench.boards.agent"]
        if subprocess.run(works, capture_output=True).returncode:
            before = None
    except (OSError, ValueError):
        before = None
    try:
        cuda = json.loads(Path("/usr/local/cuda/version.json").read_text())["cuda"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        cuda = None
    try:
        l4t = Path("/etc/nv_tegra_release").read_text().partition("\n")[0]
    except OSError:
        l4t = ""
    return {
        "cuda": cuda, "l4t": l4t,
        "python": platform.python_version(), "machine": platform.machine(), "device_tree": tree, "before": before,
        "modules": [name for name in modules if importlib.util.find_spec(name)],
        "free_bytes": shutil.disk_usage(root).free,
    }  # fmt: skip


def install(root: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Make the virtual environment, unless a working one is there, and install what is requested."""
    free = shutil.disk_usage(root).free
    venv, python, wished = root / "venv", str(root / "venv" / "bin" / "python"), given["wished"]
    if not usable(venv, given["system_site_packages"]):
        if free < NEEDED_BYTES:
            raise Failure(
                f"its disk is full: {free / 2**20:.0f} MiB are free in {root}, {NEEDED_BYTES / 2**20:.0f} are needed",
                "free some space there",
            )
        tell(say="making a virtual environment")
        make_environment(venv, given["system_site_packages"])
    (root / "setup.json").unlink(missing_ok=True)
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        wheel = Path(scratch, given["wheel_name"])
        wheel.write_bytes(base64.b64decode(given["wheel"]))
        pip = [python, "-m", "pip"]
        if any(venv.glob("lib/*/site-packages/edgebench-*")):
            # It may be of the same version but of other code, and pip would not replace it.
            tell(say="removing the edgebench that is there")
            run([*pip, "uninstall", "--yes", "edgebench"], environment)
        # Of thousands of files few are ever loaded: to compile them all takes a slow board minutes.
        quick = ["--no-compile", "--retries", "1", "--timeout", "20"]
        what = ", ".join(["edgebench", *wished["requirements"]])
        tell(say=f"installing {what}: a slow board unpacks some 60 MB for minutes")
        run([*pip, "install", *quick, str(wheel), *wished["requirements"]], environment)
    partial = root / ".setup.json"
    partial.write_text(json.dumps(wished))
    partial.rename(root / "setup.json")
    return {}


def usable(venv: Path, system_site_packages: bool) -> bool:
    """Whether a virtual environment of this kind is there and has pip."""
    try:
        told = (venv / "pyvenv.cfg").read_text().lower().replace(" ", "")
        tried = subprocess.run([str(venv / "bin" / "python"), "-c", "import pip"], capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0 and f"include-system-site-packages={system_site_packages}".lower() in told


def make_environment(venv: Path, system_site_packages: bool) -> None:
    """In two steps: in one, venv keeps to itself why pip could not be put there."""
    made = [sys.executable, "-m", "venv", "--clear", "--without-pip"]
    call([*made, *["--system-site-packages"] * system_site_packages, str(venv)], venv)
    if wheel := own_pip():
        with no_room(venv), zipfile.ZipFile(wheel) as archive:
            archive.extractall(next(venv.glob("lib/*/site-packages")))
    else:
        call([str(venv / "bin" / "python"), "-I", "-m", "ensurepip", "--upgrade", "--default-pip"], venv)


def own_pip() -> Path | None:
    """The wheel of pip that `ensurepip` would install. It would compile all of it: on a slow board that takes minutes,
    and a wheel of Python alone is installed by being unpacked."""
    spec = importlib.util.find_spec("ensurepip")
    if not spec or not spec.origin:
        return None
    # Debian and others keep the wheel elsewhere.
    own = Path(spec.origin).parent / "_bundled"
    kept = [sysconfig.get_config_var("WHEEL_PKG_DIR"), "/usr/share/python-wheels", own]
    found = [wheel for folder in kept if folder for wheel in sorted(Path(folder).glob("pip-*-py3-none-any.whl"))]
    return found[-1] if found else None


def call(command: list[str], venv: Path) -> None:
    """Do a step of making the virtual environment, or remove it and tell why not."""
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode == 0:
        return
    said = (made.stdout + made.stderr).strip()
    if any(sign in said for sign in NO_VENV):
        shutil.rmtree(venv, ignore_errors=True)
        version = ".".join(platform.python_version_tuple()[:2])
        raise Failure("its Python cannot make virtual environments", f"there: sudo apt install python{version}-venv")
    with no_room(venv):
        raise OSError(f"signal {-made.returncode} ended it" if made.returncode < 0 else last(said))


@contextlib.contextmanager
def no_room(venv: Path) -> Iterator[None]:
    """What becomes of a step that fails: nothing of the environment stays."""
    try:
        yield
    except (OSError, zipfile.BadZipFile) as error:
        shutil.rmtree(venv, ignore_errors=True)
        raise Failure(
            f"it cannot make a virtual environment: {getattr(error, 'strerror', None) or error}",
            "check whether its home and its /tmp have free space",
        ) from None


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run pip, and pass its output on. While it says nothing, tell how much it has written."""
    said, ended, free = ["pip is starting"], threading.Event(), shutil.disk_usage(Path(command[0]).parent).free
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "errors": "replace"}
    silent = threading.Thread(target=beat, args=(said, free, Path(command[0]).parent, ended))
    with subprocess.Popen(command, **pipes, text=True, env=environment) as process:
        silent.start()
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                if line.strip():
                    tell(say=line.strip()[:200])
        finally:
            ended.set()
    silent.join()
    if process.returncode:
        text = "\n".join(said)
        if "No space left" in text or "quota exceeded" in text:
            raise Failure("its disk is full", "free some space there, also in its /tmp")
        if any(sign in text for sign in NO_NETWORK):
            fix = "connect it, or configure an index or a folder of wheels for pip there (~/.config/pip/pip.conf)"
            raise Failure(f"pip there finds no package index, or not the packages it needs: {last(text)}", fix)
        raise Failure(f"pip there failed: {last(text)}", f"there: {' '.join(command[:4])} … shows the whole output")


def beat(said: list[str], free: int, where: Path, ended: threading.Event) -> None:
    """Every BEAT_S without a line of pip's, what it is at and how much it has written."""
    told = len(said)
    while not ended.wait(BEAT_S):
        if len(said) == told and not ended.is_set():
            at = next((line for line in reversed(said) if line), "").partition(":")[0][:100]
            tell(say=f"{at}: {max(0, free - shutil.disk_usage(where).free) / 1e6:.0f} MB are written")
        told = len(said)


def last(said: str) -> str:
    """The last line with a reason in it: no frame of a traceback, and no command that only passes a failure on."""
    told = [line for line in said.splitlines() if line.strip()]
    passing = (" ", "Traceback", "subprocess.CalledProcessError")
    return next((line for line in reversed(told) if not line.startswith(passing)), "it said nothing")
