"""Makes metatrain's ``llpr`` work with our models.

``mtt train`` with ``architecture: llpr`` makes an ``LLPRUncertaintyModel`` and passes it the trained model. That class
includes structures whose target is missing (NaN), computes errors of a density of states without aligning it, has only
one multiplier per target, draws ensembles that are white noise along the energy axis, and requests last-layer features
of band gap and Fermi level, which have none. An architecture has no way to change this. Therefore, an instance becomes
one of the class that its model names in a class attribute ``uncertainty``, e.g.
:class:`~electrain.uncertainty.model.SpectralUncertainty`; with any other model nothing changes.
"""

from typing import Any

from metatrain.llpr.model import LLPRUncertaintyModel

from .model import SpectralUncertainty as SpectralUncertainty


def _set_wrapped_model(self: LLPRUncertaintyModel, model: Any) -> None:
    """Replace ``LLPRUncertaintyModel.set_wrapped_model``.

    It is called whenever such a model gets its wrapped model: in training, and when a checkpoint is loaded.
    """
    uncertainty = getattr(type(model), "uncertainty", None)
    if uncertainty is None:
        _original_set_wrapped_model(self, model)
    else:
        self.__class__ = uncertainty
        uncertainty.set_wrapped_model(self, model)


# Reading a checkpoint of one of our models imports its architecture, and thereby this module.
_original_set_wrapped_model = LLPRUncertaintyModel.set_wrapped_model
LLPRUncertaintyModel.set_wrapped_model = _set_wrapped_model
