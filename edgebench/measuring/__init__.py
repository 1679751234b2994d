"""One job in, one result out: worker processes, launches, the timed loop, and the check of the answers."""
