"""Shared by data sets that are small enough to be read, checked, split and written at once."""
