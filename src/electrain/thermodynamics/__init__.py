"""Thermodynamics of the electrons along trajectories, and of the phonons of structures."""
