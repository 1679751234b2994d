"""Runs a Jetson's own tools, nvpmodel and jetson_clocks, as root if necessary, and checks afterwards what they set."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.machine import jetson
from edgebench.machine.fingerprint import read

LIMIT_S = 60.0


def find_mode(asked: str) -> jetson.Mode:
    """The mode with this name, this number, or these watts if only one mode has them. Raises UsageError."""
    _, path = query()
    modes = jetson.power_modes(read(Path(path or "/etc/nvpmodel.conf")) or "")
    if not modes:
        raise Unsupported(f"{path or '/etc/nvpmodel.conf'} names no power modes", "see `nvpmodel -q --verbose`")
    wanted = asked.upper()
    fits = [n for n, name in modes.items() if wanted in (name.upper(), str(n))]
    fits = fits or [n for n, name in modes.items() if re.fullmatch(rf"(MODE_)?{re.escape(wanted)}(_.*)?", name.upper())]
    if len(fits) != 1:
        which = f"fits {', '.join(modes[n] for n in fits)}" if fits else "is no power mode of this board"
        raise UsageError(f"--power-mode {asked} {which}", f"choose one of {', '.join(modes.values())}")
    return jetson.Mode(fits[0], modes[fits[0]])


def query() -> tuple[jetson.Mode, str | None]:
    """The present power mode, and the path of nvpmodel's configuration."""
    output = _run(["nvpmodel", "-q", "--verbose"])
    if (mode := jetson.current_mode(output)) is None:
        output = _run([*_as_root(), "nvpmodel", "-q", "--verbose"])  # on some boards only root may ask
        mode = jetson.current_mode(output)
    if mode is None:
        raise Unsupported(f"nvpmodel does not tell the present power mode: {_last(output)}", "try `sudo nvpmodel -q`")
    return mode, jetson.config_path(output)


def set_mode(mode: jetson.Mode) -> None:
    """Set the mode. Raises Unsupported if the board needs a reboot: nvpmodel then asks, and gets the answer no."""
    output = _run([*_as_root(), "nvpmodel", "-m", str(mode.number)], answer="no\n")
    if jetson.needs_reboot(output):
        message = f"this board changes to power mode {mode.name} only by a reboot, and edgebench does not reboot it"
        raise Unsupported(message, f"`sudo nvpmodel -m {mode.number}`, answer yes, and run again without --power-mode")
    if query()[0] != mode:
        raise EdgebenchError(f"nvpmodel did not set the power mode {mode.name}: {_last(output)}", "try it by hand")


def check_locked() -> None:
    """Raise EdgebenchError if jetson_clocks shows that the clocks are free."""
    shown = _run([*_as_root(), "jetson_clocks", "--show"])
    if jetson.clocks(shown).locked is False:
        raise EdgebenchError("jetson_clocks ran, but the clocks are not held", "see `sudo jetson_clocks --show`")


def run_as_root(tool: str, *arguments: str, check: bool = True) -> None:
    """Run a tool as root. Raises EdgebenchError if it prints "Error", which it does even with exit code 0."""
    output = _run([*_as_root(), tool, *arguments])
    if check and (wrong := re.search(r"^Error.*", output, re.M)):
        raise EdgebenchError(f"{tool} {' '.join(arguments)}: {wrong[0][:200]}", f"try `sudo {tool}` by hand")


def _run(command: list[str], answer: str = "") -> str:
    """The output of a tool, both streams. It runs in its own session, so that Ctrl-C does not end it halfway."""
    try:
        done = subprocess.run(
            command, input=answer, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=LIMIT_S, start_new_session=True, env=os.environ | {"LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise EdgebenchError(f"{command[0]} did not end within {LIMIT_S:g} s", "try it by hand") from None
    except OSError as error:
        raise EdgebenchError(f"{command[0]} cannot be run: {error.strerror}", "reinstall it") from None
    return done.stdout if done.returncode == 0 else f"{done.stdout}\nError: exit code {done.returncode}"


def _last(output: str) -> str:
    return (output.strip().splitlines() or ["it printed nothing"])[-1][:200]


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def sudo_allows(tool: str) -> bool:
    """Whether this user may run the tool as root without a password."""
    if not shutil.which("sudo"):
        return False
    return "Error: exit code" not in _run(["sudo", "-n", "-l", shutil.which(tool) or tool])
