"""Exporters turn an artifact into another format: one small file each. README.md explains how to write one."""
