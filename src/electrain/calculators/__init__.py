"""Exported models at work: from ASE structures to electronic structure."""

from electrain.files.models import ModelFileError, load_model

from .ase_calculator import ElectronicStructureCalculator
from .hot_electrons import with_hot_electrons
from .predictor import ElectronicStructureModel, in_batches
from .rotations import RotationalAverage, Rotations, average_electronic_structure

__all__ = [
    "ElectronicStructureCalculator",
    "ElectronicStructureModel",
    "ModelFileError",
    "RotationalAverage",
    "Rotations",
    "average_electronic_structure",
    "in_batches",
    "load_model",
    "with_hot_electrons",
]
