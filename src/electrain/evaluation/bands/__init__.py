"""Evaluation of bands along paths of k-points: one table with a row for each model, and examples."""
