"""Atomic structures: checks before anything is computed, and files."""
