"""Where metatrain looks for the hyperparameters of ``dos_transformer``, which are electrain's."""

from electrain.architectures.dos_transformer.documentation import ModelHypers, TrainerHypers

__all__ = ["ModelHypers", "TrainerHypers"]
