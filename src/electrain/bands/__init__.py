"""Electronic bands along paths of k-points: band edges, targets to learn, and conversions."""

from .band_structure import BandStructure

__all__ = ["BandStructure"]
