"""From results to something a person reads."""
