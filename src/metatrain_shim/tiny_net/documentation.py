"""Where metatrain looks for the hyperparameters of ``tiny_net``, which are electrain's."""

from electrain.architectures.tiny_net.documentation import ModelHypers, TrainerHypers

__all__ = ["ModelHypers", "TrainerHypers"]
