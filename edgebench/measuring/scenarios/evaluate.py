"""evaluate: times nothing; counts the right answers over the whole test split."""

from __future__ import annotations

from edgebench.protocols import Scenario

SCENARIO = Scenario(
    name="evaluate", help="The number of right answers over the whole test split.", power="none", batch=16
)
