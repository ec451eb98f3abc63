"""Opening a model of either kind: of the density of states of electrons, or of a spectrum on a fixed axis."""

from pathlib import Path

from metatomic.torch import AtomisticModel

from electrain.files.models import predicted_outputs
from electrain.interface.quantities import DENSITY_OF_STATES, quantity_of

from .opening import open_model
from .predictor import ElectronicStructureModel
from .spectrum_model import SpectrumModel


def open_predictor(
    model: str | Path | AtomisticModel | None = None,
    device: str | None = None,
    *,
    target: str | None = None,
    matmul_precision: str = "highest",
    extensions_directory: str | Path | None = None,
) -> ElectronicStructureModel | SpectrumModel:
    """Open a model that predicts spectra of any kind.

    :param model: as for :class:`~electrain.calculators.ElectronicStructureModel`.
    :param device: as for the same class.
    :param target: ``mtt::dos``, or a spectrum on a fixed axis; default: ``mtt::dos`` if the model predicts it, and its
        only spectrum otherwise.
    :param matmul_precision: as for the same class.
    :param extensions_directory: as for the same class.
    :raises FileNotFoundError, OSError, ValueError: as for both classes.
    :raises ModelFileError: for a model that predicts no spectrum.
    """
    opened = open_model(model, extensions_directory)
    predicted = predicted_outputs(opened.model.capabilities())
    if target is None and (DENSITY_OF_STATES in predicted or not any(quantity_of(one).fixed_axis for one in predicted)):
        target = DENSITY_OF_STATES
    if target == DENSITY_OF_STATES:
        return ElectronicStructureModel(opened, device, matmul_precision=matmul_precision)
    return SpectrumModel(opened, device, target=target, matmul_precision=matmul_precision)
