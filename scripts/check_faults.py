#!/usr/bin/env python3
"""Faults that edgebench once had, each by its command line alone: whether a checkout still has them.

python scripts/check_faults.py CHECKOUT WORKSPACE [--only WORD]

CHECKOUT has a .venv of its own. WORKSPACE was made by that checkout: a training, its export to ONNX, a measurement on
ONNX Runtime. Each fault is tried on a copy of it. Prints a line a fault: "held", or what went wrong; exit code 1 if
anything did. It uses nothing of edgebench's own code, so that it can be run against any commit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

LIMIT_S = 180  # of a command: beyond that it hangs
HANGS_S = 120  # the same where a hang is what is tried: an idle report takes one


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.err + self.out


class Tried:
    """One fault being tried: a copy of the workspace, and the command line of the checkout."""

    def __init__(self, checkout: Path, workspace: Path, scratch: Path) -> None:
        self.program, self.scratch, self.home = checkout / ".venv/bin/edgebench", scratch, scratch / "w"
        shutil.copytree(workspace, self.home, symlinks=True)

    def run(self, *words: Any, limit_s: float = LIMIT_S, env: dict[str, str] | None = None, **how: Any) -> Said:
        command = [str(self.program), *map(str, words), "--workspace", str(self.home)]
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | how
        process = subprocess.Popen(
            command, cwd=self.scratch, env=os.environ | (env or {}), start_new_session=True, **how
        )
        try:
            out, err = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Said(124, "", "")
        return Said(process.returncode, *((text or b"").decode(errors="replace") for text in (out, err)))

    @property
    def result(self) -> Path:
        return sorted((self.home / "results").glob("[!.]*.json"))[0]

    @property
    def manifest(self) -> Path:
        return next((self.home / "artifacts").glob("[!.]*/artifact.json"))

    def beside(self, change: Callable[[dict[str, Any]], None], text: Callable[[str], str] = str) -> None:
        """A second result, changed."""
        data = json.loads(self.result.read_text())
        change(data)
        (self.home / "results" / "20200101-odd.json").write_text(text(json.dumps(data)))


def shown(tried: Tried, *words: Any, **how: Any) -> str:
    """What is wrong if a table of the good result does not appear."""
    said = tried.run(*(words or ("report",)), **how)
    if said.traceback:
        return f"a traceback: {said.err.strip().splitlines()[-1][:90]}"
    if said.code == 124:
        return "it hangs"
    return "" if said.code == 0 and "onnxruntime" in said.out else f"exit {said.code}: {said.err.strip()[:90]}"


def summary(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["summary"].__setitem__(name, value)


def huge_integer(t: Tried) -> str:
    t.beside(summary("n", "HUGE"), lambda text: text.replace('"HUGE"', "1" + "0" * 400))
    return shown(t)


def lone_surrogate(t: Tried) -> str:
    t.beside(lambda data: data.update(host="\ud800"))
    return shown(t) or shown(t, "report", "--format", "csv")


def short_interval(t: Tried) -> str:
    t.beside(summary("median_ci95_ns", [1.0]))
    return shown(t)


def negative_time(t: Tried) -> str:
    def change(data: dict[str, Any]) -> None:
        data["summary"].update(median_ns=0, p90_ns=0, p99_ns=0, mean_ns=0, median_ci95_ns=[0.0, 0.0])

    t.beside(change)
    t.run("report", "--html", "--out", t.scratch / "page.html")
    said = t.run("report", "--html", "--out", t.scratch / "page.html")
    if said.traceback or not (t.scratch / "page.html").exists():
        return f"the page: {said.err.strip().splitlines()[-1][:90]}"
    return shown(t) or ("a time of 0 is taken" if "skipped" not in t.run("report").err else "")


def schema_below_one(t: Tried) -> str:
    t.beside(lambda data: data.update(schema=-7))
    return shown(t) or ("schema -7 is taken" if "skipped" not in t.run("report").err else "")


def newer_schema(t: Tried) -> str:
    t.beside(lambda data: data.update(schema=999, later={"a": 1}, status="dreamt"))
    told = t.run("report").err
    return "" if "newer" in told and "999" in told else f"not told as newer: {told.strip()[:90]}"


def linked_cache(t: Tried) -> str:
    t.run("report")
    cache = next((t.home / "results").glob(".index*"))
    cache.rename(t.scratch / "stranger")
    before = (t.scratch / "stranger").read_bytes()
    cache.symlink_to(t.scratch / "stranger")
    (t.home / "results" / "20200101-odd.json").write_text(t.result.read_text())
    t.run("report")
    return "" if (t.scratch / "stranger").read_bytes() == before else "a stranger's file was written through the link"


def from_the_future(t: Tried) -> str:
    data = json.loads(t.result.read_text())
    data.update(created="2099-01-01T00:00:00.000000+00:00")
    data["summary"].update(median_ns=data["summary"]["median_ns"] * 1000)
    (t.home / "results" / "20990101-odd.json").write_text(json.dumps(data))
    said = t.run("report", "--format", "json")
    return "a result of 2099 hides the others" if "2099-" in said.out else ""


def pipe_among_results(t: Tried) -> str:
    os.mkfifo(t.home / "results" / "pipe.json")
    return shown(t, limit_s=HANGS_S)


def escape_in_a_key(t: Tried) -> str:
    t.beside(lambda data: data["artifact"]["files"].update({"\x1b]0;title\x07": 1}))
    return "an escape byte in a warning" if "\x1b" in t.run("report").err else ""


def escape_in_a_file_name(t: Tried) -> str:
    data = json.loads(t.manifest.read_text())
    data["files"]["\x1b]0;title\x07.bin"] = "0" * 64
    t.manifest.write_text(json.dumps(data))
    said = t.run("run", t.manifest.parent, "--runtime", "onnxruntime")
    return "an escape byte in an error" if "\x1b" in said.err else ""


def origin_is_a_path(t: Tried) -> str:
    data = json.loads(t.manifest.read_text())
    data["origin"] = "../../../evil/x"
    t.manifest.write_text(json.dumps(data))
    outside = t.scratch / "evil"
    outside.mkdir()
    for command in (["evaluate", t.manifest.parent], ["tune", t.manifest.parent, "--no-export", "--duration", "0.05"]):
        said = t.run(*command, "--runtime", "onnxruntime")
        if said.traceback:
            return f"a traceback: {said.err.strip().splitlines()[-1][:90]}"
        if "pattern" not in said.err and "sha256 in hexadecimal" not in said.err:
            return f"the origin ../../../evil/x is taken: {said.err.strip()[:70]}"
    return "written outside of the workspace" if any(outside.iterdir()) else ""


def no_inputs(t: Tried) -> str:
    data = json.loads(t.manifest.read_text())
    data["inputs"] = []
    t.manifest.write_text(json.dumps(data))
    said = t.run("run", t.manifest.parent, "--runtime", "onnxruntime", "--launches", "1", "--duration", "0.05")
    return "a traceback" if said.traceback or "IndexError" in said.err + said.out else ""


def plain_encoding(t: Tried) -> str:
    return shown(t, env={"PYTHONIOENCODING": "ascii"}) or shown(t, env={"PYTHONIOENCODING": "latin-1"})


def closed_output(t: Tried) -> str:
    words = [str(t.program), "report", "--workspace", str(t.home)]
    said = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], capture_output=True, text=True, timeout=LIMIT_S)
    return "a traceback" if "Traceback" in said.stderr else ""


def private_umask(t: Tried) -> str:
    before = set((t.home / "results").iterdir())
    quick = ["--runtime", "onnxruntime", "--launches", "1", "--duration", "0.05", "--warmup", "0"]
    t.run("run", t.manifest.parent, *quick, preexec_fn=lambda: os.umask(0o077))
    made = [path for path in (t.home / "results").iterdir() if path not in before and not path.name.startswith(".")]
    readable = [path for path in made if path.stat().st_mode & 0o044]
    return "others can read a result in spite of umask 077" if readable else "" if made else "no result was made"


def board_talks_for_ever(t: Tried) -> str:
    (ssh := t.scratch / "bin" / "ssh").parent.mkdir()
    ssh.write_text(
        "#!/bin/sh\nexec yes 'Welcome to the board, which never ends its greeting and prints this line again'\n"
    )
    ssh.chmod(0o755)
    path = {"PATH": f"{ssh.parent}:{os.environ['PATH']}"}
    found = t.run("run", t.manifest.parent, "--runtime", "onnxruntime", "--host", "u@b", env=path, limit_s=HANGS_S)
    return "it hangs" if found.code == 124 else "a traceback" if found.traceback else ""


def deep_toml(t: Tried) -> str:
    """Wherever a command reads TOML: ten thousand levels of it."""
    (deep := t.scratch / "deep.toml").write_text("a = " + "[" * 10_000 + "]" * 10_000 + "\n")
    asked = ("train", "--dataset", "digits", "--config", deep), ("run", t.manifest.parent, "--device", deep)
    for words in (*asked, ("sweep", deep), ("fleet", deep)):
        said = t.run(*words)
        if said.traceback or said.code in (0, 124) or "deep.toml" not in said.err:
            what = "a traceback" if said.traceback else "it hangs" if said.code == 124 else said.err.strip()[:70]
            return f"{words[0]}: {what}"
    return ""


def killed_report_leaves(t: Tried) -> str:
    """Killed while it writes its page: by a sitecustomize, before each file that it moves."""
    (hooks := t.scratch / "hooks").mkdir()
    (hooks / "sitecustomize.py").write_text(
        "import os, sys\n"
        "sys.addaudithook(lambda event, given: os.kill(os.getpid(), 9) if event == 'os.rename' and "
        "'page.html' in str(given[1]) else None)\n"
    )
    (where := t.scratch / "out").mkdir()
    t.run("report", "--html", "--out", where / "page.html", env={"PYTHONPATH": str(hooks)})
    left = len(list(where.iterdir()))
    t.run("report")
    t.run("report", "--html", "--out", where / "page.html")
    found = sorted(path.name for path in where.iterdir())
    return "" if found == ["page.html"] else f"left for ever ({left} after the kill): {found}"


def lock_by_tmpdir(t: Tried) -> str:
    """Two runs of one machine with two TMPDIRs: their measuring must not overlap."""
    quick = ["run", str(t.manifest.parent), "--runtime", "onnxruntime", "--launches", "1", "--warmup", "0"]
    command = [str(t.program), *quick, "--duration", "15", "--workspace", str(t.home)]
    for name in ("a", "b"):
        (t.scratch / name).mkdir()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    began = time.monotonic()
    both = [subprocess.Popen(command, env=os.environ | {"TMPDIR": str(t.scratch / name)}, **quiet) for name in "ab"]
    told = [process.communicate(timeout=2 * LIMIT_S)[1] for process in both]
    took = time.monotonic() - began
    waited = any("wait" in text for text in told)
    return "" if waited and took > 30 else f"both measured at once ({took:.0f} s for two of 15 s)"


FAULTS: tuple[Callable[[Tried], str], ...] = (
    huge_integer, lone_surrogate, short_interval, negative_time, schema_below_one, newer_schema,
    linked_cache, from_the_future, pipe_among_results, escape_in_a_key, escape_in_a_file_name,
    origin_is_a_path, no_inputs, plain_encoding, closed_output,
    private_umask, board_talks_for_ever, deep_toml,
    killed_report_leaves, lock_by_tmpdir,
)  # fmt: skip


def check(faults: tuple[Callable[[Tried], str], ...], description: str | None, kind: type[Tried] = Tried) -> None:
    """Try them as the command line asks, and tell each; exit code 1 if the checkout has one."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--only", default="", help="faults with this in their name")
    given = parser.parse_args()
    failed, tried = 0, [fault for fault in faults if given.only in fault.__name__]
    for fault in tried:
        with tempfile.TemporaryDirectory(prefix="edgebench-faults-") as scratch:
            said = fault(kind(given.checkout.resolve(), given.workspace.resolve(), Path(scratch)))
        failed += bool(said)
        print(f"{fault.__name__.replace('_', ' '):26} {said or 'held'}", flush=True)
    print(f"{failed} of {len(tried)} faults")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    check(FAULTS, __doc__)
