"""tegrastats' lines, real ones of every board and JetPack, and what a cut or broken line may do: nothing."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.machine.device import load_profile
from edgebench.machine.power.tegrastats import Reading, parse

# Each under the public place it was seen in, by board.
SECTIONS = re.split(r"^# ---- (.*) ----$", Path(__file__).with_name("tegrastats_lines.txt").read_text(), flags=re.M)
LINES = [
    (board, line)
    for board, text in zip(SECTIONS[1::2], SECTIONS[2::2], strict=True)
    for line in text.splitlines()
    if line and not line.startswith("#")
]
TOTALS = {
    "TX1, JetPack 3/4": ("jetson_tx1", ["VDD_IN"]),
    "TX2": ("jetson_tx2", ["VDD_IN"]),
    "Nano (T210)": ("jetson_nano", ["POM_5V_IN"]),
    "AGX Xavier": ("jetson_agx_xavier", ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"]),
    "Xavier NX": ("jetson_xavier_nx", ["VDD_IN"]),
    "Orin Nano": ("jetson_orin_nano", ["VDD_IN"]),
    "Orin NX": ("jetson_orin_nx", ["VDD_IN"]),
    "AGX Orin": ("jetson_orin", ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"]),
    "AGX Thor (T264)": ("jetson_thor", ["VIN"]),
}
REAL = st.sampled_from([line for _, line in LINES])


def rails_by_hand(line: str) -> dict[str, int]:
    """Word by word, without a pattern: of a value with a slash or a unit after a name, the first number."""
    found: dict[str, int] = {}
    for name, value in pairwise(line.split()):
        first = value.split("/")[0].removesuffix("mW")
        if value != first and first.lstrip("-").isdigit() and "B" not in value and name != "NC":
            found.setdefault(name, int(first))
    return found


def temperatures_by_hand(line: str) -> dict[str, float]:
    words = [word.split("@") for word in line.split() if "@" in word and "[" not in word]
    told = {name: value.split("/")[0] for name, value in words}
    return {name: float(value[:-1]) for name, value in told.items() if value[-1] == "C" and value != "-256C"}


def test_the_lines_are_of_every_board() -> None:
    assert len(LINES) > 40 and {board for board, _ in LINES} > set(TOTALS)


@pytest.mark.parametrize(("board", "line"), [case for case in LINES if case[0] in TOTALS], ids=lambda value: value[:24])
def test_totals_follow_the_rail_table(board: str, line: str) -> None:
    profile, rails = TOTALS[board]
    told = [rails_by_hand(line).get(rail) for rail in rails]
    expected = None if None in told else sum(told)
    assert load_profile(profile).total_power_mw(parse(line).rails_mw) == expected


@pytest.mark.parametrize(("board", "line"), LINES, ids=lambda value: value[:24])
def test_what_a_line_tells_is_what_a_reader_sees(board: str, line: str) -> None:
    reading = parse(line)
    assert reading.ram_used_mb == int(line.partition("RAM ")[2].partition("/")[0])
    assert reading.swap_used_mb == (int(line.partition("SWAP ")[2].partition("/")[0]) if "SWAP" in line else None)
    assert reading.rails_mw == rails_by_hand(line)
    assert reading.temperatures_c == temperatures_by_hand(line)
    load = line.partition("GR3D_FREQ " if "GR3D_FREQ " in line else "GR3D ")[2].partition("%")[0]
    assert reading.gpu_load_percent == (int(load) if load.isdigit() else None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            "RAM 1736/15827MB (lfb 3283x4MB) CPU [1%@1160,off] EMC_FREQ 0%@665 GR3D_FREQ 12%@114 APE 150 AO@29C "
            "CPU@30.5C GPU 466/500 CPU 465/466 SOC 932/932 CV 0/0 VDDRQ 0/0 SYS5V 1854/1854",
            Reading(
                rails_mw={"GPU": 466, "CPU": 465, "SOC": 932, "CV": 0, "VDDRQ": 0, "SYS5V": 1854},
                gpu_load_percent=12,
                ram_used_mb=1736,
                swap_used_mb=None,
                temperatures_c={"AO": 29.0, "CPU": 30.5},
            ),
            id="AGX Xavier: a rail, a field and a sensor, all called CPU",
        ),
        pytest.param(
            "VDD_GPU -392mW/-392mW VIN 15mW/16mW", Reading(rails_mw={"VDD_GPU": -392, "VIN": 15}), id="negative"
        ),
        pytest.param("VDD_IN 4385mW/3787mW/4385mW", Reading(rails_mw={"VDD_IN": 4385}), id="R39: three values"),
        pytest.param("cpu@51.9C/52.1C", Reading(temperatures_c={"cpu": 51.9}), id="R39: two temperatures"),
        pytest.param("VDD_GPU_SOC 1234mW", Reading(rails_mw={"VDD_GPU_SOC": 1234}), id="one value"),
        pytest.param("APE 150 VIC_FREQ 729 EDP limit 1912", Reading(), id="clocks are no rails"),
        pytest.param("NC 0mW/0mW VDD_IN 5mW/5mW NC 0mW/0mW", Reading(rails_mw={"VDD_IN": 5}), id="not connected"),
        pytest.param("GPU@-256C CV0@-256C tj@41.6C", Reading(temperatures_c={"tj": 41.6}), id="sentinels"),
        pytest.param("GR3D_FREQ @[314,314,314]", Reading(), id="a clock without a load"),
        pytest.param("GR3D_FREQ 63%@[621]", Reading(gpu_load_percent=63), id="a load with a list of clocks"),
        pytest.param("GR3D2_FREQ 9%@0", Reading(), id="another GPU's"),
        pytest.param("SWAP 0/0MB", Reading(swap_used_mb=0), id="a true nought"),
        pytest.param("VDD_IN 12345678901mW/1mW", Reading(), id="no reading has eleven digits"),
        pytest.param("", Reading(), id="empty"),
    ],
)
def test_traps(line: str, expected: Reading) -> None:
    assert parse(line) == expected


@given(st.text())
def test_any_text_is_read(line: str) -> None:
    assert isinstance(parse(line), Reading)


@given(st.lists(st.one_of(REAL, st.text("RAMGPUVDD_INC@%/-.0123456789mW []\t\n"), st.text()), max_size=6).map("".join))
def test_mangled_lines_are_read(line: str) -> None:
    assert isinstance(parse(line), Reading)


@given(REAL, st.data())
def test_a_line_that_is_cut_off_tells_less_but_nothing_else(line: str, data: st.DataObject) -> None:
    cut, whole = parse(line[: data.draw(st.integers(0, len(line)))]), parse(line)
    assert cut.rails_mw.items() <= whole.rails_mw.items()
    assert cut.temperatures_c.items() <= whole.temperatures_c.items()
    for field in ("gpu_load_percent", "ram_used_mb", "swap_used_mb"):
        assert getattr(cut, field) in (None, getattr(whole, field))


NAMES = st.text("ABCD0123_", min_size=1, max_size=9).map(lambda name: f"V{name}")


@given(st.dictionaries(NAMES, st.integers(-(10**6), 10**6), max_size=8), st.sampled_from(["", "mW"]), st.integers(2, 3))
def test_rails_come_back_whatever_their_form(rails: dict[str, int], unit: str, values: int) -> None:
    line = " ".join(f"{name} {'/'.join([f'{mw}{unit}', *[f'7{unit}'] * (values - 1)])}" for name, mw in rails.items())
    assert parse(f"RAM 1/2MB (lfb 1x4MB) CPU [1%@7] {line}").rails_mw == rails
