"""One job in, one result out: processes, launches, the timed loop, and whether the answers are right."""
