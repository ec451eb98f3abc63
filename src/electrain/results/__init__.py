"""Predictions for one structure, and result files."""

from .electronic_structure import ElectronicStructure, Ensemble, HeatCapacity, Uncertainty
from .files import from_dict, open_writer, read_json, to_dict

__all__ = [
    "ElectronicStructure",
    "Ensemble",
    "HeatCapacity",
    "Uncertainty",
    "from_dict",
    "open_writer",
    "read_json",
    "to_dict",
]
