"""What `edgebench run --scenario` can ask of a model: a file each, found by entry point as those of plug-ins are."""
