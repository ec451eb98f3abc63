"""Figures: energies in eV from the Fermi level, states/eV upwards."""
