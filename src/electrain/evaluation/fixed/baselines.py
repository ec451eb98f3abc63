"""Spectra that know nothing of a structure but its numbers of atoms."""

from typing import NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from electrain.data.fixed.reading import SpectraPart
from electrain.interface.quantities import quantity_of
from electrain.spectra.element_spectra import element_spectra

from ..baselines import CONSTANT_PER_ELEMENT, TRAINING_MEAN
from .errors import num_atoms_of


class BaselineSpectra(NamedTuple):
    """Predictions for all structures of a part, and why some have none; see ``ComparedSpectra``."""

    predicted: NDArray[np.float64]
    reasons: list[str]


def baseline_spectra(train: SpectraPart, part: SpectraPart) -> dict[str, BaselineSpectra]:
    r"""Fit baselines to the training set, and predict a part with them.

    With the spectrum :math:`y_A` of a structure, divided by its number of atoms unless it belongs to the whole
    structure, the mean is :math:`\langle y_A \rangle`, and a constant per element is
    :math:`\sum_Z x_{AZ} d_Z`, with the fractions x of the elements and non-negative spectra d; see
    :func:`~electrain.spectra.element_spectra.element_spectra`.

    :param train: the training set.
    :param part: the evaluated part.
    :return: predictions in the unit of the target, by name of the baseline. A structure with an element that the
        training set lacks has none of a constant per element.
    """
    intensive = quantity_of(part.target).intensive
    sizes = (num_atoms_of(train), num_atoms_of(part))
    factors = np.ones((len(part), 1)) if intensive else sizes[1][:, None]
    whole = train.spectra * (sizes[0][:, None] if intensive else 1.0)  # so that all are sums over atoms
    known = np.isfinite(whole)
    number = known.sum(axis=0)
    # where nothing is known, there are no states
    mean = np.where(known, whole / sizes[0][:, None], 0.0).sum(axis=0) / np.maximum(number, 1)
    counts, own = _counts(train), _counts(part)
    elements = counts.any(axis=0)
    constants = element_spectra(
        torch.from_numpy(counts[:, elements]), torch.from_numpy(whole), torch.from_numpy(known)
    ).numpy()
    reasons = [_unknown(row) for row in np.where(elements, 0, own)]
    per_element = factors * ((own[:, elements] / sizes[1][:, None]) @ constants)
    per_element[[bool(reason) for reason in reasons]] = np.nan
    return {
        CONSTANT_PER_ELEMENT: BaselineSpectra(per_element, reasons),
        TRAINING_MEAN: BaselineSpectra(factors * mean, [""] * len(part)),
    }


def _counts(part: SpectraPart) -> NDArray[np.int64]:
    """Numbers of atoms of each element, shape ``(num_structures, num_elements)``, by atomic number."""
    return np.stack([np.bincount(atoms.numbers, minlength=len(chemical_symbols)) for atoms in part.structures])


def _unknown(counts: NDArray[np.int64]) -> str:
    symbols = [chemical_symbols[number] for number in np.flatnonzero(counts)]
    return f"not in the training set: {' '.join(symbols)}" if symbols else ""
