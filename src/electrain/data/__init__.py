"""From DFT calculations to data sets for training."""

from electrain.interface.ase_systems import to_system
from electrain.spectra.axis import EnergyAxis

from .calculation import Calculation, CalculationError, Rejected
from .prepare import NothingUsableError, PreparedDataset, prepare_dataset
from .readers import (
    calculation_from_atoms,
    read_abinit,
    read_calculations,
    read_extended_xyz,
    read_fhi_aims,
    read_gpaw,
    read_pymatgen_dos,
    read_quantum_espresso_text,
    read_quantum_espresso_xml,
    read_siesta,
    read_vasp,
)
from .sampled_spectrum import SampledSpectrum
from .splits import Split, split_structures
from .targets import Sample, choose_axis, dos_target, make_sample, make_targets

__all__ = [
    "Calculation",
    "CalculationError",
    "EnergyAxis",
    "NothingUsableError",
    "PreparedDataset",
    "Rejected",
    "Sample",
    "SampledSpectrum",
    "Split",
    "calculation_from_atoms",
    "choose_axis",
    "dos_target",
    "make_sample",
    "make_targets",
    "prepare_dataset",
    "read_abinit",
    "read_calculations",
    "read_extended_xyz",
    "read_fhi_aims",
    "read_gpaw",
    "read_pymatgen_dos",
    "read_quantum_espresso_text",
    "read_quantum_espresso_xml",
    "read_siesta",
    "read_vasp",
    "split_structures",
    "to_system",
]
