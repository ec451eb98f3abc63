"""Building blocks of networks on plain tensors: scriptable, torch only."""
