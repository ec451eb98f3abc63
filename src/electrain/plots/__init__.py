"""Figures of spectra and errors."""
