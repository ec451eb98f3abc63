"""Electronic structure of molecules and materials, learned with the Point Edge Transformer."""

__version__ = "0.1.0"
