"""Thermodynamics of the electrons along trajectories."""
