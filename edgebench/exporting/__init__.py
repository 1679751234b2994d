"""From a checkpoint to an artifact in another format, whose answers are proven right."""
