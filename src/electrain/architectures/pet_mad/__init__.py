"""PET-MAD and PET-MAD-DOS: the Point Edge Transformer for energies and for densities of states."""

from .model import PETMAD
from .trainer import Trainer

__model__ = PETMAD
__trainer__ = Trainer

__authors__ = [("The electrain developers", "@electrain")]
__maintainers__ = __authors__
