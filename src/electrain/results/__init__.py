"""Predictions for one structure, and result files."""

from .common_axis import Stack, stack
from .dictionaries import to_dict
from .electronic_structure import ElectronicStructure, HeatCapacity
from .files import open_writer
from .model_average import average_results
from .reading import read_json
from .spectrum import Spectrum
from .uncertainty import Ensemble, Uncertainty

__all__ = [
    "ElectronicStructure",
    "Ensemble",
    "HeatCapacity",
    "Spectrum",
    "Stack",
    "Uncertainty",
    "average_results",
    "open_writer",
    "read_json",
    "stack",
    "to_dict",
]
