"""Data sets of bands along paths of k-points."""

from .readers import read_bands

__all__ = ["read_bands"]
