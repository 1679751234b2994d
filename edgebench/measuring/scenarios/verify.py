"""verify: nothing is timed; the answers to a few images are held against torch's, as after each export."""

from __future__ import annotations

from edgebench.protocols import Scenario

SCENARIO = Scenario(name="verify", help="A few answers against torch's.", power="none")
