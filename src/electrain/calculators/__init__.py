"""Exported models at work: from ASE structures to electronic structure."""

from .ase_calculator import ElectronicStructureCalculator
from .model_file import ModelFileError, load_model
from .predictor import ElectronicStructureModel, in_batches

__all__ = ["ElectronicStructureCalculator", "ElectronicStructureModel", "ModelFileError", "in_batches", "load_model"]
