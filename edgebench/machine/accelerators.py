"""Accelerators that edgebench recognises but has no runtime for: by PCI, USB and the device tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebench.machine.fingerprint import ROOT, read

Numbered = dict[tuple[str, str], tuple[str, str]]
# The maker, and the name. The numbers are those of the drivers: hailo-ai/hailort-drivers, google/gasket-driver,
# libedgetpu's udev rules.
PCI: Numbered = {
    ("0x1e60", "0x2864"): ("Hailo", "Hailo-8 or 8L (Raspberry Pi AI HAT+)"),
    ("0x1e60", "0x45c4"): ("Hailo", "Hailo-10H (AI HAT+ 2)"), ("0x1e60", ""): ("Hailo", "a Hailo accelerator"),
    ("0x1ac1", "0x089a"): ("Coral", "Coral Edge TPU (PCIe)"),
}  # fmt: skip
USB: Numbered = {
    ("1a6e", "089a"): ("Coral", "Coral Edge TPU (USB)"), ("18d1", "9302"): ("Coral", "Coral Edge TPU (USB)"),
}  # fmt: skip
# By how an entry of the device tree begins.
NPUS = {
    "rockchip,rk3588-rkn": ("Rockchip", "Rockchip's NPU (RK3588)"),
    "rockchip,rk3568-rkn": ("Rockchip", "Rockchip's NPU (RK3568)"),
}
HELP = {
    "Hailo": "its models are compiled by Hailo's Dataflow Compiler, to .hef files",
    "Coral": "its models are compiled by edgetpu_compiler, from int8 .tflite files",
    "Rockchip": "its models are converted by rknn-toolkit2, to .rknn files",
}


@dataclass(frozen=True)
class Accelerator:
    """`where`: the place that tells of it, below /."""

    maker: str
    name: str
    where: str

    @property
    def why(self) -> str:
        """Why it is not used, in a sentence."""
        return f"{self.name} is here, and edgebench has no runtime for it: {HELP[self.maker]}"

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
        places += [(of, path.parent) for start, of in NPUS.items() if any(e.startswith(start) for e in entries)]
    first = {of: path for of, path in reversed(places) if of}
    return [Accelerator(*of, f"/{path.relative_to(root)}") for of, path in reversed(first.items())]


def _named(known: Numbered, vendor: str | None, device: str | None) -> tuple[str, str] | None:
    key = (vendor or "").strip(), (device or "").strip()
    return known.get(key) or known.get((key[0], ""))
