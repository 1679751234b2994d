"""verify: times nothing; compares the answers to a few images with torch's, as after each export."""

from __future__ import annotations

from edgebench.protocols import Scenario

SCENARIO = Scenario(name="verify", help="Compares a few answers with torch's.", power="none")
