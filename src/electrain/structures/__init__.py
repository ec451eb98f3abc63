"""Atomic structures: checks before any computation, and files."""
