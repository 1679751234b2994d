"""What needs pictures and torch: datasets, networks, augmentation, the training loop, checkpoints."""
