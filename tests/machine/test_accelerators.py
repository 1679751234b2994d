"""Accelerators without a runtime are recognised by what the kernel shows, named, and refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebench.machine import accelerators
from edgebench.measuring import doctor


def _bus(root: Path, bus: str, name: str, **files: str) -> None:
    folder = root / "sys/bus" / bus / "devices" / name
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("vendor", "device", "name"),
    [
        ("0x1e60", "0x2864", "Hailo-8 or 8L (Raspberry Pi AI HAT+)"), ("0x1e60", "0x45c4", "Hailo-10H (AI HAT+ 2)"),
        ("0x1e60", "0xffff", "a Hailo accelerator"), ("0x1ac1", "0x089a", "Coral Edge TPU (PCIe)"),
    ],
)  # fmt: skip
def test_a_card_is_named_by_its_numbers(vendor: str, device: str, name: str, tmp_path: Path) -> None:
    _bus(tmp_path, "pci", "0000:00:00.0", vendor="0x14e4", device="0x2712")
    _bus(tmp_path, "pci", "0000:01:00.0", vendor=vendor, device=device)
    (one,) = accelerators.found(tmp_path)
    assert one.name == name and one.where == "/sys/bus/pci/devices/0000:01:00.0"
    assert one.why.startswith(f"{name} is here, and edgebench has no runtime for it")


def test_two_sticks_are_one_kind_and_a_hub_is_none(tmp_path: Path) -> None:
    for name, vendor, product in (("1-1", "1a6e", "089a"), ("1-2", "18d1", "9302"), ("usb1", "1d6b", "0002")):
        _bus(tmp_path, "usb", name, idVendor=vendor, idProduct=product)
    assert [one.name for one in accelerators.found(tmp_path)] == ["Coral Edge TPU (USB)"]


@pytest.mark.parametrize("compatible", ["rockchip,rk3588-rknpu\0", "rockchip,rk3588-rknn-core\0rockchip,rknn-core\0"])
def test_an_npu_is_named_by_the_device_tree(compatible: str, tmp_path: Path) -> None:
    node = tmp_path / "proc/device-tree/npu@fdab0000"
    node.mkdir(parents=True)
    (node / "compatible").write_text(compatible)
    (one,) = accelerators.found(tmp_path)
    assert one.name == "Rockchip's NPU (RK3588)" and ".rknn" in one.why and "plug-in" in one.fix


def test_what_helps_is_said_by_the_maker_whatever_the_name() -> None:
    for maker, name in (
        of for table in (accelerators.PCI, accelerators.USB, accelerators.NPUS) for of in table.values()
    ):
        assert accelerators.Accelerator(maker, name, "/sys").why.endswith(f": {accelerators.HELP[maker]}")
    assert ".rknn" in accelerators.Accelerator("Rockchip", "NPU beside a Coral", "/sys").why


def test_a_machine_without_one_has_none_and_doctor_lists_those_that_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert accelerators.found(tmp_path) == []
    monkeypatch.setattr(accelerators, "found", lambda: [accelerators.Accelerator("Hailo", "AI HAT+", "/sys")])
    (finding,) = doctor._accelerators()
    assert (finding.kind, finding.name, finding.works) == ("device", "AI HAT+", False)
    assert ".hef" in finding.detail and finding.fix
