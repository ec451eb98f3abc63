"""Bandformer: bands of a crystal along a path of k-points, which attend to its atoms."""

from .model import Bandformer
from .trainer import Trainer

__model__ = Bandformer
__trainer__ = Trainer

__authors__ = [("The electrain developers", "@electrain")]
__maintainers__ = __authors__
