"""Files that are complete or not there, checkpoints and exported models."""
