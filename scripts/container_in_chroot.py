"""Does the steps of a container file in a chroot of Debian, where no container engine is at hand.

    sudo python scripts/container_in_chroot.py containers/x86.Dockerfile FOLDER [--keep]

Makes FOLDER with mmdebstrap (the release that FROM names, with Debian's own Python), does each COPY, RUN, ENV, USER and
WORKDIR there in order, and at the end what the image would run: ENTRYPOINT with CMD. COPY takes what .dockerignore
lets through. This machine's certificates, name servers and settings of pip hold inside. It is no image: layers, limits
and the network of an engine are not tried.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ("/proc", "/dev", "/sys", "/etc/ssl/certs", "/etc/resolv.conf", "/etc/hosts")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = ("python3", "python3-venv", "ca-certificates")  # what python:3.11-slim-bookworm has of these


def steps(text: str) -> list[tuple[str, str]]:
    """The instructions, each with what follows it, on one line."""
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], " ".join(line.split()[1:])) for line in lines if line.strip()]


def copy(what: str, into: Path) -> None:
    """COPY . PLACE, of what .dockerignore lets through."""
    source, place = what.split()
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in sent if source == "." else [source]:
        target = into / place.lstrip("/") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        skip = shutil.ignore_patterns("__pycache__")
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=skip)
        else:
            shutil.copy2(ROOT / name, target)


def inside(root: Path, command: list[str], state: dict) -> None:
    """A command in the chroot, as the user, in the folder and with the variables that hold by now."""
    given = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "REQUESTS_", "CURL_"))}
    user = ["--userspec", state["user"]] if state["user"] != "root" else []
    home = {"HOME": f"/home/{state['user']}" if user else "/root", "LANG": "C.UTF-8"}
    shell = f'cd {state["folder"]} && exec "$@"'
    subprocess.run(
        ["chroot", *user, str(root), "/bin/sh", "-c", shell, "sh", *command],
        env={"PATH": PATH, **home, **given, **state["variables"]}, check=True,
    )  # fmt: skip


def mount(root: Path, done: list[Path]) -> None:
    """Bind what the steps need of this machine, and note each place in `done` at once: it has to be freed."""
    for place in (*SHARED, *os.environ.get("PIP_FIND_LINKS", "").split()):
        target = root / place.lstrip("/")
        if not Path(place).exists():
            continue
        if Path(place).is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.touch()
        subprocess.run(["mount", "--bind", place, target], check=True)
        done.append(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", action="store_true", help="leave FOLDER at the end")
    asked = parser.parse_args()
    (_, base), *rest = steps(asked.file.read_text())
    release, root = base.rpartition("-")[2], asked.folder.resolve()
    state = {"user": "root", "folder": "/", "variables": {}}
    start: list[str] = []
    print(f"FROM {base}: Debian {release} with its own Python", flush=True)
    packages = f"--include={','.join(PYTHON)}"
    subprocess.run(["mmdebstrap", "--variant=minbase", packages, release, root], check=True)
    binds: list[Path] = []
    try:
        mount(root, binds)
        for step, what in rest:
            print(f"{step} {what}", flush=True)
            if step == "RUN":
                inside(root, ["/bin/sh", "-c", what], state)
            elif step == "COPY":
                copy(what, root)
            elif step == "ENV":
                name, _, value = what.partition("=")
                state["variables"][name] = value.replace("$PATH", PATH)
            elif step == "USER":
                state["user"] = what
            elif step == "WORKDIR":
                (root / what.lstrip("/")).mkdir(parents=True, exist_ok=True)
                state["folder"] = what
            elif step in ("ENTRYPOINT", "CMD"):
                start += json.loads(what)
            else:
                sys.exit(f"{step} is not known here")
        print(f"start: {' '.join(start)}", flush=True)
        inside(root, start, state)
    finally:
        # What is still bound is a folder of this machine: it must not be removed with the rest.
        bound = [target for target in reversed(binds) if subprocess.run(["umount", target]).returncode]
        if not bound and not asked.keep:
            shutil.rmtree(root)
    print(f"{asked.file.name}: every step was done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
