"""The scenarios of `edgebench run --scenario`, one file each, found by entry point like plug-ins."""
