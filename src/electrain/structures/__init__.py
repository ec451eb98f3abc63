"""Atomic structures: checks before any computation, crystal systems, and files."""
