"""Sentences that a new user once had to read twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_result

from edgebench.commands import evaluate
from edgebench.measuring import correctness
from edgebench.records.notices import notice
from edgebench.report import evaluations
from edgebench.report.formats import terminal
from edgebench.report.headline import headline
from edgebench.results.rows import rows


def test_a_warning_of_several_evaluations_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    same = notice("unrepeatable", changed=1, given_again=8)
    done = [make_result(runtime=name, notices=(same,)) for name in ("onnxruntime", "openvino")]
    evaluate._say_what_is_wrong(done)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"warning: {done[0].title}; {done[1].title}: {same.message} ({same.remedy})"


def test_batches_are_listed_as_one_speaks() -> None:
    parity = replace(make_result().parity, cosine=1.0, cosine_bound=0.9, agreement_bound=1.0)
    for batches, told in (((1, 3, 8), "1, 3 and 8"), ((1, 16), "1 and 16"), ((4,), "4")):
        assert correctness.explain(replace(parity, batches=batches)).endswith(f"at batch {told}")


def test_the_column_that_compares_with_torch_says_the_same_as() -> None:
    assert [column.header for column in evaluations.table([make_result()]).columns][-2:] == [
        "in torch",
        "same as torch",
    ]


def test_what_ended_as_planned_is_not_told_as_stopped() -> None:
    """It was "status ok, stopped launches"."""
    told = headline(make_result())
    assert "status" not in told and "stop" not in told
    assert terminal(rows([make_result()]), 400).caption.endswith("stopped as planned")
