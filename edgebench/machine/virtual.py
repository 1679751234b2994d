"""Whether this machine's processor is QEMU's: what it says of itself is then a text that somebody wrote."""

from __future__ import annotations

from pathlib import Path

from edgebench.machine.fingerprint import ROOT, cpu_model, cpu_part, dmi, read

VIRTIO_OF_QEMU = 0x554D4551  # "QEMU", the vendor of its virtio devices without PCI
PCI_OF_QEMU = 0x1B36


def mark(root: Path = ROOT) -> str:
    """The sign by which QEMU is recognised, whatever the device tree says; "" for a machine that has none.

    On Arm nothing tells a processor that QEMU computes from one that it lends. On x86 the processor's name does, and a
    virtual machine of another name computes at its host's speed.
    """
    if cpu_part(root) is None:
        name = cpu_model(root) or ""
        return f"its processor is called {name}" if name.startswith("QEMU ") else ""
    if any(root.glob("proc/device-tree/fw-cfg@*")) or (root / "sys/firmware/qemu_fw_cfg").exists():
        return "QEMU's fw-cfg is in it"
    if any(_number(path) == VIRTIO_OF_QEMU for path in root.glob("sys/bus/virtio/devices/*/vendor")):
        return "its virtio devices are QEMU's"
    if any(_number(path) == PCI_OF_QEMU for path in root.glob("sys/bus/pci/devices/*/vendor")):
        return "its PCI devices are QEMU's"
    return "its firmware is QEMU's" if dmi(root).get("vendor") == "QEMU" else ""


def _number(path: Path) -> int | None:
    try:
        return int(read(path) or "", 16)
    except ValueError:
        return None
