"""Where metatrain looks for the hyperparameters of ``pet_mad``; see ``electrain.architectures.pet_mad``."""

from electrain.architectures.pet_mad.documentation import ModelHypers, TrainerHypers

__all__ = ["ModelHypers", "TrainerHypers"]
