"""What a model predicts for one structure, and its files."""
