"""evaluate: nothing is timed; the right answers of the whole test split are counted."""

from __future__ import annotations

from edgebench.protocols import Scenario

SCENARIO = Scenario(name="evaluate", help="The right answers of the whole test split.", power="none")
