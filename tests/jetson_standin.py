#!/usr/bin/env python3
"""Stand-ins for nvpmodel and jetson_clocks that follow the rules of the real ones; a test links them onto PATH.

As the real tools: nvpmodel -q prints the name and then the number, --verbose names its configuration, -m needs root
and for some modes asks for a reboot on stdin; jetson_clocks needs root for all it does, refuses to store over a file
unless answered Y, fails with "Error" where the file to restore is not there, and ends with exit code 0 even where a
write failed. The board's state is a folder: mode, and a file for each clock's lowest and highest.

Outputs as published: NVIDIA's jetson_clocks (BSD-licensed part of Jetson Linux R32), logs of Orin and Thor boards.
"""

import os
import sys
from pathlib import Path

BOARD = Path(os.environ.get("STANDIN_BOARD", ""))
MODES = {"0": ("15W", 625), "1": ("25W", 918), "2": ("MAXN_SUPER", 1020), "3": ("7W", 408)}
REBOOT = {"3"}
LOWEST = 306


def make(board: Path) -> None:
    """A board fresh from its boot, in mode 25W."""
    board.mkdir(parents=True)
    lines = [f"< POWER_MODEL ID={n} NAME={name} >\nGPU MAX_FREQ {mhz}" for n, (name, mhz) in MODES.items()]
    (board / "nvpmodel.conf").write_text("\n".join([*lines, "< PM_CONFIG DEFAULT=1 >\n"]))
    for name, value in {"mode": "1", "min": str(LOWEST), "max": "918", "emc": "0"}.items():
        (board / name).write_text(value)


class Board:
    """A stand-in Jetson: its tools on PATH, its state in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder / "board", folder / "bin"
        self.bin.mkdir()
        make(self.folder)
        for name in ("nvpmodel", "jetson_clocks", "sudo"):
            # Without site-packages: the tools are started a dozen times a test.
            script = f'#!/bin/sh\nexec "{sys.executable}" -IS "{self.bin}/.{name}/{name}" "$@"\n'
            (self.bin / f".{name}").mkdir()
            (self.bin / f".{name}" / name).symlink_to(Path(__file__))
            (self.bin / name).write_text(script)
            (self.bin / name).chmod(0o755)

    @property
    def state(self) -> tuple[str, str, str]:
        """The mode's number, the GPU's lowest clock, whether the memory clock is held."""
        return tuple((self.folder / name).read_text() for name in ("mode", "min", "emc"))

    @property
    def calls(self) -> list[str]:
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if " -q" not in line and "--show" not in line]

    def set(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text)


FREE, HELD = ("1", "306", "0"), ("0", "625", "1")


def get(name: str) -> str:
    return (BOARD / name).read_text()


def put(name: str, value: str) -> None:
    (BOARD / name).write_text(value)


def root() -> bool:
    return not (BOARD / "not_root").exists()


def nvpmodel(arguments: list[str]) -> int:
    if arguments[0] == "-q":
        if "--verbose" in arguments:
            print(f"NVPM VERB: Config file: {BOARD}/nvpmodel.conf\nNVPM VERB: parsing done for {BOARD}/nvpmodel.conf")
            print(f"NVPM VERB: Current mode: NV Power Mode: {MODES[get('mode')][0]}\n{get('mode')}")
            print("NVPM VERB: PARAM CPU_ONLINE: ARG CORE_0: PATH /sys/x: REAL_VAL: 1 CONF_VAL: 1")
        else:
            print(f"NVPM WARN: fan mode is not set!\nNV Power Mode: {MODES[get('mode')][0]}\n{get('mode')}")
        return 0
    number = arguments[1]
    if not root():
        print("NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13")
        return 255
    if number in REBOOT and number != get("mode"):
        print("NVPM WARN: Golden image context is already created")
        print(f"NVPM WARN: Reboot required for changing to this power mode: {number}")
        print("NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:", flush=True)
        answer = sys.stdin.readline().strip()
        if answer in ("YES", "yes"):
            put("rebooted", "")
        if answer not in ("YES", "yes", "NO", "no"):
            print("NVPM ERROR: bad input!")
        print("NVPM ERROR: optMask is 1, no request for power mode")
        return 255
    put("mode", number)
    put("max", str(MODES[number][1]))
    put("min", str(min(int(get("min")), MODES[number][1])))  # the kernel keeps the lowest below the highest
    return 0


def jetson_clocks(arguments: list[str]) -> int:
    if not root():
        print("Error: Run this script(/usr/bin/jetson_clocks) as a root user")
        return 1
    if not arguments:
        put("min", get("max"))
        put("emc", "1")
    elif arguments[0] == "--show":
        low, high = (1_000_000 * int(get(name)) for name in ("min", "max"))
        print("SOC family:tegra234  Machine:NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super")
        print(
            f"Online CPUs: 0-5\ncpu0:  Online=1 Governor=schedutil MinFreq={low // 1000} MaxFreq={high // 1000}", end=""
        )
        print(f" CurrentFreq={high // 1000} IdleStates: WFI=1 c7=1 ")
        print(f"GPU MinFreq={low} MaxFreq={high} CurrentFreq={low}\nActive GPU TPCs: 4")
        print(f"EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=2133000000 FreqOverride={get('emc')}")
        print("FAN Dynamic Speed Control=nvfancontrol hwmon0_pwm1=69")
        print(f"NV Power Mode: {MODES[get('mode')][0]}")
    elif arguments[0] == "--store":
        file = Path(arguments[1])
        if file.exists():
            print(f"File {file} already exists. Can I overwrite it? Y/N:", flush=True)
            if sys.stdin.readline().strip() not in ("y", "Y"):
                print(f"Error: file {file} already exists!")
                return 1
        file.write_text("".join(f"{BOARD / name}:{get(name)}\n" for name in ("min", "emc")))
    elif arguments[0] == "--restore":
        file = Path(arguments[1])
        if not file.exists():
            print(f"Error: {file} file not found !")
            return 1
        for line in file.read_text().splitlines():
            name, _, value = line.rpartition(":")
            if Path(name).name == "min" and int(value) > int(get("max")):
                print(f"Error: Failed to restore {name}")
            else:
                Path(name).write_text(value)
    return 0


def main() -> int:
    tool, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    if tool == "sudo":
        return 1
    with (BOARD / "log").open("a") as log:
        log.write(" ".join([tool, *arguments]) + "\n")
    if (BOARD / f"broken_{tool}").exists():
        return 3
    return nvpmodel(arguments) if tool == "nvpmodel" else jetson_clocks(arguments)


if __name__ == "__main__":
    sys.exit(main())
