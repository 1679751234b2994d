"""Device profiles: what is shipped, what is recognised, what is refused, and what a user's own file may say."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest
from conftest import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.machine import device, profiles
from edgebench.records import jsonio, toml

BUILT_IN = [
    "cpu", "cuda", "dgx_spark", "igx_orin", "intel_core_ultra", "intel_n100", "jetson_agx_xavier", "jetson_nano",
    "jetson_orin", "jetson_orin_32gb", "jetson_orin_industrial", "jetson_orin_nano", "jetson_orin_nx",
    "jetson_orin_nx_8gb", "jetson_t2000", "jetson_t3000", "jetson_t4000", "jetson_thor", "jetson_tx1", "jetson_tx2",
    "jetson_xavier_nx", "raspberry_pi_4", "raspberry_pi_5", "raspberry_pi_500", "raspberry_pi_cm5", "rk3588",
    "rtx_4060_laptop", "rtx_5060", "rtx_a2000",
]  # fmt: skip
ANNOUNCED = {"jetson_t2000", "jetson_t3000"}  # so nothing is recognised as one
# A family of chips on many boards, so memory and more are unknown: nothing can be emulated of them.
CHIPS = {
    "intel_core_ultra": "Intel(R) Core(TM) Ultra 7 155H", "intel_n100": "Intel(R) N100",
    "rk3588": "",
}  # fmt: skip
# By what the driver calls the card.
CARDS = {
    "dgx_spark": "NVIDIA GB10", "rtx_4060_laptop": "NVIDIA GeForce RTX 4060 Laptop GPU",
    "rtx_5060": "NVIDIA GeForce RTX 5060", "rtx_a2000": "NVIDIA RTX A2000 12GB",
}  # fmt: skip
RAILS = {
    "jetson_tx1": ("module", {"VDD_IN"}),
    "jetson_tx2": ("module", {"VDD_IN"}),
    "jetson_nano": ("module", {"POM_5V_IN"}),
    "jetson_xavier_nx": ("module", {"VDD_IN"}),
    "jetson_orin_nano": ("module", {"VDD_IN"}),
    "jetson_orin_nx": ("module", {"VDD_IN"}),
    "jetson_orin_nx_8gb": ("module", {"VDD_IN"}),
    "jetson_agx_xavier": ("module", {"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}),
    **dict.fromkeys(
        ("jetson_orin", "jetson_orin_32gb", "jetson_orin_industrial", "igx_orin"),
        ("module", {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}),
    ),
    "jetson_thor": ("system", {"VIN"}),
}
BOARDS = {
    "jetson_tx1": ["nvidia,p2371-2180", "nvidia,tegra210"],  # the Nano's chip
    "jetson_tx2": ["nvidia,p2771-0000", "nvidia,tegra186"],
    "jetson_nano": ["nvidia,p3450-0000", "nvidia,tegra210"],
    "jetson_xavier_nx": ["nvidia,p3509-0000+p3668-0001", "nvidia,tegra194"],
    "jetson_agx_xavier": ["nvidia,p2972-0000", "nvidia,tegra194"],
    "jetson_orin_nano": ["nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005", "nvidia,tegra234"],
    "jetson_orin_nx": ["nvidia,p3509-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"],
    "jetson_orin_nx_8gb": ["nvidia,p3768-0000+p3767-0001-super", "nvidia,p3767-0001", "nvidia,tegra234"],
    "jetson_orin": ["nvidia,p3737-0000+p3701-0000", "nvidia,p3701-0000", "nvidia,tegra234"],
    "jetson_orin_32gb": ["nvidia,p3737-0000+p3701-0004", "nvidia,p3701-0004", "nvidia,tegra234"],
    "jetson_orin_industrial": ["nvidia,p3737-0000+p3701-0008", "nvidia,p3701-0008", "nvidia,tegra234"],
    "jetson_thor": ["nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"],
    "raspberry_pi_4": ["raspberrypi,4-model-b", "brcm,bcm2711"],
    "raspberry_pi_5": ["raspberrypi,5-model-b", "brcm,bcm2712"],
    "raspberry_pi_500": ["raspberrypi,500", "brcm,bcm2712"],
    "raspberry_pi_cm5": ["raspberrypi,5-compute-module", "brcm,bcm2712"],
    "rk3588": ["xunlong,orangepi-5", "rockchip,rk3588s"],
}
# What /etc/nvpmodel.conf is a link to, as NVIDIA's nvpmodel.sh sets it.
TABLES = {
    "jetson_xavier_nx": ["t194_p3668"], "jetson_agx_xavier": ["t194"],
    "jetson_orin_nano": ["p3767_0003", "p3767_0003_super"], "jetson_orin_nx": ["p3767_0000", "p3767_0000_super"],
    "jetson_orin_nx_8gb": ["p3767_0001", "p3767_0001_super"], "jetson_orin": ["p3701_0000"],
    "jetson_orin_32gb": ["p3701_0004"], "jetson_orin_industrial": ["p3701_0008", "p3701_0000"],
    "igx_orin": ["p3701_0008", "p3701_0000"], "jetson_thor": ["p3834_0008"],
}  # fmt: skip
IGX = ["nvidia,p3740-0002+p3701-0008", "nvidia,p3701-0008", "nvidia,tegra234"]
MINIMAL = """
schema = 1
title = "Acme"
compute = "cpu"
runtimes = ["onnxruntime"]
precisions = ["fp32"]
[match]
device_tree = ["acme,*"]
"""


@pytest.fixture(autouse=True)
def own_profiles(tmp_path_factory, monkeypatch) -> Path:
    """The tester's own configuration must not take part."""
    config = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    folder = config / "edgebench" / "devices"
    folder.mkdir(parents=True)
    return folder


def machine(root: Path, compatible=(), memory_mb=16000, gpu="", cpu="Intel(R) Xeon(R) CPU") -> Path:
    """A /proc that looks like the machine asked for."""
    (root / "proc").mkdir(parents=True)
    (root / "proc/cpuinfo").write_text("".join(f"processor\t: {n}\nmodel name\t: {cpu}\n\n" for n in range(4)))
    (root / "proc/meminfo").write_text(f"MemTotal:       {memory_mb * 1024} kB\nMemFree: 1 kB\n")
    if compatible:
        (root / "proc/device-tree").mkdir()
        (root / "proc/device-tree/compatible").write_bytes("".join(f"{c}\0" for c in compatible).encode())
        (root / "proc/device-tree/model").write_bytes(b"The Board\0")
    if gpu:
        (root / "proc/driver/nvidia/gpus/0000:01:00.0").mkdir(parents=True)
        (root / "proc/driver/nvidia/gpus/0000:01:00.0/information").write_text(f"Model: \t\t {gpu}\nIRQ:   \t 41\n")
    return root


def place(name: str, root: Path, require_device: bool = False, **environ: str) -> device.Placement:
    return device.place(device.load_profile(name), require_device=require_device, environ=environ, root=root)


# what is shipped


def test_every_built_in_profile_is_listed():
    assert device.profile_names() == BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_profile_loads_and_goes_through_json(name):
    profile = device.load_profile(name)
    assert profile.name == name and profile.title and profile.runtimes and "fp32" in profile.precisions
    assert jsonio.decode(profiles.Profile, json.loads(jsonio.dumps(profile)), name) == profile


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"cpu", "cuda", *CARDS, *CHIPS, *ANNOUNCED}))
def test_board_profiles_have_the_limits_that_emulation_needs(name):
    profile = device.load_profile(name)
    assert profile.cpu.cores and profile.memory.total_mib and profile.match.device_tree


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_this_machine_profiles_limit_nothing(name):
    profile = device.load_profile(name)
    assert (profile.cpu, profile.memory, profile.power) == (profiles.Cpu(), profiles.Memory(), profiles.Power())


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_figure_names_its_source(name):
    lines = resources.files("edgebench.device_profiles").joinpath(f"{name}.toml").read_text().splitlines()
    declared = {label for line in lines for label in re.findall(r"^#\s+\[(\w+)\]", line)}
    for number, line in enumerate(lines):
        if not re.match(r'\w+ = ("?)[\d.]+\1\s*(#|$)', line):
            continue
        source = line.partition("#")[2] or (lines[number - 1] if lines[number - 1].startswith("#") else "")
        assert source, f"{name}.toml:{number + 1} has no source"
        if not line.startswith("schema"):
            assert set(re.findall(r"\[(\w+)\]", source)) & declared, f"{name}.toml:{number + 1}: {source}"


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"cpu", "cuda"}))
def test_every_source_that_is_declared_is_used(name):
    text = resources.files("edgebench.device_profiles").joinpath(f"{name}.toml").read_text()
    for label in re.findall(r"^#\s+\[(\w+)\]", text, re.M):
        assert text.count(f"[{label}]") > 1, f"{name}.toml declares [{label}] and never uses it"


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"cpu", "cuda", *CHIPS}))
def test_a_bandwidth_that_is_not_given_is_said_to_be_left_out(name):
    text = resources.files("edgebench.device_profiles").joinpath(f"{name}.toml").read_text()
    left_out = re.search(r"Left out: .*?(?=\nschema)", text, re.S)
    assert device.load_profile(name).memory.bandwidth_gb_s or (left_out and "bandwidth" in left_out[0])


def test_the_readme_example_is_a_valid_profile(tmp_path):
    readme = resources.files("edgebench.device_profiles").joinpath("README.md")
    if not readme.is_file():
        readme = REPOSITORY / "device_profiles" / "README.md"
    (tmp_path / "rover.toml").write_text(re.search(r"```toml\n(.*?)```", readme.read_text(), re.S)[1])
    assert device.load_profile(str(tmp_path / "rover.toml")).cpu.cores == 6


@pytest.mark.parametrize("name", [name for name, model in CHIPS.items() if model])
def test_a_processor_is_recognised_by_its_name(name, tmp_path):
    assert device.detect(machine(tmp_path, cpu=CHIPS[name])).name == name


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_recognised_by_the_name_that_the_driver_gives(name, tmp_path):
    assert device.detect(machine(tmp_path, gpu=CARDS[name])).name == name
    assert "tensorrt_rtx" in device.load_profile(name).runtimes


def test_the_a2000_of_a_laptop_is_another_card(tmp_path):
    assert device.detect(machine(tmp_path, gpu="NVIDIA RTX A2000 Laptop GPU")).name == "cuda"


# power


@pytest.mark.parametrize("name", sorted(RAILS))
def test_total_power_follows_the_table(name):
    scope, rails = RAILS[name]
    profile = device.load_profile(name)
    assert (profile.power.scope, set(profile.power.total_rails)) == (scope, rails)
    assert profile.total_power_mw(dict.fromkeys(rails, 1000) | {"OTHER": 5}) == 1000 * len(rails)


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - set(RAILS)))
def test_no_total_without_a_rule(name):
    assert device.load_profile(name).total_power_mw({"VDD_IN": 1000}) is None


def test_agx_orin_does_not_count_the_memory_rail_twice():
    rails = {"VDD_GPU_SOC": 3360, "VDD_CPU_CV": 480, "VIN_SYS_5V0": 4868, "VDDQ_VDD2_1V8AO": 397}
    assert device.load_profile("jetson_orin").total_power_mw(rails) == 3360 + 480 + 4868


@given(st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), st.integers(-(10**6), 10**6)))
def test_total_power_is_the_sum_or_unknown(rails):
    profile = profiles.Profile(
        name="x",
        title="X",
        compute="cpu",
        match=profiles.Match(any=True),
        runtimes=(),
        precisions=(),
        power=profiles.Power("module", ("A", "B", "C")),
    )
    total = profile.total_power_mw(rails)
    assert total == (sum(rails[r] for r in "ABC") if set("ABC") <= set(rails) else None)


# recognising


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_each_board_is_recognised_by_its_profile_alone(name, tmp_path):
    root = machine(tmp_path / "root", BOARDS[name])
    assert [n for n in BUILT_IN if device.matches(device.load_profile(n), root)] == ["cpu", name]
    assert device.detect(root).name == name


@pytest.mark.parametrize(
    "compatible",
    [
        ["nvidia,p3509-0000+p3636-0001", "nvidia,tegra186"],  # Jetson TX2 NX shares the TX2's chip
        ["nvidia,e3900-0000+p2888-0004", "nvidia,tegra194"],  # Clara AGX carries the Xavier module
        ["NVIDIA,P3701-0000"],  # case counts
    ],
)
def test_relatives_of_a_board_are_not_that_board(compatible, tmp_path):
    assert device.detect(machine(tmp_path / "root", compatible)).name == "cpu"


def test_a_module_on_a_board_of_its_own_is_that_board(tmp_path):
    found = device.recognised(machine(tmp_path / "root", IGX))
    assert [profile.name for profile in found] == ["igx_orin", "jetson_orin_industrial", "cpu"]


@pytest.mark.parametrize(("name", "table"), [(name, table) for name, tables in TABLES.items() for table in tables])
def test_a_board_with_the_power_model_that_it_comes_with_is_measured(name, table, tmp_path):
    root = machine(tmp_path / "root", IGX if name == "igx_orin" else BOARDS[name])
    (root / "etc").mkdir()
    (root / "etc/nvpmodel.conf").symlink_to(f"nvpmodel/nvpmodel_{table}.conf")
    assert device.detect(root).name == name
    assert place(name, root, require_device=True).evidence == "measured"


@pytest.mark.parametrize("name", sorted(ANNOUNCED))
def test_an_announced_device_is_emulated_everywhere(name, tmp_path):
    root = machine(tmp_path / "root", BOARDS["jetson_thor"])
    assert not device.matches(device.load_profile(name), root)
    assert place(name, root).evidence == "emulated"
    with pytest.raises(EdgebenchError, match="NVIDIA Jetson Thor T"):
        place(name, root, require_device=True)


def test_detects_a_pc_with_and_without_a_card(tmp_path):
    assert device.detect(machine(tmp_path / "without")).name == "cpu"
    assert device.detect(machine(tmp_path / "with", gpu="NVIDIA RTX A5000")).name == "cuda"
    assert device.detect(tmp_path / "nothing").name == "cpu"


def test_a_jetson_is_not_a_pc_with_a_card(tmp_path):
    root = machine(tmp_path / "root", BOARDS["jetson_thor"], gpu="NVIDIA Thor")
    assert not device.matches(device.load_profile("cuda"), root)
    assert device.detect(root).name == "jetson_thor"


def test_device_tree_is_found_in_sysfs_too(tmp_path):
    base = tmp_path / "sys/firmware/devicetree/base"
    base.mkdir(parents=True)
    (base / "compatible").write_bytes(b"raspberrypi,5-model-b\0brcm,bcm2712\0")
    assert device.detect(tmp_path).name == "raspberry_pi_5"


def test_own_profile_recognises_by_processor_and_card(tmp_path, own_profiles):
    rule = '[match]\ncpu_model = ["AMD Ryzen Embedded*"]\ngpu_model = ["*A3000*"]\n'
    (own_profiles / "cart.toml").write_text(MINIMAL.partition("[match]")[0] + rule)
    assert device.detect(machine(tmp_path / "a", cpu="AMD Ryzen Embedded V2718")).name == "cart"
    assert device.detect(machine(tmp_path / "b", gpu="NVIDIA RTX A3000")).name == "cart"
    assert device.detect(machine(tmp_path / "c")).name == "cpu"


def own(folder: Path, name: str, rule: str) -> None:
    (folder / f"{name}.toml").write_text(MINIMAL.partition("[match]")[0] + f"[match]\n{rule}\n")


def firmware(root: Path, **names: str) -> Path:
    (root / "sys/class/dmi/id").mkdir(parents=True)
    for key, file in (("vendor", "sys_vendor"), ("product", "product_name"), ("board", "board_name")):
        (root / "sys/class/dmi/id" / file).write_text(names.get(key, "Default string") + "\n")
    return root


def test_a_pc_is_recognised_by_its_firmware_all_of_whose_names_have_to_fit(tmp_path, own_profiles):
    own(own_profiles, "cart", 'dmi = { vendor = "Acme*", product = "Rover X*" }')
    assert device.detect(firmware(machine(tmp_path / "a"), vendor="Acme Inc.", product="Rover X2")).name == "cart"
    assert device.detect(firmware(machine(tmp_path / "b"), vendor="Acme Inc.", product="Rover Y")).name == "cpu"
    assert device.detect(firmware(machine(tmp_path / "c"))).name == "cpu"
    own(own_profiles, "open", 'dmi = { board = "*" }')  # what the maker left open is no name
    assert device.detect(firmware(machine(tmp_path / "d"))).name == "cpu"


def test_an_arm_core_is_recognised_by_its_part(tmp_path, own_profiles):
    own(own_profiles, "cart", 'cpu_part = ["0x41 0xd4?"]')
    root = machine(tmp_path / "a")
    (root / "proc/cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n")
    assert device.detect(root).name == "cart"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        # An earlier entry of the device tree says more than a later one, however much of it is spelt out.
        ({"a": 'device_tree = ["nvidia,tegra234"]', "b": 'device_tree = ["nvidia,p3768*"]'}, ["b", "a"]),
        # Of two globs on one entry the longer one; the built-in profile stands between them.
        ({"a": 'device_tree = ["nvidia,p37*"]', "b": 'device_tree = ["nvidia,p3768-0000+p3767-0005-super"]'},
         ["b", "jetson_orin_nano", "a"]),
        # The kinds, from the most telling to the least.
        ({"a": 'cpu_model = ["Intel*"]', "b": 'dmi = { vendor = "N*" }', "c": 'device_tree = ["nvidia,*"]'},
         ["jetson_orin_nano", "c", "b", "a"]),
        # Of equals the user's own comes before a built-in one, and then the name decides.
        ({"b": 'device_tree = ["nvidia,*p3767-0005*"]', "a": 'device_tree = ["nvidia,*p3767-0005*"]'},
         ["a", "b", "jetson_orin_nano"]),
    ],
)  # fmt: skip
def test_of_two_profiles_the_more_specific_wins(rules, expected, tmp_path, own_profiles):
    for name, rule in rules.items():
        own(own_profiles, name, rule)
    root = firmware(machine(tmp_path / "root", BOARDS["jetson_orin_nano"]), vendor="NVIDIA")
    found = [profile.name for profile in device.recognised(root)]
    assert [name for name in found if name in expected] == expected
    assert device.detect(root).name == found[0] and found[-1] == "cpu"


def test_the_machine_is_described(tmp_path):
    board = device.describe_machine(machine(tmp_path / "board", BOARDS["jetson_orin_nano"], 7620))
    assert "The Board (nvidia,p3768-0000+p3767-0005-super)" in board and "7620 MiB" in board
    assert "NVIDIA RTX A2000" in device.describe_machine(machine(tmp_path / "pc", gpu="NVIDIA RTX A2000"))
    assert "unknown" in device.describe_machine(tmp_path / "nothing")


# placing


def test_on_the_board_it_is_measured(tmp_path):
    root = machine(tmp_path / "root", BOARDS["jetson_orin"], memory_mb=62841)
    for require, environ in [(False, {}), (True, {}), (True, {"CI": "true"})]:
        assert place("jetson_orin", root, require, **environ) == device.Placement(evidence="measured", compute="cuda")


def test_another_variant_of_the_board_is_measured_with_a_notice(tmp_path):
    placed = place("jetson_orin", machine(tmp_path / "root", BOARDS["jetson_orin"], memory_mb=30697))
    assert placed.evidence == "measured" and "30697 MiB" in placed.notice and "variant" in placed.notice


def test_elsewhere_it_is_emulated_and_says_so_loudly(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "available_cores", lambda root: 64)
    placed = place("jetson_orin_nano", machine(tmp_path / "root"), CI="false")
    assert (placed.evidence, placed.compute, placed.cores, placed.memory_limit_mib) == ("emulated", "cpu", 6, 8192)
    for word in ("EMULATED", "ISA", "caches", "bandwidth", "TensorRT tactics", "DVFS", "thermals", "never ranked"):
        assert word in placed.notice


def test_emulation_never_uses_more_cores_than_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "available_cores", lambda root: 2)
    placed = place("jetson_orin", machine(tmp_path / "root", memory_mb=8000))
    assert placed.cores == 2 and "the board has 12" in placed.notice and "this machine has less" in placed.notice


@pytest.mark.parametrize(
    ("require", "environ", "mend"),
    [
        (True, {}, "drop --require-device"),
        (False, {"CI": "true"}, "unset CI"),
        (False, {"CI": "1"}, "unset CI"),
        (True, {"CI": "1"}, "drop --require-device and unset CI"),
    ],
)
def test_refused_where_an_emulated_figure_could_pass_for_a_measured_one(require, environ, mend, tmp_path):
    root = machine(tmp_path / "root", BOARDS["raspberry_pi_5"])
    with pytest.raises(EdgebenchError) as refused:
        place("jetson_orin", root, require, **environ)
    assert refused.value.exit_code == 1
    assert "raspberrypi,5-model-b" in refused.value.message and "\n" not in refused.value.message
    assert "run on the board" in refused.value.fix and mend in refused.value.fix


def test_a_run_over_ssh_is_not_told_to_drop_what_its_user_did_not_type(tmp_path):
    with pytest.raises(EdgebenchError) as refused:
        place("jetson_orin", machine(tmp_path / "root"), True, EDGEBENCH_HOSTED="1", CI="true")
    assert "right board" in refused.value.fix and "drop" not in refused.value.fix


@pytest.mark.parametrize("value", ["", "0", "false", "False"])
def test_ci_that_is_off_does_not_refuse(value, tmp_path):
    assert place("jetson_nano", machine(tmp_path / "root"), CI=value).evidence == "emulated"


def test_a_card_cannot_be_emulated(tmp_path):
    root = machine(tmp_path / "root")
    with pytest.raises(EdgebenchError, match="no NVIDIA card"):
        place("cuda", root)
    assert place("cpu", root, True, CI="1") == device.Placement(evidence="measured", compute="cpu")


def test_available_cores_respect_a_container_quota(tmp_path):
    everything = device.available_cores(tmp_path)
    assert everything >= 1
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("50000 100000\n")
    assert device.available_cores(tmp_path) == 1
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    assert device.available_cores(tmp_path) == everything


# names and files


@pytest.mark.parametrize(("typo", "meant"), [("jetson-orin", "jetson_orin"), ("raspbery_pi_5", "raspberry_pi_5")])
def test_unknown_name_suggests_the_closest(typo, meant):
    with pytest.raises(UsageError) as error:
        device.load_profile(typo)
    assert error.value.exit_code == 2 and meant in error.value.fix and "edgebench devices" in error.value.fix


@pytest.mark.parametrize("name", ["../cpu", "/etc/passwd", "a/b", "..", "", ".hidden", "cpu\0", "cpu\n", "~"])
def test_a_name_cannot_leave_the_folders(name, own_profiles):
    (own_profiles.parent / "cpu.toml").write_text(MINIMAL)
    with pytest.raises(UsageError):
        device.load_profile(name)


def test_own_profiles_are_found_by_name_and_by_path(own_profiles, monkeypatch, tmp_path):
    (own_profiles / "rover.toml").write_text(MINIMAL)
    (own_profiles / "not a name.toml").write_text("not toml either")
    assert device.profile_names() == sorted([*BUILT_IN, "rover"])
    assert device.load_profile("rover") == device.load_profile(str(own_profiles / "rover.toml"))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config/edgebench/devices").mkdir(parents=True)
    (tmp_path / ".config/edgebench/devices/cart.toml").write_text(MINIMAL)
    assert device.load_profile("cart").title == "Acme"


def test_own_profile_cannot_pose_as_a_built_in(own_profiles):
    (own_profiles / "jetson_orin.toml").write_text(MINIMAL)
    with pytest.raises(BadFile, match="built-in"):
        device.load_profile("jetson_orin")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("schema = 1", "schema = 2"), "schema"),
        (("schema = 1", ""), "schema"),
        (("schema = 1", "schema = true"), "schema"),
        (('title = "Acme"', ""), "'title' is missing"),
        (('title = "Acme"', "title = 3"), "title: expected str, found 3"),
        (("[match]", "[matches]"), "did you mean match?"),
        (("device_tree", "devicetree"), "did you mean device_tree?"),
        (('["acme,*"]', '"acme,*"'), "expected a list"),
        (('["acme,*"]', "[]"), "recognises nothing"),
        (('"cpu"', '"tpu"'), "expected one of cpu, cuda"),
        (('["fp32"]', '["fp12"]'), "fp12"),
        (("[match]", "name = 'x'\n[match]"), "unknown key 'name'"),
        (("[match]", "[cpu]\ncores = 1.5\n[match]"), "cpu.cores: expected int"),
        (("[match]", "[cpu]\ncores = 0\n[match]"), "cpu.cores must be a positive number"),
        (("[match]", "[cpu]\ncroes = 4\n[match]"), "did you mean cores?"),
        (("[match]", "[memory]\nbandwidth_gb_s = inf\n[match]"), "expected float, found Infinity"),
        (("[match]", "[power]\nscope = 'module'\n[match]"), "total_rails"),
        (("[match]", "[[power_modes]]\nname = 'A'\nwatt = 3\n[match]"), "did you mean watts?"),
        (("[match]", "[[power_modes]]\nname = 'A'\nwatts = -3\n[match]"), "positive"),
        (("[match]", "[[power_modes]]\nname='A'\ndefault=true\n[[power_modes]]\nname='B'\ndefault=true\n[match]"),
         "more than one"),
        (("[match]", "[match"), "is not TOML"),
        (("[match]", '[memory]\ntotal_mib = "8 GB"\n[match]'), "bare number of MiB"),
        (("[match]", "[memory]\ntotal_mib = 8\n[match]"), "total_mib = 8 is not a plausible number of MiB"),
        (("[match]", "[memory]\ntotal_gib = 8\n[match]"), "did you mean total_mib?"),
        (("[match]", "[cpu]\nmax_mhz = 1900000\n[match]"), "not a plausible number of MHz"),
        (("[match]", "[power]\nscope = 'module'\nidle_w = 3\n[match]"), "a larger max_w"),
        (("[match]", "[power]\nscope = 'module'\nidle_w = 3\nmax_w = 2\n[match]"), "a larger max_w"),
        (("[match]", "[power]\nidle_w = 3\nmax_w = 9\n[match]"), "needs scope"),
        (("device_tree =", "dmi = { maker = 'A' }\ndevice_tree ="), "unknown key 'match.dmi.maker'"),
        (("device_tree =", "dmi = ['A']\ndevice_tree ="), "match.dmi"),
    ],
)  # fmt: skip
def test_a_bad_profile_says_what_where_and_how_to_mend_it(change, said, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(MINIMAL.replace(*change))
    with pytest.raises(BadFile) as error:
        device.load_profile(str(path))
    assert str(path) in error.value.message and said in str(error.value) and error.value.fix


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    for name in ("folder.toml", "latin.toml", "absent.toml"):
        with pytest.raises(BadFile, match=name):
            device.load_profile(str(tmp_path / name))


words = st.sampled_from(["cuda", "fp16", "module", "a*"])
scalars = st.one_of(st.booleans(), st.integers(), st.floats(), words, st.dates())
keys = st.sampled_from(sorted({name for kind in (
    profiles.Profile, profiles.Match, profiles.Dmi, profiles.Cpu, profiles.Memory, profiles.Power, profiles.PowerMode,
    profiles.Peaks,
) for name in kind.__dataclass_fields__} | {"x"}))  # fmt: skip
table = st.dictionaries(keys, scalars | st.lists(scalars, max_size=2), max_size=3)


@settings(max_examples=200)
@given(st.dictionaries(keys, scalars | table | st.lists(table | scalars, max_size=2), max_size=4))
def test_whatever_a_profile_holds_it_loads_or_is_refused(data):
    base = {"schema": 1, "title": "X", "compute": "cpu", "runtimes": [], "precisions": [], "match": {"any": True}}
    for candidate in (data, {**base, **data}):
        try:
            profile = profiles.parse_profile("x", candidate, "x.toml")
        except EdgebenchError:
            continue
        assert profile.name == "x" and profile.match != profiles.Match()


@given(st.text(max_size=40))
def test_whatever_a_file_holds_it_loads_or_is_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "any.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(BadFile):
        device.load_profile(str(path))


def test_listing_names_parses_nothing(monkeypatch):
    monkeypatch.setattr(toml, "loads", lambda text: pytest.fail("completion must not parse"))
    assert device.profile_names() == BUILT_IN


@pytest.mark.parametrize(
    "sign",
    [
        "proc/device-tree/fw-cfg@9020000/compatible", "sys/firmware/qemu_fw_cfg/rev",
        "sys/bus/virtio/devices/virtio0/vendor:0x554d4551", "sys/bus/pci/devices/0000:00:01.0/vendor:0x1b36",
    ],
)  # fmt: skip
def test_a_virtual_machine_of_qemu_is_emulated_whatever_its_device_tree_says(sign, tmp_path):
    for name, tree in (("jetson_orin", "nvidia,p3701-0000"), ("cpu", "linux,dummy-virt")):
        root = machine(tmp_path / name, [tree], memory_mb=60000)
        (root / "proc/cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n")
        assert place(name, root).evidence == "measured"
        path, _, content = sign.rpartition(":0x") if ":0x" in sign else (sign, "", "")
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(f"0x{content}\n")
        made = place(name, root)
        assert made.evidence == "emulated" and "virtual one of QEMU" in made.notice and made.cores is None
        assert place(name, root, require_device=True, **{device.HOSTED: "1"}).evidence == "emulated"
        for environ in ({"CI": "1"}, {}):
            with pytest.raises(EdgebenchError, match="virtual one of QEMU"):
                place(name, root, require_device=not environ, **environ)


def test_on_x86_only_a_processor_of_qemus_own_is_not_the_hosts(tmp_path):
    guest = machine(tmp_path / "kvm", cpu="AMD EPYC")
    (guest / "sys/firmware/qemu_fw_cfg").mkdir(parents=True)
    assert place("cpu", guest).evidence == "measured"
    assert place("cpu", machine(tmp_path / "tcg", cpu="QEMU TCG CPU version 2.5+")).evidence == "emulated"
