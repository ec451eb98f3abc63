"""Standard deviations and ensembles of predictions, calibrated on held-out structures."""
