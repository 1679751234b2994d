"""What is slower in lower precision than in fp32 is not chosen, unless it was asked to be small."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_selecting import row

from edgebench.choosing.decision import Decision
from edgebench.choosing.limits import Limits
from edgebench.choosing.pick_doubts import uncounted
from edgebench.choosing.selecting import select
from edgebench.report.choice import headline, markdown
from edgebench.results.figures import Row


def two(int8_ms: float, **changes: Any) -> list[Row]:
    """A network in fp32, 10 ms, and in int8, which happens to be more accurate by chance."""
    small = row("m8", int8_ms, 0.95, precision="int8", model_size_mib=1.0, judged="loses at most 0.8 points")
    return [row("m32", 10.0, 0.9), replace(small, **changes)]


def outcomes(decision: Decision) -> dict[str, str]:
    return {c.row.model: c.outcome for c in decision.candidates}


def test_int8_that_is_slower_than_fp32_is_passed_over_and_says_why() -> None:
    decision = select(two(40.0))
    assert outcomes(decision) == {"m32": "chosen", "m8": "slower"}
    told = markdown(decision)
    assert "slower than fp32 on this runtime: latency 40.0 ms, onnx in fp32 has 10.0 ms" in told
    assert "slower: than the same network in fp32" in told


@pytest.mark.parametrize("int8_ms", [3.0, 10.1])
def test_int8_that_is_faster_or_as_fast_may_be_chosen_and_tells_what_it_loses(int8_ms: float) -> None:
    decision = select(two(int8_ms))
    assert outcomes(decision)["m8"] == "chosen"
    assert "note: int8: loses at most 0.8 points" in headline(decision)


@pytest.mark.parametrize("asked", [{"prefer": "size"}, {"limits": Limits(max_size_mb=2)}])
def test_who_asks_for_a_small_model_gets_it(asked: dict[str, Any]) -> None:
    assert outcomes(select(two(40.0), **asked))["m8"] == "chosen"


def test_fp32_of_another_network_runtime_or_number_of_threads_says_nothing() -> None:
    for changes in ({"network": "other"}, {"runtime": "openvino"}, {"threads": 7}):
        assert outcomes(select(two(40.0, **changes)))["m8"] == "chosen"


def test_where_fp32_was_not_measured_the_notice_of_the_export_decides() -> None:
    alone = two(40.0, warnings=("slower_than_fp32",))[1]
    decision = select([alone])
    assert decision.chosen is None and outcomes(decision) == {"m8": "slower"}
    assert any("as its export found" in line for line in headline(decision))


def test_a_pick_whose_answers_were_never_counted_says_so() -> None:
    """It ended with exit code 0 and "chosen", and nobody knew how good that is."""
    assert "`edgebench evaluate`" in uncounted(select([row(accuracy=None)]))
    assert uncounted(select([row()])) == "" and uncounted(select([row()], limits=Limits(max_size_mb=1))) == ""
