"""Models that are known by name: embedded ones, whose files come with electrain, and published ones to download."""

from .names import DEFAULT, KnownModel, Located, checkpoint_in_place_of, default_name, known_models, locate

__all__ = [
    "DEFAULT",
    "KnownModel",
    "Located",
    "checkpoint_in_place_of",
    "default_name",
    "known_models",
    "locate",
]
