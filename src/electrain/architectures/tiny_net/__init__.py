"""TinyNet: small networks on vectors of self-returning paths of bonds."""

from .model import TinyNet
from .trainer import Trainer

__model__ = TinyNet
__trainer__ = Trainer

__authors__ = [("The electrain developers", "@electrain")]
__maintainers__ = __authors__
