"""What to deploy: the fastest setting of a network, the best of many under limits, a search in a time budget."""
