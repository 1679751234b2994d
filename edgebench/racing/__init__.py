"""Many settings measured by turns, in rounds: which is faster, and by how much."""
