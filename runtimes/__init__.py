"""Runtimes open an artifact and run it: one small file each. README.md explains how to write one."""
