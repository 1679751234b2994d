"""Starter profiles: whatever a machine calls itself, what is written loads, matches it, and overwrites nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from edgebench.cli import cli
from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import device, starter_profile
from edgebench.machine.profiles import parse_profile
from edgebench.records import toml

ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/compatible": "acme,rover[c]*\0nvidia,tegra234\0",
    "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n\nprocessor\t: 1\n",
    "proc/meminfo": "MemTotal:        7802880 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1510400\n",
    "etc/nvpmodel.conf": "# made by hand\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n"
    "< POWER_MODEL ID=1 NAME=7W >\n< PM_CONFIG DEFAULT=0 >\n",
}


@pytest.fixture(autouse=True)
def own_profiles(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "edgebench" / "devices"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="")
    return root


def test_what_a_board_tells_is_in_its_starter(tmp_path):
    root = tree(tmp_path / "root", ORIN)
    assert device.detect(root).name == "cpu"  # a carrier of its own, which no profile names
    path = starter_profile.write("rover", root=root)
    found = device.detect(root)
    assert (
        found.name == "rover" and path.name == "rover.toml" and found.title == "NVIDIA Jetson Orin Nano Developer Kit"
    )
    assert (found.cpu.cores, found.cpu.max_mhz, found.memory.total_mib) == (2, 1510, 7620)
    assert found.compute == "cuda" and found.memory.shared and found.runtimes[0] == "tensorrt"
    assert [mode.name for mode in found.power_modes] == ["15W", "7W"]
    assert device.place(found, require_device=True, environ={}, root=root).evidence == "measured"
    (root / "proc/device-tree/compatible").write_bytes(b"acme,roverc\0nvidia,tegra234\0")
    assert not device.matches(found, root), "its name is meant as it stands, not as a glob"


def test_a_board_that_is_set_up_as_another_module_is_measured_under_its_own_name(tmp_path):
    names = {
        "proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234\0",
        "sys/devices/system/cpu/present": "0-11\n",  # a power mode switched all but two off
    }
    root = tree(tmp_path / "root", {path: text for path, text in ORIN.items() if "nvpmodel" not in path} | names)
    (root / "etc").mkdir()
    (root / "etc/nvpmodel.conf").symlink_to("nvpmodel/nvpmodel_p3767_0000.conf")
    assert device.place(device.detect(root), require_device=False, environ={}, root=root).evidence == "emulated"
    starter_profile.write("rover", root=root)
    found = device.detect(root)
    assert (found.name, found.cpu.cores) == ("rover", 2)
    assert device.place(found, require_device=True, environ={}, root=root).evidence == "measured"


def test_nothing_is_overwritten_and_no_built_in_is_posed_as(tmp_path, own_profiles):
    root = tree(tmp_path / "root", ORIN)
    starter_profile.write("rover", root=root)
    (own_profiles / "rover.toml").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        starter_profile.write("rover", root=root)
    assert (own_profiles / "rover.toml").read_text() == "mine"
    starter_profile.write("rover", force=True, root=root)
    for name in ("jetson_orin", "../rover", "", "a b", "rover.toml"):
        with pytest.raises(UsageError):
            starter_profile.write(name, force=True, root=root)
    assert [path.name for path in own_profiles.iterdir()] == ["rover.toml"]


def test_a_machine_that_tells_nothing_gets_no_profile(tmp_path, own_profiles):
    with pytest.raises(EdgebenchError, match="names neither"):
        starter_profile.write("rover", root=tmp_path / "nothing")
    assert not own_profiles.exists()


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(board=names, vendor=names, product=names, cpu=names, card=names)
def test_whatever_a_machine_calls_itself_its_starter_recognises_it(tmp_path_factory, board, vendor, product, cpu, card):
    files = {
        "proc/device-tree/compatible": board, "sys/class/dmi/id/sys_vendor": vendor,
        "sys/class/dmi/id/product_name": product, "proc/cpuinfo": f"processor\t: 0\nmodel name\t: {cpu}\n",
        "proc/driver/nvidia/gpus/0/information": f"Model: {card}\n",
    }  # fmt: skip
    root = tree(tmp_path_factory.mktemp("root"), files)
    text = starter_profile.text(root)  # itself asserts that the profile recognises the machine
    assert parse_profile("x", toml.loads(text), "x").compute == "cuda"


def test_the_command_names_this_machine_and_says_what_is_unknown():
    done = CliRunner().invoke(cli, ["devices", "detect", "--json"])
    told = json.loads(done.stdout)
    assert told["device"] == device.detect().name and told["machine"]["cores"] and told["written"] is None
    shown = CliRunner().invoke(cli, ["devices", "detect"]).stdout
    assert f"device: {told['device']}" in shown and all(f"unknown: {what}" in shown for what in told["unknown"])


def test_the_command_writes_what_then_is_this_machine(own_profiles):
    done = CliRunner().invoke(cli, ["devices", "detect", "--write", "rover", "--json"])
    told = json.loads(done.stdout)
    assert told["written"] == str(own_profiles / "rover.toml") and told["device"] == "rover" and "cpu" in told["also"]
    again = CliRunner().invoke(cli, ["devices", "detect", "--write", "rover"])
    assert again.exit_code == 2 and "--force" in again.stderr
    assert CliRunner().invoke(cli, ["devices", "detect", "--force"]).exit_code == 2
