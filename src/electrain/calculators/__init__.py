"""Using exported models: from ASE structures to electronic structure and spectra."""

from electrain.files.models import ModelFileError, load_model

from .ase_calculator import ElectronicStructureCalculator
from .band_model import BandModel, PredictedBands
from .batches import in_batches
from .choosing import open_predictor
from .ensemble import ElectronicStructureEnsemble
from .hot_electrons import with_hot_electrons
from .predictor import ElectronicStructureModel
from .rotations import RotationalAverage, Rotations, average_electronic_structure
from .screening import Failed, Predicted, screen
from .spectrum_model import SpectrumModel
from .unread_inputs import UnreadInputs, UnreadInputWarning

__all__ = [
    "BandModel",
    "ElectronicStructureCalculator",
    "ElectronicStructureEnsemble",
    "ElectronicStructureModel",
    "Failed",
    "ModelFileError",
    "Predicted",
    "PredictedBands",
    "RotationalAverage",
    "Rotations",
    "SpectrumModel",
    "UnreadInputWarning",
    "UnreadInputs",
    "average_electronic_structure",
    "in_batches",
    "load_model",
    "open_predictor",
    "screen",
    "with_hot_electrons",
]
