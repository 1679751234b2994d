"""Machines that are reached from a desk over ssh: setting them up, running jobs there, several at once."""
