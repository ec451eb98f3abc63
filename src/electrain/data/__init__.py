"""From DFT calculations to data sets for training."""

from ..structures import to_system
from .calculation import Calculation
from .dataset import NothingUsableError, PreparedDataset, prepare_dataset
from .extended_xyz import Rejected, calculation_from_atoms, read_extended_xyz
from .splits import Split, split_structures
from .targets import SpectrumAxis, choose_axis, dos_target, electronic_targets, energy_target

__all__ = [
    "Calculation",
    "NothingUsableError",
    "PreparedDataset",
    "Rejected",
    "SpectrumAxis",
    "Split",
    "calculation_from_atoms",
    "choose_axis",
    "dos_target",
    "electronic_targets",
    "energy_target",
    "prepare_dataset",
    "read_extended_xyz",
    "split_structures",
    "to_system",
]
