"""Comparison of predictions with reference data and simple baselines."""

from .composition_baseline import CompositionBaseline

__all__ = ["CompositionBaseline"]
