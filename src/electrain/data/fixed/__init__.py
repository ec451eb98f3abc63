"""Data sets of spectra on a fixed axis: from tables, phonopy and pymatgen files to input for ``mtt train``."""

from .prepare import prepare_spectra
from .settings import PreparedSpectra
from .spectrum import FixedSpectrum

__all__ = ["FixedSpectrum", "PreparedSpectra", "prepare_spectra"]
