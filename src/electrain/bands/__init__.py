"""Electronic bands along paths of k-points: band edges, targets to learn, and conversions."""

from .band_structure import BandStructure
from .k_paths import KPath, k_path, unique_points

__all__ = ["BandStructure", "KPath", "k_path", "unique_points"]
