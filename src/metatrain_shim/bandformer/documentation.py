"""Where metatrain looks for the hyperparameters of ``bandformer``, which are electrain's."""

from electrain.architectures.bandformer.documentation import ModelHypers, TrainerHypers

__all__ = ["ModelHypers", "TrainerHypers"]
