"""This computer: what it is, the state it is in, what it draws, and which adapters are installed."""
