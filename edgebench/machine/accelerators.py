"""Accelerators that edgebench recognises but has no runtime for: by PCI, USB and the device tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebench.machine.fingerprint import ROOT, read

# The numbers are those of the drivers: hailo-ai/hailort-drivers, google/gasket-driver, libedgetpu's udev rules.
PCI = {
    ("0x1e60", "0x2864"): "Hailo-8 or 8L (Raspberry Pi AI HAT+)", ("0x1e60", "0x45c4"): "Hailo-10H (AI HAT+ 2)",
    ("0x1e60", ""): "a Hailo accelerator", ("0x1ac1", "0x089a"): "Coral Edge TPU (PCIe)",
}  # fmt: skip
USB = {("1a6e", "089a"): "Coral Edge TPU (USB)", ("18d1", "9302"): "Coral Edge TPU (USB)"}
NPUS = {"rockchip,rk3588-rkn": "Rockchip's NPU (RK3588)", "rockchip,rk3568-rkn": "Rockchip's NPU (RK3568)"}
HELP = {
    "Hailo": "its models are compiled by Hailo's Dataflow Compiler, to .hef files",
    "Coral": "its models are compiled by edgetpu_compiler, from int8 .tflite files",
    "Rockchip": "its models are converted by rknn-toolkit2, to .rknn files",
}


@dataclass(frozen=True)
class Accelerator:
    """`where`: the place that tells of it, below /."""

    name: str
    where: str

    @property
    def why(self) -> str:
        """Why it is not used, in a sentence."""
        more = next((told for maker, told in HELP.items() if maker in self.name), "")
        return f"{self.name} is here, and edgebench has no runtime for it" + (f": {more}" if more else "")

    @property
    def fix(self) -> str:
        return "a plug-in of yours can add one: docs/guide/extend.md, A runtime for an accelerator"


def found(root: Path = ROOT) -> list[Accelerator]:
    """What is here of them, each kind once."""
    places = [
        (_named(PCI, read(path / "vendor"), read(path / "device")), path)
        for path in sorted((root / "sys/bus/pci/devices").glob("*"))
    ]
    places += [
        (_named(USB, read(path / "idVendor"), read(path / "idProduct")), path)
        for path in sorted((root / "sys/bus/usb/devices").glob("*"))
    ]
    for path in sorted((root / "proc/device-tree").glob("*npu*/compatible")):
        entries = (read(path) or "").split("\0")
        places += [(name, path.parent) for glob, name in NPUS.items() if any(e.startswith(glob) for e in entries)]
    by_name = {name: path for name, path in reversed(places) if name}
    return [Accelerator(name, f"/{path.relative_to(root)}") for name, path in reversed(by_name.items())]


def _named(known: dict[tuple[str, str], str], vendor: str | None, device: str | None) -> str:
    key = (vendor or "").strip(), (device or "").strip()
    return known.get(key) or known.get((key[0], ""), "")
