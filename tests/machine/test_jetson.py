"""The Jetson's tools as they really print, and whatever else they may print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.machine import jetson

# Outputs of real boards, as published: an Orin Nano in verbose mode, a Xavier NX with its fan mode, old L4T's warning.
QUERIES = {
    "NV Power Mode: MODE_40W\n3\n": (3, "MODE_40W"),
    "NV Power Mode: 120W / 1": (1, "120W"),
    "NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0\n": (0, "MAXN"),
    "NVPM VERB: Config file: /etc/nvpmodel.conf\nNVPM VERB: parsing done for /etc/nvpmodel.conf\nNV Fan Mode:quiet\n"
    "NVPM VERB: Current mode: NV Power Mode: MODE_15W_6CORE\n2\nNVPM VERB: PARAM CPU_ONLINE: ARG CORE_0: PATH "
    "/sys/devices/system/cpu/cpu0/online: REAL_VAL: 1 CONF_VAL: 1\n": (2, "MODE_15W_6CORE"),
    "NVPM VERB: Current mode: NV Power Mode: 25W\r\n1\r\n": (1, "25W"),
}
NANO = """SOC family:tegra210  Machine:NVIDIA Jetson Nano Developer Kit
Online CPUs: 0-1
CPU Cluster Switching: Disabled
cpu0: Online=1 Governor=schedutil MinFreq=921600 MaxFreq=921600 CurrentFreq=921600 IdleStates: WFI=1 c7=1 
cpu2: Online=0 Governor=schedutil MinFreq=102000 MaxFreq=921600 CurrentFreq=921600 IdleStates: WFI=1 c7=1 
GPU MinFreq=76800000 MaxFreq=614400000 CurrentFreq=460800000
EMC MinFreq=204000000 MaxFreq=1600000000 CurrentFreq=1600000000 FreqOverride=0
Fan: speed=0
NV Power Mode: 5W
"""
ORIN = """SOC family:tegra234  Machine:NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super
Online CPUs: 0-5, Offline CPUs: 
cpu0:  Governor=schedutil MinFreq=729600 MaxFreq=1344000 CurrentFreq=960000 IdleStates: WFI=1 c7=1 
GPU MinFreq=306000000 MaxFreq=918000000 CurrentFreq=306000000
Active GPU TPCs: 4
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=2133000000 FreqOverride=0
FAN Dynamic Speed Control=nvfancontrol hwmon0_pwm1=69
NV Power Mode: 25W
"""


@pytest.mark.parametrize("query", QUERIES)
def test_the_mode_is_found_in_what_nvpmodel_prints(query):
    assert jetson.current_mode(query) == jetson.Mode(*QUERIES[query])


@pytest.mark.parametrize(
    "query", ["", "NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13\n", "NV Power Mode: 15W\n"]
)
def test_no_mode_is_no_guess(query):
    assert jetson.current_mode(query) is None


def test_modes_are_read_from_the_configuration():
    conf = "< PM_CONFIG DEFAULT=2 >\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n"
    conf += "  < POWER_MODEL NAME=MAXN_SUPER ID=2 >\n# < POWER_MODEL ID=3 NAME=7W >\n< PARAM TYPE=FILE NAME=X >\n"
    assert jetson.power_modes(conf) == {0: "15W", 2: "MAXN_SUPER"}


def test_clocks_are_locked_where_gpu_and_memory_are_held():
    free = jetson.clocks(NANO)
    assert free.locked is False, "the CPU is pinned by the power mode alone"
    assert list(free.cpus) == ["cpu0"] and free.gpu.max_mhz == 614.4 and free.emc.current_mhz == 1600
    assert free.fan == "Fan: speed=0"
    held = NANO.replace("MinFreq=76800000", "MinFreq=614400000").replace("FreqOverride=0", "FreqOverride=1")
    assert jetson.clocks(held).locked is True
    orin = jetson.clocks(ORIN)
    assert orin.locked is False and orin.cpus["cpu0"].min_mhz == 729.6 and "hwmon0_pwm1=69" in orin.fan
    assert jetson.clocks("Error: Run this script(jetson_clocks) as a root user\n").locked is None


def test_a_question_for_a_reboot_is_understood():
    asked = "NVPM WARN: Golden image context is already created\nNVPM WARN: Reboot required for changing to this power "
    asked += "mode: 0\nNVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:\nNVPM ERROR: bad input!\n"
    assert jetson.needs_reboot(asked) and not jetson.needs_reboot("NVPM WARN: fan mode is not set!\n")


@given(st.lists(st.sampled_from((NANO + ORIN + "".join(QUERIES)).splitlines()) | st.text(max_size=40), max_size=12))
def test_whatever_the_tools_print_nothing_is_raised(lines):
    text = "\n".join(lines)
    jetson.current_mode(text)
    jetson.power_modes(text)
    assert jetson.clocks(text).locked in (True, False, None)
