"""From a model file of somebody else's to an artifact, whose answers are compared with a reference runtime's."""
