"""Toy: the smallest architecture there is, to show that one is a folder, and to test what all of them share.

Each atom sums up smooth functions of the distances to its neighbors, weighted by learned numbers of their elements; a
network of two layers makes features of them.
"""

from .model import Toy, Trainer

__model__ = Toy
__trainer__ = Trainer

__authors__ = [("The electrain developers", "@electrain")]
__maintainers__ = __authors__
