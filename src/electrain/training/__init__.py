"""What the trainers of all architectures share."""
