"""Errors of predicted spectra, as in the paper and in a form that does not depend on the choice of cell."""

from typing import NamedTuple

import torch

from .alignment import best_shift, take_window
from .losses import spectral_loss_terms


class AlignedErrors(NamedTuple):
    """Root mean square errors over structures, each at its best shift."""

    per_electron: float  # arXiv:2508.17418, eq. 10 | states eV^-1/2 electrons^-1/2; grows as sqrt(cells)
    per_atom: float  # of the DOS per atom | states eV^-1/2 atoms^-1; the same for any supercell
    num_structures: int  # structures with electrons in their trusted range; the others are excluded


def electrons_in_target(target: torch.Tensor, trusted: torch.Tensor, step: float) -> torch.Tensor:
    r"""Electrons in the trusted range of each target, :math:`n_A = \int_{E_\min}^{E_\max} dE\, y^*(E)`.

    arXiv:2508.17418, eq. 9.

    :param target: in states/eV, shape ``(batch, num_channels)``; any value where it is not trusted.
    :param trusted: bool, shape ``(batch, num_channels)``.
    :param step: distance between two channels, in eV.
    :return: number of electrons, shape ``(batch,)``.
    """
    return step * torch.where(trusted, target, 0.0).sum(dim=1)


class AlignedRMSE:
    r"""Error of many structures, accumulated batch by batch.

    ``per_electron`` is :math:`\sqrt{\mathrm{mean}_A(AL_A / n_A)}` (arXiv:2508.17418, eq. 10) and ``per_atom``
    is :math:`\sqrt{\mathrm{mean}_A(AL_A / N_A^2)}`, with the alignment term :math:`AL_A` of
    :func:`~electrain.spectra.spectral_loss_terms`, the electrons :math:`n_A` of :func:`electrons_in_target`
    and the number of atoms :math:`N_A`.

    ``sums`` holds the whole state (the sums of both means and the number of structures; float64, shape ``(3,)``): add
    the sums of two objects, or all-reduce them, before :meth:`compute`.

    :param step: distance between two channels, in eV.
    :param device: device of ``sums``.
    """

    def __init__(self, step: float, device: torch.device | str = "cpu") -> None:
        self.step = step
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(
        self, prediction: torch.Tensor, target: torch.Tensor, trusted: torch.Tensor, num_atoms: torch.Tensor
    ) -> None:
        """Add a batch.

        :param prediction: in states/eV, shape ``(batch, num_predicted)``.
        :param target: in states/eV, shape ``(batch, num_channels)``; any value where it is not trusted.
        :param trusted: bool, shape ``(batch, num_channels)``.
        :param num_atoms: shape ``(batch,)``.
        :raises ValueError: for inconsistent shapes.
        :raises TypeError: for a mask that is not bool.
        """
        if num_atoms.shape != prediction.shape[:1]:
            raise ValueError(
                f"expected one number of atoms for each of the {prediction.shape[0]} structures, "
                f"got shape {tuple(num_atoms.shape)}"
            )
        error = spectral_loss_terms(prediction.double(), target.double(), trusted, self.step).alignment
        self.add(error, electrons_in_target(target.double(), trusted, self.step), num_atoms)

    @torch.no_grad()
    def add(self, alignment: torch.Tensor, electrons: torch.Tensor, num_atoms: torch.Tensor) -> None:
        """Add a batch whose alignment terms are already known.

        :param alignment: in states^2/eV, shape ``(batch,)``.
        :param electrons: number of electrons in the trusted range of each target, shape ``(batch,)``.
        :param num_atoms: shape ``(batch,)``.
        """
        counted = electrons > 0
        # Not by selecting structures, because the host would have to wait for their number from the GPU.
        per_electron = torch.where(counted, alignment.double() / electrons, 0.0)
        per_atom = torch.where(counted, alignment.double() / num_atoms**2, 0.0)
        batch = torch.stack([per_electron.sum(), per_atom.sum(), counted.double().sum()])
        self.sums += batch.to(self.sums.device)

    def compute(self) -> AlignedErrors:
        """Return the errors of all structures so far.

        :raises ValueError: if none had electrons in its trusted range.
        """
        per_electron, per_atom, num_structures = self.sums.tolist()
        if num_structures == 0:
            raise ValueError("no structure with electrons in the trusted range of its target was added")
        return AlignedErrors(
            (per_electron / num_structures) ** 0.5, (per_atom / num_structures) ** 0.5, int(num_structures)
        )


@torch.no_grad()
def rotational_discrepancy(
    predictions: torch.Tensor, target: torch.Tensor, trusted: torch.Tensor, step: float
) -> torch.Tensor:
    r"""Spread of the predictions for rotated copies of each structure.

    .. math:: \sigma_A = \sqrt{\frac{1}{R} \sum_{r=1}^R \frac{1}{n_A} \int_{E_\min}^{E_\max} dE\,
        \big( y_r(E) - \bar y(E) \big)^2 }

    (arXiv:2508.17418, eq. 11; there, R = 38 rotations). The window is the one in which the mean prediction
    fits the target best. It is the same for all copies, so a shift between them counts as a discrepancy.

    :param predictions: in states/eV, shape ``(num_rotations, batch, num_predicted)``.
    :param target: in states/eV, shape ``(batch, num_channels)``; any value where it is not trusted.
    :param trusted: bool, shape ``(batch, num_channels)``.
    :param step: distance between two channels, in eV.
    :return: in states eV^-1/2 electrons^-1/2, shape ``(batch,)``; NaN without electrons in the trusted range.
    :raises ValueError: for inconsistent shapes.
    :raises TypeError: for a mask that is not bool.
    """
    if predictions.dim() != 3:
        raise ValueError(
            f"expected predictions of shape (num_rotations, batch, num_predicted), got {tuple(predictions.shape)}"
        )
    values = predictions.double()
    mean = values.mean(dim=0)
    shift = best_shift(mean, target, trusted)
    variance = take_window(((values - mean) ** 2).mean(dim=0), shift, target.shape[1])
    spread = step * torch.where(trusted, variance, 0.0).sum(dim=1)
    return (spread / electrons_in_target(target.double(), trusted, step)).sqrt()
