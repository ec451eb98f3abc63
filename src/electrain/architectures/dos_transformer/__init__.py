"""DOSTransformer: energies attend to the atoms of a structure."""

from .model import DOSTransformer
from .trainer import Trainer

__model__ = DOSTransformer
__trainer__ = Trainer

__authors__ = [("The electrain developers", "@electrain")]
__maintainers__ = __authors__
