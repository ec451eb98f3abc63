"""Electronic bands along paths of k-points: band edges, targets to learn, and conversions."""

from .band_structure import BandStructure
from .gaps import BandEdge, BandGap, band_gap
from .k_paths import KPath, k_path, unique_points
from .masses import EffectiveMass, effective_masses
from .resampling import resampled
from .targets import band_window, bands_of_window, centers_and_dispersions

__all__ = [
    "BandEdge",
    "BandGap",
    "BandStructure",
    "EffectiveMass",
    "KPath",
    "band_gap",
    "band_window",
    "bands_of_window",
    "centers_and_dispersions",
    "effective_masses",
    "k_path",
    "resampled",
    "unique_points",
]
