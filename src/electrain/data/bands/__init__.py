"""Data sets of bands along paths of k-points: from band structures to input for ``mtt train``."""

from .prepare import prepare_bands
from .readers import read_bands
from .settings import LearnedBands, PreparedBands

__all__ = ["LearnedBands", "PreparedBands", "prepare_bands", "read_bands"]
