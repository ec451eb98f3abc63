"""The interface between plain tensors and metatomic, metatensor and metatrain: names, labels, layouts, systems."""
