"""Predictions for one structure, with units and conversions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.spectrum.doscollection import GridDOSCollection
from ase.spectrum.dosdata import GridDOSData
from numpy.typing import NDArray

from electrain.spectra.fermi import count_electrons
from electrain.spectra.grid import EnergyGrid
from electrain.spectra.thermal import heat_capacity
from electrain.structures.checks import formula_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pymatgen.electronic_structure.dos import Dos


# A density of states with this fraction more or fewer electrons up to the Fermi level is clearly wrong.
_MISCOUNTED = 0.1


def miscounts(num_electrons: float, expected: float) -> bool:
    """Whether the number of electrons up to a predicted Fermi level is clearly wrong."""
    return abs(num_electrons - expected) > _MISCOUNTED * expected


class Uncertainty(NamedTuple):
    """Standard deviations of a prediction, calibrated on structures that the model was not trained on.

    The density of states is compared with calculations at the best rigid shift, so its uncertainty does not include
    that of the Fermi level.
    """

    density_of_states: NDArray[np.float64]  # (num_channels,) | states/eV
    band_gap: float | None = None  # eV, for the gap before it is cut off at zero
    fermi_level: float | None = None  # eV


class Ensemble(NamedTuple):
    """Equally likely predictions around the best one, for propagating uncertainties to derived quantities.

    Members with the same index belong together.
    """

    density_of_states: NDArray[np.float64]  # (num_members, num_channels) | states/eV, on the energies of the prediction
    band_gap: NDArray[np.float64] | None = None  # (num_members,) | eV
    fermi_level: NDArray[np.float64] | None = None  # (num_members,) | eV, on the model's own energy axis


class HeatCapacity(NamedTuple):
    """Heat capacity of the electrons at several temperatures."""

    temperatures: NDArray[np.float64]  # (num_temperatures,) | K
    values: NDArray[np.float64]  # (num_temperatures,) | eV/K
    uncertainty: NDArray[np.float64] | None  # (num_temperatures,) | eV/K
    ensemble: NDArray[np.float64] | None  # (num_members, num_temperatures) | eV/K


@dataclass(frozen=True, eq=False)
class ElectronicStructure:
    """Predicted density of states, band gap and Fermi level of one structure.

    :param atoms: the structure.
    :param energies: equidistant energies in eV, shape ``(num_channels,)``. Zero is the Fermi level, or, for a model
        that predicts none (``fermi_level`` is ``None``), the arbitrary zero of the model's own axis.
    :param density_of_states: density of states of the whole structure, shape ``(num_channels,)``, in states/eV, with
        two states per orbital (both spins).
    :param band_gap: band gap in eV, 0 for a metal; ``None`` if the model does not predict it.
    :param fermi_level: Fermi level in eV on the model's own energy axis. It has no meaning apart from that axis, and is
        already subtracted from ``energies``. ``None`` if the model does not predict it.
    :param smearing: standard deviation of the Gaussians in the training data, in eV, if the model stores it.
    :param local_density_of_states: contribution of each atom, shape ``(num_atoms, num_channels)``, in states/eV; its
        sum over the atoms is ``density_of_states``. ``None`` if it was not requested.
    :param uncertainty: standard deviations, for a model calibrated with metatrain's ``llpr``.
    :param ensemble: ensemble of predictions, for such a model with an ensemble of the density of states.
    """

    atoms: Atoms
    energies: NDArray[np.float64]
    density_of_states: NDArray[np.float64]
    band_gap: float | None = None
    fermi_level: float | None = None
    smearing: float | None = None
    local_density_of_states: NDArray[np.float64] | None = None
    uncertainty: Uncertainty | None = None
    ensemble: Ensemble | None = None

    @property
    def formula(self) -> str:
        """Chemical formula, not reduced, with metals first."""
        return formula_of(self.atoms)

    @property
    def relative_to_fermi_level(self) -> bool:
        """Whether the zero of ``energies`` is the Fermi level."""
        return self.fermi_level is not None

    @property
    def num_electrons(self) -> float | None:
        """Number of electrons up to the predicted Fermi level; ``None`` without a Fermi level.

        Compare it with the number of valence electrons in the training data: the closer it is, the better density of
        states and Fermi level agree.
        """
        if self.fermi_level is None:
            return None
        return count_electrons(torch.from_numpy(self.density_of_states), self._grid(), energy=0.0)

    def heat_capacity(self, temperatures: float | Sequence[float]) -> HeatCapacity:
        """Heat capacity of the electrons in a rigid density of states; see :mod:`electrain.spectra.thermal`.

        The number of electrons is the integral up to the predicted Fermi level, for each member of the ensemble up to
        its own. Predictions slightly below zero count as zero.

        :param temperatures: in K.
        :raises ValueError: for a model without a Fermi level, and as for :func:`electrain.spectra.heat_capacity`.
        """
        if self.fermi_level is None:
            raise ValueError("the heat capacity needs a Fermi level, but the model predicts none")
        kelvin = torch.tensor(np.atleast_1d(temperatures), dtype=torch.float64)

        def capacity(spectrum: NDArray[np.float64], level: float) -> NDArray[np.float64]:
            states = torch.from_numpy(spectrum).clamp_min(0.0)
            electrons = count_electrons(states, self._grid(), energy=level)
            return heat_capacity(states, self._grid(), electrons, kelvin).numpy()

        values = capacity(self.density_of_states, 0.0)
        members = None
        if self.ensemble is not None and self.ensemble.fermi_level is not None:
            levels = self.ensemble.fermi_level - self.fermi_level
            pairs = zip(self.ensemble.density_of_states, levels, strict=True)
            members = np.array([capacity(spectrum, float(level)) for spectrum, level in pairs])
        spread = None if members is None else members.std(axis=0, ddof=1)
        return HeatCapacity(kelvin.numpy(), values, spread, members)

    def element_density_of_states(self) -> dict[str, NDArray[np.float64]]:
        """Sum the local density of states over the atoms of each element.

        :return: densities of states by chemical symbol, each of shape ``(num_channels,)``, in states/eV.
        :raises ValueError: without a local density of states.
        """
        local = self._local()
        symbols = np.array(self.atoms.get_chemical_symbols())
        return {symbol: local[symbols == symbol].sum(axis=0) for symbol in dict.fromkeys(symbols.tolist())}

    def to_ase(self) -> GridDOSData:
        """Convert the density of states of the whole structure for :mod:`ase.spectrum`."""
        return GridDOSData(self.energies, self.density_of_states, info={"label": self.formula})

    def to_ase_collection(self) -> GridDOSCollection:
        """Convert the local density of states for :mod:`ase.spectrum`, one entry per atom.

        Entries have the keys ``symbol`` and ``index``; ``collection.sum_by("symbol")`` gives the sum for each element.

        :raises ValueError: without a local density of states.
        """
        symbols = self.atoms.get_chemical_symbols()
        return GridDOSCollection(
            [
                GridDOSData(self.energies, values, info={"symbol": symbols[index], "index": str(index)})
                for index, values in enumerate(self._local())
            ]
        )

    def to_pymatgen(self) -> "Dos":
        """Convert to a pymatgen ``CompleteDos`` (three periodic directions) or ``Dos`` (otherwise).

        The Fermi level is at 0 eV, as in ``energies``. The local density of states is left out, because pymatgen
        resolves it by orbitals, which the model does not predict.

        :raises ImportError: if pymatgen is not installed.
        :raises ValueError: for a model without a Fermi level, which pymatgen needs.
        """
        try:
            from pymatgen.electronic_structure.core import Spin
            from pymatgen.electronic_structure.dos import CompleteDos, Dos
            from pymatgen.io.ase import AseAtomsAdaptor
        except ImportError as error:
            raise ImportError("to_pymatgen() needs pymatgen: pip install electrain[pymatgen]") from error
        if not self.relative_to_fermi_level:
            raise ValueError("pymatgen needs a Fermi level, but the model predicts none")
        total = Dos(0.0, self.energies, {Spin.up: self.density_of_states})
        if not self.atoms.pbc.all():
            return total
        plain = Atoms(self.atoms.numbers, positions=self.atoms.positions, cell=self.atoms.cell, pbc=True)
        return CompleteDos(AseAtomsAdaptor.get_structure(plain), total, {})

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Plot the density of states; see :func:`electrain.plots.spectra.plot_density_of_states` for the options."""
        from electrain.plots.spectra import plot_density_of_states

        return plot_density_of_states(self, ax, **options)

    def _grid(self) -> EnergyGrid:
        step = float(self.energies[-1] - self.energies[0]) / (len(self.energies) - 1)
        return EnergyGrid(float(self.energies[0]), step, len(self.energies))

    def _local(self) -> NDArray[np.float64]:
        if self.local_density_of_states is None:
            raise ValueError("no local density of states was predicted; request it with per_atom=True")
        return self.local_density_of_states
