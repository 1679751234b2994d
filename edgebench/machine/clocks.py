"""Sets this machine's power mode and clocks during a run, and restores them afterwards, however the run ends.

The previous state is written to disk before anything is changed. A killed run leaves that file behind, and `edgebench
devices restore` restores the state from it. History of the file's schema: 1, first release; 2, `holder` in place of
`pid` and `pid_created`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from edgebench.errors import BadFile, EdgebenchError, Unsupported
from edgebench.machine import jetson, jetson_tools
from edgebench.machine.fingerprint import ROOT, read
from edgebench.records import jsonio, processes

SCHEMA = 2
POLICIES = "sys/devices/system/cpu/cpufreq"
# The only files and values that a restore file may make us write.
SETTING = re.compile(rf"{POLICIES}/policy[0-9]{{1,4}}/(scaling_governor|scaling_min_freq)")
VALUE = re.compile(r"[a-z_]{1,32}|[0-9]{1,12}")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class Before:
    """The state before a run changed it. `clocks`: jetson_clocks has stored its own state beside this file.

    `settings`: paths below / and their content. A reboot undoes clocks and settings by itself, but not the mode.
    `holder`: the process, by its number and its start since the boot, which no step of the clock changes. A file of
    schema 1 has none: its run is taken for ended.
    """

    FORMER: ClassVar[tuple[str, ...]] = ("pid", "pid_created")

    asked: str
    boot: str
    holder: str = "0-0"
    mode: jetson.Mode | None = None
    clocks: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA


def state_folder() -> Path:
    """The folder of the restore file: one per machine, not per user, and kept through a reboot."""
    return Path(os.environ.get("EDGEBENCH_STATE") or "/var/lib/edgebench")


def left_behind(folder: Path | None = None) -> Before | None:
    """The state that a killed run did not restore; None if there is none, the run goes on, or we may not read it."""
    path = (folder or state_folder()) / "restore.json"
    if not os.path.exists(path):  # Path.exists raises if we may not enter the folder
        return None
    before = jsonio.read(Before, path)
    return None if _alive(before, ROOT) else before


@contextlib.contextmanager
def hold(power_mode: str | None, lock_clocks: bool, *, root: Path = ROOT, folder: Path | None = None) -> Iterator[str]:
    """Set the power mode and hold the clocks inside the `with`; yields a sentence on what is held.

    Raises Unsupported, before anything is changed, if this machine, its tools or its permissions do not allow it.
    Restores the state however the block ends: normally, by an exception, Ctrl-C, SIGTERM or SIGHUP.
    """
    if not (power_mode or lock_clocks):
        yield ""
        return
    folder = folder or state_folder()
    if os.path.exists(folder / "restore.json"):
        raise EdgebenchError(
            "an earlier run, killed or still going on, has changed this machine's settings",
            "`edgebench devices restore`, then run again",
        )
    _refuse_impossible(power_mode, lock_clocks, root, folder)
    mode = jetson_tools.find_mode(power_mode) if power_mode else None
    was = jetson_tools.query()[0] if mode else None
    by_tool = lock_clocks and shutil.which("jetson_clocks") is not None
    asked = " ".join([f"--power-mode {power_mode}"] * bool(power_mode) + ["--lock-clocks"] * lock_clocks)
    settings = _governors(root) if lock_clocks and not by_tool else {}
    before = Before(
        asked=asked,
        boot=_boot(root),
        holder=processes.tag(),
        mode=was,
        clocks=by_tool,
        settings=settings,
    )
    with _ended_by_signals():
        try:
            if by_tool:
                (folder / "clocks.conf").unlink(missing_ok=True)  # jetson_clocks asks before it overwrites
                jetson_tools.run_as_root("jetson_clocks", "--store", str(folder / "clocks.conf"))
            jsonio.write(folder / "restore.json", before)
            if mode and mode != was:
                jetson_tools.set_mode(mode)
            if by_tool:
                jetson_tools.run_as_root("jetson_clocks")
                jetson_tools.check_locked()
            elif lock_clocks:
                _pin(root, before.settings)
            yield _sentence(mode, was, lock_clocks)
        finally:
            with _signals_wait():
                restore(root=root, folder=folder)


def restore(*, root: Path = ROOT, folder: Path | None = None) -> str:
    """Restore the state in the restore file. Returns a sentence on what was done, "" if there was nothing to do.

    Raises EdgebenchError, and keeps the file, if something could not be restored.
    """
    folder = folder or state_folder()
    path, stored = folder / "restore.json", folder / "clocks.conf"
    try:
        path.stat()
    except FileNotFoundError:
        return ""
    except PermissionError:
        fix = "`sudo -E $(command -v edgebench) devices restore`"
        raise Unsupported(f"{folder} is closed to this user", fix) from None
    for file in (path, stored):
        if file.exists() and (owner := file.stat().st_uid) not in (0, os.geteuid()):
            raise Unsupported(
                f"{file} is of user {owner}, and root does not act on another user's file", "run this as that user"
            )
    before = jsonio.read(Before, path)
    if _alive(before, root) and before.holder != processes.tag():
        pid = before.holder.partition("-")[0]
        raise EdgebenchError(f"the run that changed the settings still goes on (process {pid})", "end it first")
    done, rebooted = [], before.boot != _boot(root)
    clocks = before.clocks and not rebooted
    if clocks and not stored.exists():
        raise BadFile(f"{stored}, where jetson_clocks stored the clocks, is missing", f"reboot, or delete {path}")
    if clocks:
        # The first time so that the mode can change, the second because the mode changes the stored bounds.
        jetson_tools.run_as_root("jetson_clocks", "--restore", str(stored), check=before.mode is None)
        done.append("clocks as stored by jetson_clocks")
    if before.mode:
        if jetson_tools.query()[0] != before.mode:
            jetson_tools.set_mode(before.mode)
        if clocks:
            jetson_tools.run_as_root("jetson_clocks", "--restore", str(stored))
        done.append(f"power mode {before.mode.name}")
    if not rebooted:
        for name, value in before.settings.items():
            if not (SETTING.fullmatch(name) and VALUE.fullmatch(value)):
                raise BadFile(f"{path} names {name!r}, which no run of edgebench changes", "delete it and reboot")
        _write(root, before.settings)
        done += ["the CPU's governors and lowest clocks"] * bool(before.settings)
    path.unlink()
    stored.unlink(missing_ok=True)
    return f"put back: {', '.join(done) or 'nothing, since a reboot has already done it'}"


def _refuse_impossible(power_mode: str | None, lock_clocks: bool, root: Path, folder: Path) -> None:
    policies = _governors(root)
    if power_mode and not shutil.which("nvpmodel"):
        can = "--lock-clocks alone can hold the CPU's clocks here" if policies else "drop --power-mode"
        raise Unsupported("--power-mode needs a Jetson's nvpmodel, which this machine does not have", can)
    asked = (("nvpmodel", power_mode), ("jetson_clocks", lock_clocks))
    tools = [name for name, on in asked if on and shutil.which(name)]
    if lock_clocks and "jetson_clocks" not in tools and not policies:
        message = "--lock-clocks needs jetson_clocks or the kernel's cpufreq, but this machine has neither"
        raise Unsupported(message, "drop it: in a virtual machine the clocks belong to the host")
    by_hand = lock_clocks and "jetson_clocks" not in tools
    writable = not by_hand or all(os.access(root / name, os.W_OK) for name in policies)
    try:
        if not os.path.isdir(folder):
            folder.mkdir(parents=True)
            folder.chmod(0o755)  # against root's umask: every user must see what a killed run has left
    except OSError:
        writable = False
    allowed = not tools or os.geteuid() == 0 or all(jetson_tools.sudo_allows(tool) for tool in tools)
    if not (allowed and writable and os.access(folder, os.W_OK)):
        paths = ", ".join(shutil.which(tool) or tool for tool in tools)
        without = f"; or allow only that: NOPASSWD: {paths} in /etc/sudoers.d, and install -d -o USER {folder}"
        raise Unsupported(
            "changing the power mode or the clocks needs root",
            f"`sudo -E $(command -v edgebench) run …`{without if tools else ''} (docs/guide/clocks.md)",
        )


def _governors(root: Path) -> dict[str, str]:
    """The settings that holding the clocks changes, with their present values, by path below the root."""
    found = {}
    for policy in sorted((root / POLICIES).glob("policy[0-9]*")):
        for name in ("scaling_min_freq", "scaling_governor"):  # restored in this order: first the bounds
            if (value := read(policy / name)) and VALUE.fullmatch(value):
                found[str((policy / name).relative_to(root))] = value
    return found


def _pin(root: Path, settings: dict[str, str]) -> None:
    """Make every core run at its highest allowed clock, and no lower; turbo stays as it is."""
    for name in settings:
        policy = (root / name).parent
        if name.endswith("governor") and "performance" in (read(policy / "scaling_available_governors") or "").split():
            _write(root, {name: "performance"})
        elif name.endswith("min_freq"):
            highest = read(policy / "scaling_max_freq") or ""
            _write(root, {name: highest})
            if read(root / name) != highest:
                raise EdgebenchError(f"the kernel does not hold {policy.name} at {highest} kHz", "drop --lock-clocks")


def _write(root: Path, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        try:
            (root / name).write_text(value)
        except OSError as error:
            raise EdgebenchError(f"/{name} cannot be set to {value}: {error.strerror}", "as root: sudo") from None


def _sentence(mode: jetson.Mode | None, was: jetson.Mode | None, locked: bool) -> str:
    parts = [f"power mode {mode.name} (was {was.name})"] if mode and was else []
    return f"held for this run, put back after it: {', '.join(parts + ['clocks locked'] * locked)}"


def _boot(root: Path) -> str:
    return read(root / "proc/sys/kernel/random/boot_id") or ""


def _alive(before: Before, root: Path) -> bool:
    return before.boot == _boot(root) and not processes.gone(before.holder)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program by an exception, like Ctrl-C, so that the state is restored."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Nothing interrupts the block; a signal that arrives meanwhile is delivered afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
