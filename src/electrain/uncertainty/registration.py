"""metatrain's ``llpr`` learns how to treat our models.

``mtt train`` with ``architecture: llpr`` makes an ``LLPRUncertaintyModel`` and hands it the trained model. That class
counts structures whose target is missing (NaN), takes the error of a density of states without aligning it, has room
for one multiplier per target, draws ensembles that are white noise along the energy axis, and asks for last-layer
features of band gap and Fermi level, which have none. There is no place where an architecture could say how it wants
to be treated. So an instance becomes one of the class that its model names in a class attribute ``uncertainty``, such
as :class:`~electrain.uncertainty.model.SpectralUncertainty`; with any other model nothing changes.
"""

from typing import Any

from metatrain.llpr.model import LLPRUncertaintyModel

from .model import SpectralUncertainty as SpectralUncertainty


def _set_wrapped_model(self: LLPRUncertaintyModel, model: Any) -> None:
    """Stand in for ``LLPRUncertaintyModel.set_wrapped_model``.

    It is called wherever such a model gets its wrapped model: in training, and when a checkpoint is loaded.
    """
    uncertainty = getattr(type(model), "uncertainty", None)
    if uncertainty is None:
        _original_set_wrapped_model(self, model)
    else:
        self.__class__ = uncertainty
        uncertainty.set_wrapped_model(self, model)


# Whoever reads a checkpoint of one of our models imports its architecture, and with it this module.
_original_set_wrapped_model = LLPRUncertaintyModel.set_wrapped_model
LLPRUncertaintyModel.set_wrapped_model = _set_wrapped_model
