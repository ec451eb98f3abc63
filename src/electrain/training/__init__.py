"""Code shared by the trainers of all architectures."""
