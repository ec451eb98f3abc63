"""metatrain's ``llpr`` learns how to treat our models.

``mtt train`` with ``architecture: llpr`` makes an ``LLPRUncertaintyModel`` and hands it the trained model. That class
counts structures whose target is missing (NaN), takes the error of a density of states without aligning it, has room
for one multiplier per target, draws ensembles that are white noise along the energy axis, and asks for last-layer
features of band gap and Fermi level, which have none. There is no place where an architecture could say how it wants
to be treated. So an instance that is given a model with :class:`LinearLastLayers` becomes a
:class:`~electrain.uncertainty.model.SpectralUncertainty`; with any other model nothing changes.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from metatomic.torch import AtomisticModel, ModelOutput
from metatrain.llpr.model import LLPRUncertaintyModel
from metatrain.utils.data import DatasetInfo

from electrain.spectra.axis import EnergyAxis

from .model import SpectralUncertainty


@runtime_checkable
class LinearLastLayers(Protocol):
    """What a model must offer for its uncertainties to be computed here."""

    axis: EnergyAxis | None
    last_layer_feature_size: int
    last_layer_parameter_names: dict[str, list[str]]  # by target, none where the last layer is not linear
    read_from: dict[str, str]  # target -> spectrum that it is read from
    spectrum_heads: torch.nn.ModuleDict  # by target: what is read from the density of states
    layouts: torch.nn.ModuleDict  # by target
    dataset_info: DatasetInfo

    def export(self) -> AtomisticModel:
        """A metatomic model."""

    def supported_outputs(self) -> dict[str, ModelOutput]:
        """All outputs."""


def _set_wrapped_model(self: LLPRUncertaintyModel, model: Any) -> None:
    """Stand in for ``LLPRUncertaintyModel.set_wrapped_model``.

    It is called wherever such a model gets its wrapped model: in training, and when a checkpoint is loaded.
    """
    if isinstance(model, LinearLastLayers):
        self.__class__ = SpectralUncertainty
        SpectralUncertainty.set_wrapped_model(self, model)
    else:
        _original_set_wrapped_model(self, model)


# Whoever reads a checkpoint of one of our models imports its architecture, and with it this module.
_original_set_wrapped_model = LLPRUncertaintyModel.set_wrapped_model
LLPRUncertaintyModel.set_wrapped_model = _set_wrapped_model
