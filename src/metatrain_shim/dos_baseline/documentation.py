"""Where metatrain looks for the hyperparameters of ``dos_baseline``, which are electrain's."""

from electrain.architectures.dos_baseline.documentation import ModelHypers, TrainerHypers

__all__ = ["ModelHypers", "TrainerHypers"]
