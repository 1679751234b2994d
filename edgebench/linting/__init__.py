"""What a target's own parser says of a model, before anything is built: asked in a process of its own."""
