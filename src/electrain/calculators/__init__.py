"""Using exported models: from ASE structures to electronic structure."""

from electrain.files.models import ModelFileError, load_model

from .ase_calculator import ElectronicStructureCalculator
from .hot_electrons import with_hot_electrons
from .predictor import ElectronicStructureModel, in_batches
from .rotations import RotationalAverage, Rotations, average_electronic_structure
from .screening import Failed, Predicted, screen

__all__ = [
    "ElectronicStructureCalculator",
    "ElectronicStructureModel",
    "Failed",
    "ModelFileError",
    "Predicted",
    "RotationalAverage",
    "Rotations",
    "average_electronic_structure",
    "in_batches",
    "load_model",
    "screen",
    "with_hot_electrons",
]
