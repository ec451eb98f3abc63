"""Several models that are evaluated as one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.calculators import ElectronicStructureEnsemble
from electrain.calculators.ensemble import check_files

from .evaluated_model import EvaluatedModel, PredictedEnergy


def check_ensemble(models: Sequence[str | Path], training_sizes: Sequence[int]) -> None:
    """Raise a ``ValueError`` unless models can form an ensemble, as far as this can be seen without opening them."""
    check_files(models)
    if training_sizes:
        raise ValueError("expected an ensemble or numbers of training structures for a learning curve, got both")


class EvaluatedEnsemble(EvaluatedModel):
    """The mean of several models, with their spread as uncertainty.

    Densities of states are aligned before (:class:`~electrain.calculators.ElectronicStructureEnsemble`); energies and
    their derivatives have a common zero.

    :param models: at least two models, opened for the same part of a data set.
    :raises ValueError: for models that differ in their energy axes, elements, quantities or inputs.
    """

    def __init__(self, models: Sequence[EvaluatedModel]) -> None:
        first = models[0]
        for model in models[1:]:
            if model.quantities != first.quantities:
                raise ValueError(
                    f"expected models of the same quantities for an ensemble, but {first.name} predicts "
                    f"{' and '.join(first.quantities)} and {model.name} {' and '.join(model.quantities)}"
                )
        self.name = f"the ensemble of {', '.join(model.name for model in models)}"
        self.quantities = first.quantities
        self._members, self._batch_size = models, first._batch_size
        electronic = [model.electronic for model in models if model.electronic is not None]
        self.electronic = ElectronicStructureEnsemble(electronic) if electronic else None

    def check(self, atoms: Atoms) -> None:
        """Raise a ``ValueError`` for a structure that the models cannot compute; the other methods do not check."""
        for model in self._members[:1] if self.electronic is not None else self._members:
            model.check(atoms)

    def energies(self, structures: Sequence[Atoms]) -> Iterator[PredictedEnergy | None]:
        """Predict energies, forces and stresses: the means of those of the models."""
        for predicted in zip(*(model.energies(structures) for model in self._members), strict=True):
            known = [energy for energy in predicted if energy is not None]
            yield _mean(known) if known else None


def _mean(energies: Sequence[PredictedEnergy]) -> PredictedEnergy:
    values = np.array([item.energy for item in energies])
    own = [item.uncertainty**2 for item in energies if item.uncertainty is not None]
    variance = np.var(values, ddof=1) + (np.mean(own) if own else 0.0)
    return PredictedEnergy(
        float(values.mean()),
        _mean_array([item.forces for item in energies]),
        _mean_array([item.stress for item in energies]),
        float(np.sqrt(variance)),
    )


def _mean_array(arrays: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    known = [array for array in arrays if array is not None]
    return np.mean(known, axis=0) if known else None
