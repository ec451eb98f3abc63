"""What all architectures share: the model around a network, its baselines, restarts, checkpoints and export."""
