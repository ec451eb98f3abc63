"""Predictions compared with data and with simple baselines."""

from .composition_baseline import CompositionBaseline

__all__ = ["CompositionBaseline"]
