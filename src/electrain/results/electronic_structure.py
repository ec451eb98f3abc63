"""Predictions for one structure, with units and conversions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from electrain.spectra.electronic_free_energy import check_reach
from electrain.spectra.fermi import count_electrons
from electrain.spectra.grid import EnergyGrid
from electrain.spectra.resampling import resampled
from electrain.spectra.thermal import heat_capacity
from electrain.structures.checks import formula_of

from . import conversions, dictionaries, display, files
from .uncertainty import Ensemble as Ensemble
from .uncertainty import Uncertainty as Uncertainty

if TYPE_CHECKING:
    from ase.spectrum.doscollection import GridDOSCollection
    from ase.spectrum.dosdata import GridDOSData
    from matplotlib.axes import Axes
    from pandas import DataFrame
    from pymatgen.electronic_structure.dos import Dos


# A density of states with this fraction more or fewer electrons up to the Fermi level is clearly wrong.
_MISCOUNTED = 0.1


def miscounts(num_electrons: float, expected: float) -> bool:
    """Whether the number of electrons up to a predicted Fermi level is clearly wrong."""
    return abs(num_electrons - expected) > _MISCOUNTED * expected


class HeatCapacity(NamedTuple):
    """Heat capacity of the electrons at several temperatures."""

    temperatures: NDArray[np.float64]  # (num_temperatures,) | K
    values: NDArray[np.float64]  # (num_temperatures,) | eV/K
    uncertainty: NDArray[np.float64] | None  # (num_temperatures,) | eV/K
    ensemble: NDArray[np.float64] | None  # (num_members, num_temperatures) | eV/K


@dataclass(frozen=True, eq=False, repr=False)
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
    :param uncertainty: standard deviations, for a model calibrated with metatrain's ``llpr``, or several models.
    :param ensemble: ensemble of predictions, for such a model with an ensemble of the density of states, or the
        predictions of several models.
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
        return count_electrons(torch.from_numpy(self.density_of_states), self.grid, energy=0.0)

    def heat_capacity(self, temperatures: float | Sequence[float]) -> HeatCapacity:
        """Heat capacity of the electrons in a rigid density of states; see :mod:`electrain.spectra.thermal`.

        The number of electrons is the integral up to the predicted Fermi level, for each member of the ensemble up to
        its own. Predictions slightly below zero count as zero.

        :param temperatures: in K.
        :raises ValueError: for a model without a Fermi level, if the energies end less than 10 kB T above it, and as
            for :func:`electrain.spectra.heat_capacity`.
        """
        if self.fermi_level is None:
            raise ValueError("the heat capacity needs a Fermi level, but the model predicts none")
        kelvin = torch.tensor(np.atleast_1d(temperatures), dtype=torch.float64)
        check_reach(max(kelvin.tolist(), default=0.0), float(self.energies[-1]))

        def capacity(spectrum: NDArray[np.float64], level: float) -> NDArray[np.float64]:
            states = torch.from_numpy(spectrum).clamp_min(0.0)
            electrons = count_electrons(states, self.grid, energy=level)
            return heat_capacity(states, self.grid, electrons, kelvin).numpy()

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
        local = self.local()
        symbols = np.array(self.atoms.get_chemical_symbols())
        return {symbol: local[symbols == symbol].sum(axis=0) for symbol in dict.fromkeys(symbols.tolist())}

    def on_axis(self, energies: NDArray[np.float64] | Sequence[float]) -> "ElectronicStructure":
        """Return the same result on other energies; the number of states does not change.

        See :func:`electrain.spectra.resampling.resampled`. :func:`electrain.results.stack` does it for several results.

        :param energies: equidistant energies in eV, with the zero of this result's, at least two; they may start below
            this result's energies, where the density of states is zero, but not end above them.
        :raises ValueError: for other energies.
        """
        axis = np.asarray(energies, dtype=np.float64)
        new = _grid_of(axis)
        old = self.grid
        uncertainty, ensemble, local = self.uncertainty, self.ensemble, self.local_density_of_states
        if uncertainty is not None:
            # Deviations are no states, which could be counted: between channels they are interpolated.
            spread = np.interp(axis, self.energies, uncertainty.density_of_states, left=0.0)
            uncertainty = uncertainty._replace(density_of_states=spread)
        if ensemble is not None:
            ensemble = ensemble._replace(density_of_states=resampled(ensemble.density_of_states, old, new))
        return replace(
            self,
            energies=axis,
            density_of_states=resampled(self.density_of_states, old, new),
            local_density_of_states=None if local is None else resampled(local, old, new),
            uncertainty=uncertainty,
            ensemble=ensemble,
        )

    def to_ase(self) -> "GridDOSData":
        """Convert the density of states of the whole structure for :mod:`ase.spectrum`."""
        return conversions.to_ase(self)

    def to_ase_collection(self) -> "GridDOSCollection":
        """Convert the local density of states for :mod:`ase.spectrum`, one entry per atom.

        Entries have the keys ``symbol`` and ``index``; ``collection.sum_by("symbol")`` gives the sum for each element.

        :raises ValueError: without a local density of states.
        """
        return conversions.to_ase_collection(self)

    def to_pymatgen(self) -> "Dos":
        """Convert to a pymatgen ``CompleteDos`` (three periodic directions) or ``Dos`` (otherwise).

        The Fermi level is at 0 eV, as in ``energies``. A local density of states becomes that of the sites
        (``get_site_dos``, ``get_element_dos``). The model does not resolve it by orbitals, which pymatgen expects, so
        all of it is stored as ``Orbital.s``: do not use ``get_spd_dos`` and its like.

        :raises ImportError: if pymatgen is not installed.
        :raises ValueError: for a model without a Fermi level, which pymatgen needs.
        """
        return conversions.to_pymatgen(self)

    def to_pandas(self) -> "DataFrame":
        """Convert to a ``pandas.DataFrame`` with one row per energy (the index, in eV).

        The columns have their units in their names: the density of states, its uncertainty, and the local density of
        states of each atom, if they were predicted. Formula, band gap and Fermi level are in ``attrs``.

        :raises ImportError: if pandas is not installed.
        """
        return conversions.to_pandas(self)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain Python types, ready for JSON; :meth:`from_dict` is the inverse, to the last digit.

        Units are in the keys, which are those of the files that ``electrain dos`` writes. Of ``atoms``, it contains
        elements, positions, cell, periodic directions, charge and spin multiplicity.
        """
        return dictionaries.to_dict(self, with_ensemble=True)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ElectronicStructure":
        """Restore a result from :meth:`to_dict`.

        :raises KeyError: if something is missing.
        """
        return cls(**dictionaries.read_fields(content))

    def save(self, path: str | Path) -> None:
        """Write the result to a JSON file, for :meth:`load`, or a CSV table; an existing file is replaced.

        :param path: must end with ``.json`` or ``.csv``.
        :raises ValueError: for another ending.
        :raises OSError: if the file cannot be written.
        """
        with files.open_writer(path, with_ensemble=True) as writer:
            writer.write(self, self.formula)

    @classmethod
    def load(cls, path: str | Path) -> "ElectronicStructure":
        """Read the result in a JSON file written by :meth:`save`, or by ``electrain dos`` for one structure.

        :raises FileNotFoundError: if the file does not exist.
        :raises ValueError: for another file, or one with several results, for which there is
            :func:`electrain.results.read_json`.
        """
        contents = files.read_contents(path)
        if len(contents) != 1:
            raise ValueError(
                f"expected one result in {path}, found {len(contents)}; electrain.results.read_json reads all of them"
            )
        return cls.from_dict(contents[0])

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Plot the density of states, and return the axes.

        :param ax: axes to draw in, also on top of other results; default: those of a new pyplot figure.
        :param options: ``window`` and ``title`` of :func:`electrain.plots.spectra.plot_density_of_states`, and options
            of matplotlib for the line, such as ``color``, ``label`` and ``linewidth``.
        """
        from electrain.plots.spectra import plot_density_of_states

        return plot_density_of_states(self, ax, **options)

    def __repr__(self) -> str:
        return display.as_line(self)

    def __str__(self) -> str:
        return display.as_text(self)

    def _repr_html_(self) -> str:
        return display.as_html(self)

    @property
    def grid(self) -> EnergyGrid:
        """The grid of ``energies``."""
        return _grid_of(self.energies)

    def local(self) -> NDArray[np.float64]:
        """Return the local density of states, shape ``(num_atoms, num_channels)``, in states/eV.

        :raises ValueError: if it was not requested.
        """
        if self.local_density_of_states is None:
            raise ValueError("no local density of states was predicted; request it with per_atom=True")
        return self.local_density_of_states


def _grid_of(energies: NDArray[np.float64]) -> EnergyGrid:
    """Return the grid of equidistant energies; raise a ``ValueError`` for others."""
    steps = np.diff(energies) if energies.ndim == 1 else np.zeros(0)
    if len(steps) == 0 or not (steps > 0).all() or np.ptp(steps) > 1e-4 * steps[0]:
        raise ValueError(f"expected equidistant, ascending energies, at least two, got {energies}")
    return EnergyGrid(float(energies[0]), float(energies[-1] - energies[0]) / len(steps), len(energies))
