"""Evaluation of spectra on a fixed axis: one table with a row for each model, and examples."""
