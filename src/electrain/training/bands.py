"""Loss and errors of bands: their centers and their dispersions."""

from collections.abc import Mapping
from typing import Any

import torch
from metatomic.torch import System

from electrain.interface.band_labels import BandsShape

from .processes import Process
from .terms import Evaluated, Maps


class BandsLoss:
    r"""Mean over structures of :math:`\mathcal{L}_1 + \lambda \mathcal{L}_2`, as in the paper of Bandformer.

    .. math::
        \mathcal{L}_1 = \langle |\Delta c_n| \rangle_n, \qquad
        \mathcal{L}_2 = \langle |\Delta d_{nk}| \rangle_{nk}, \qquad
        c_n = \langle E_{nk} \rangle_k, \qquad d_{nk} = E_{nk} - c_n

    in eV, with the difference :math:`\Delta` of prediction and target. As :math:`|\Delta E| \le |\Delta c| + |\Delta
    d|`, the loss is at least the mean absolute error of the energies for :math:`\lambda \ge 1`. Energies that are NaN
    in a target count in no mean, neither its own nor those of the prediction.

    :param target: name of the target.
    :param shape: numbers of bands and k-points.
    :param weight: weight of this target in the total loss.
    :param dispersion_weight: :math:`\lambda`.
    """

    num_means = 1

    def __init__(self, target: str, shape: BandsShape, *, weight: float = 1.0, dispersion_weight: float = 1.0) -> None:
        self.targets: tuple[str, ...] = (target,)
        self.shape, self.weight, self.dispersion_weight = shape, weight, dispersion_weight

    @classmethod
    def from_options(cls, target: str, shape: BandsShape, options: Mapping[str, Any], _: bool) -> "BandsLoss":
        """Read a target's entry in the options file.

        metatrain fills in ``type: mse``, ``reduction`` and ``gradients`` if nothing was chosen, and passes a loss
        chosen for all targets to each of them, so pointwise types are ignored here.

        :raises ValueError: for another type, or an option that this loss does not have.
        """
        if options.get("type", "mse") not in ("mse", "mae", "huber", "bands"):
            raise ValueError(f"the loss of {target!r} is always 'bands', got {options['type']!r}")
        if options.get("reduction", "mean") != "mean":
            raise ValueError(
                f"the loss of {target!r} is a mean over structures, got reduction {options['reduction']!r}"
            )
        own = {name: value for name, value in options.items() if name not in ("type", "reduction", "gradients")}
        unknown = sorted(set(own) - {"weight", "dispersion_weight"})
        if unknown:
            raise ValueError(
                f"unknown option(s) {unknown} in the loss of {target!r}; expected weight and dispersion_weight"
            )
        return cls(target, shape, **own)

    def __call__(self, predictions: Maps, targets: Maps, systems: list[System]) -> Evaluated:
        """Compare bands; NaN in a target is unknown."""
        (name,) = self.targets
        target = targets[name].block().values.reshape(-1, *self.shape)
        known = ~torch.isnan(target)
        differences = predictions[name].block().values.reshape(-1, *self.shape) - target
        differences = torch.where(known, differences, 0.0)
        number = known.sum(dim=2, keepdim=True)
        # the center of the difference is the difference of the centers
        centers = differences.sum(dim=2, keepdim=True) / number.clamp_min(1)
        dispersions = torch.where(known, differences - centers, 0.0)
        num_bands, num_energies = (number > 0).sum(dim=(1, 2)), number.sum(dim=(1, 2))
        of_centers = centers.abs().sum(dim=(1, 2)) / num_bands.clamp_min(1)
        of_dispersions = dispersions.abs().sum(dim=(1, 2)) / num_energies.clamp_min(1)
        counted = num_energies > 0
        per_structure = of_centers + self.dispersion_weight * of_dispersions  # zero where nothing is known
        mean = per_structure.sum() / counted.sum().clamp_min(1)
        with torch.no_grad():
            energies = differences.double().abs().sum(dim=(1, 2)) / num_energies.clamp_min(1)
            squares = differences.double().square().sum(dim=(1, 2)) / num_energies.clamp_min(1)
            errors = torch.stack([energies, squares, of_centers.double(), of_dispersions.double()])[:, counted]
        return Evaluated((self.weight * mean).unsqueeze(0), counted.sum().unsqueeze(0), (errors,), {})

    def new_errors(self, process: Process) -> "BandsErrors":
        """Return the object that accumulates the errors of energies, centers and dispersions."""
        return BandsErrors(self.targets[0], process)


class BandsErrors:
    """Errors in eV: of energies (MAE and RMSE), centers and dispersions (MAE); means over structures.

    :param target: name of the target.
    :param process: this process; sums are shared with the others in distributed training.
    """

    def __init__(self, target: str, process: Process) -> None:
        self._target, self._process = target, process
        self._sums = torch.zeros(5, dtype=torch.float64, device=process.device)

    def add(self, errors: torch.Tensor) -> None:
        """Add a batch: (4, num_structures) MAE and MSE of energies, MAE of centers and of dispersions."""
        number = torch.full_like(errors[0, :1], errors.shape[1]) if errors.shape[1] else errors.new_zeros(1)
        self._sums += torch.cat([errors.sum(dim=1), number])

    def finalize(self) -> dict[str, float]:
        """See :class:`~electrain.training.terms.Errors`."""
        self._process.add_up(self._sums)
        *sums, number = self._sums.tolist()
        if number == 0:
            return {}
        energies, squares, centers, dispersions = (total / number for total in sums)
        return {
            f"{self._target} MAE [eV]": energies,
            f"{self._target} RMSE [eV]": squares**0.5,
            f"{self._target} centers MAE [eV]": centers,
            f"{self._target} dispersions MAE [eV]": dispersions,
        }
