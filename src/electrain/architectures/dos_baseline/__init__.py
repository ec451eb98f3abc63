"""Baselines for densities of states and other spectra."""

from .model import DOSBaseline
from .trainer import Trainer

__model__ = DOSBaseline
__trainer__ = Trainer

__authors__ = [("The electrain developers", "@electrain")]
__maintainers__ = __authors__
