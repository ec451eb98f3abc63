"""Models side by side in one table: what the evaluations of spectra on a fixed axis and of bands share."""
