"""Notices: one table of codes, which the guide shows, and room for those of plug-ins."""

from __future__ import annotations

import re
import string

import pytest
from conftest import REPOSITORY

from edgebench.records import jsonio
from edgebench.records.notices import DISTURBING_LATENCY, DISTURBING_POWER, KINDS, Notice, notice


def test_a_notice_is_made_by_its_code_and_its_figures() -> None:
    made = notice("steal_time", share=0.0312)
    assert made.message == "the hypervisor took 3.1% of this machine's CPU time"
    assert made.remedy == "measure on a machine of your own, or repeat when its neighbours are quiet"
    assert notice("threads_differ", asked=4, used=2).remedy == "ask for what is really used: --threads 2"


@pytest.mark.parametrize("code", KINDS)
def test_a_figure_that_is_forgotten_is_an_error(code: str) -> None:
    kind = KINDS[code]
    if {name for _, name, _, _ in string.Formatter().parse(kind.message + kind.remedy) if name}:
        with pytest.raises(KeyError):
            notice(code)
    else:
        assert notice(code) == Notice(code, kind.message, kind.remedy)


def test_a_code_of_a_plug_in_is_read_and_kept() -> None:
    told = {"code": "fan_stopped", "message": "the fan of my board stood still", "remedy": "clean it"}
    assert jsonio.encode(jsonio.decode(Notice, told, "result.json")) == told


def test_the_guide_tells_of_every_code_and_of_which_disturb() -> None:
    text = " ".join((REPOSITORY / "docs" / "measuring.md").read_text().split())
    assert set(KINDS) <= set(re.findall(r"\| `([a-z0-9_]+)` \| ", text))
    left_out = re.search(r"Launches with the notice (.*?) are left out", text)
    in_the_pass = re.search(r"\| `power_pass_disturbed` \| one of (.*?) in the power pass", text)
    assert left_out and set(re.findall("`([a-z_]+)`", left_out[1])) == DISTURBING_LATENCY
    assert in_the_pass and set(re.findall("`([a-z_]+)`", in_the_pass[1])) == DISTURBING_POWER
