"""Is one thing slower than another? Pairs, ratios and verdicts, and the vendors' own tools beside ours."""
