"""Code shared by all architectures: the model around a network, its baselines, restarts, checkpoints and export."""
