"""JetPack by the release of Jetson Linux, and boards that are set up as another module than their device tree says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trees

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine import device, jetpack, registry
from edgebench.records import toml

RECORDED = toml.read(Path(__file__).with_name("jetpack7_boards.toml"), example="")["board"]

R = "# R{} (release), REVISION: {}, GCID: 40000000, BOARD: generic, EABI: aarch64, DATE: Mon Jan  1 00:00:00 UTC 2026"


@pytest.mark.parametrize(
    ("told", "name", "cuda", "python", "tensorrt"),
    [
        (R.format(39, "2.0"), "7.2", "13", "3.12", "10.16"),
        (R.format(38, "4.0"), "7.1", "13", "3.12", "10.13"),
        (R.format(38, "2.1"), "7.0", "13", "3.12", "10.13"),
        (R.format(36, "4.7"), "6.1 or 6.2", "12", "3.10", "10.3"),
        (R.format(35, "6.2"), "5", "11", "3.8", "8.5"),
        (R.format(32, "7.6"), "4", "10", "3.6", "8.2"),
    ],
)
def test_the_release_of_jetson_linux_tells_what_jetpack_brings(told, name, cuda, python, tensorrt):
    assert jetpack.of(told) == jetpack.Jetpack(name, cuda, python, tensorrt)


@pytest.mark.parametrize("told", ["", "Ubuntu 24.04", "# R (release)", R.format(28, "1.0"), "# R39 (release)"])
def test_what_is_no_release_tells_nothing(told):
    assert jetpack.of(told) is None


def recorded(root: Path, told: dict, **changed: str) -> Path:
    files = {
        "proc/device-tree/compatible": "".join(f"{entry}\0" for entry in told["compatible"]),
        "proc/device-tree/model": f"{told['model']}\0",
        "proc/meminfo": f"MemTotal:       {told['memory_mib'] * 1024} kB",
        "proc/sys/kernel/osrelease": told["kernel"],
        "sys/devices/system/cpu/present": f"0-{told['cores'] - 1}",
        "etc/nv_tegra_release": "\n".join((told["release"], told.get("more", ""))),
    }
    return trees.write(root, files | changed)


@pytest.mark.parametrize("told", RECORDED, ids=lambda told: f"{told['profile']}-{told['jetpack']}")
def test_a_board_that_was_recorded_under_jetpack_7_is_recognised(told, tmp_path):
    root = recorded(tmp_path, told)
    assert jetpack.of(told["release"]) == jetpack.Jetpack(told["jetpack"], "13", told["python"], told["tensorrt"])
    assert device.detect(root).name == told["profile"]
    assert place(root, told["profile"], CI="true").evidence == "measured"


@pytest.mark.parametrize("told", RECORDED, ids=lambda told: f"{told['profile']}-{told['jetpack']}")
def test_a_board_that_was_recorded_is_no_other_board(told, tmp_path):
    root = recorded(tmp_path, told)
    for name in {"jetson_thor", "jetson_orin", "jetson_orin_nano", "jetson_t4000", "jetson_t3000"} - {told["profile"]}:
        assert place(root, name).evidence == "emulated"
        with pytest.raises(EdgebenchError, match=re.escape(told["model"])):
            place(root, name, CI="true")


def board(root: Path, module: str = "p3834-0008", cores: int = 14, conf: str = "") -> Path:
    """Thor's tree under JetPack 7, as public logs show it, without serial numbers."""
    tree = "".join(f"{entry}\0" for entry in (f"nvidia,p3971-0089+{module}", f"nvidia,{module}", "nvidia,tegra264"))
    files = {
        "proc/device-tree/compatible": tree,
        "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
        "proc/meminfo": "MemTotal:       128734208 kB\n" if module.endswith("8") else "MemTotal:  64400000 kB\n",
        "proc/cpuinfo": "processor\t: 0\n",
        "sys/devices/system/cpu/present": f"0-{cores - 1}\n",
        "etc/nv_tegra_release": R.format(39, "2.1") + "\n",
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t NVIDIA Thor\n",
    }
    return trees.write(root, files | ({"etc/nvpmodel.conf": conf} if conf else {}))


def place(root: Path, name: str = "jetson_thor", **environ: str) -> device.Placement:
    return device.place(device.load_profile(name), require_device=False, environ=environ, root=root)


THOR = "# T5000 power modes\n< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=120W >\n"


@pytest.mark.parametrize(
    ("module", "cores", "name"), [("p3834-0008", 14, "jetson_thor"), ("p3834-0000", 12, "jetson_t4000")]
)
def test_a_board_as_its_profile_is_measured_as_it(module, cores, name, tmp_path):
    root = board(tmp_path, module, cores, THOR if name == "jetson_thor" else "")
    assert device.detect(root).name == name
    assert place(root, name).evidence == "measured"


@pytest.mark.parametrize(
    ("cores", "conf", "why"),
    [
        (8, "", "it has 8 cores instead of 14"),
        (14, THOR.replace("T5000", "T3000"), "its power model is that of the T3000"),
        (14, "< POWER_MODEL ID=0 NAME=MAXN_T2000 >\n", "its power model is that of the T2000"),
    ],
)
def test_a_thor_that_is_set_up_as_a_smaller_module_is_never_called_measured(cores, conf, why, tmp_path):
    root = board(tmp_path, cores=cores, conf=conf)
    assert device.detect(root).name == "jetson_thor"
    found = place(root)
    assert (found.evidence, found.compute, found.cores) == ("emulated", "cuda", None)
    assert why in found.notice and "NOT MEASURED AS jetson_thor" in found.notice and "--write" in found.notice
    with pytest.raises(EdgebenchError, match=why):
        place(root, CI="true")


@pytest.mark.parametrize(
    ("table", "named"), [("p3701_0000", ""), ("p3701_0004", "P3701-0004"), ("p3767_0000_super", "P3767-0000")]
)
def test_an_orin_that_is_set_up_as_another_module_is_never_called_measured(table, named, tmp_path):
    tree = "".join(f"{entry}\0" for entry in ("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"))
    root = trees.write(
        tmp_path, {"proc/device-tree/compatible": tree, f"etc/nvpmodel/nvpmodel_{table}.conf": "", "proc/cpuinfo": ""}
    )
    (root / "etc/nvpmodel.conf").symlink_to(f"nvpmodel/nvpmodel_{table}.conf")
    found = place(root, "jetson_orin")
    assert found.evidence == ("emulated" if named else "measured") and named in found.notice


def test_a_missing_shared_library_is_named_with_what_helps(monkeypatch):
    said = "libnvdla_compiler.so: cannot open shared object file: No such file or directory"

    class Broken:
        def load(self):
            raise ImportError(said)

    stated = registry.facts("runtimes", "tensorrt")
    monkeypatch.setattr(registry, "_entries", lambda kind: {"tensorrt": Broken()})
    monkeypatch.setattr(registry, "facts", lambda kind, name: stated)
    with pytest.raises(Unsupported, match=r"shared library libnvdla_compiler\.so") as error:
        registry.load("runtimes", "tensorrt")
    assert "nvidia-l4t-dla-compiler" in error.value.fix and "JetPack 7" in error.value.fix
