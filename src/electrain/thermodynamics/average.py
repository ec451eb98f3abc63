"""Density of states and electronic thermodynamics, averaged over the frames of a trajectory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from electrain.results import ElectronicStructure
from electrain.spectra import (
    ElectronicQuantities,
    EnergyGrid,
    count_electrons,
    electronic_quantities,
    heat_capacity_by_differences,
)
from electrain.spectra.electronic_free_energy import check_reach
from electrain.spectra.fermi import BOLTZMANN
from electrain.spectra.postprocessing import interpolated

from .block_averages import BlockAverages, Blocks, jackknife, jackknife_error

# Each of them takes a few milliseconds for every block of frames and every member of the ensemble.
MAX_TEMPERATURES = 2_000
_REACH = 80.0  # kB T: states further away from the Fermi level are full or empty


class Estimate(NamedTuple):
    """A quantity and its errors, one standard deviation each."""

    values: NDArray[np.float64]
    statistical_error: NDArray[np.float64] | None  # of the mean over frames; None for fewer than two blocks
    model_uncertainty: NDArray[np.float64] | None  # None for a model without ensembles

    def per(self, number: float) -> "Estimate":
        """Divide everything by a number, e.g. the number of atoms."""
        errors = (None if error is None else error / number for error in self[1:])
        return Estimate(self.values / number, *errors)


@dataclass(frozen=True, eq=False)
class Thermodynamics:
    r"""Electrons in the mean density of states of a trajectory, at several temperatures; all values are for the cell.

    The bands are rigid: a density of states does not change with the electronic temperature, and that of a trajectory
    belongs to the temperature at which the atoms moved (arXiv:2508.17418, eqs. 12 and 13).

    :param formula: chemical formula of each frame.
    :param num_atoms: number of atoms in each frame.
    :param num_frames: number of frames in the trajectory.
    :param blocks: blocks from which the statistical errors are computed, in states/eV.
    :param num_electrons: number of electrons up to the predicted Fermi level, which are all electrons of the model;
        compare it with the number of valence electrons in the training data.
    :param energies: energies of the density of states, shape ``(num_channels,)``, in eV. Zero is the Fermi level of
        every frame.
    :param density_of_states: mean density of states, shape ``(num_channels,)``, in states/eV.
    :param temperatures: electronic temperatures in K, shape ``(num_temperatures,)``, as for all following quantities.
    :param fermi_level: chemical potential in eV, on the axis of ``energies``.
    :param electronic_energy: energy above the ground state, in eV.
    :param entropy: entropy in eV/K.
    :param free_energy: free energy above the ground-state energy, in eV.
    :param heat_capacity: :math:`dU/dT`, in eV/K.
    :param heat_capacity_by_differences: the same from the energies 0.5 K above and below, as in the paper; shape
        ``(num_temperatures,)``, in eV/K.
    """

    formula: str
    num_atoms: int
    num_frames: int
    blocks: Blocks
    num_electrons: float
    energies: NDArray[np.float64]
    density_of_states: Estimate
    temperatures: NDArray[np.float64]
    fermi_level: Estimate
    electronic_energy: Estimate
    entropy: Estimate
    free_energy: Estimate
    heat_capacity: Estimate
    heat_capacity_by_differences: NDArray[np.float64]


class EnsembleAverage:
    """Mean over the frames of a trajectory, frame by frame, in constant memory.

    >>> average = EnsembleAverage()
    >>> for result in model.predict_many(ase.io.iread("md.xyz")):
    ...     average.add(result)
    >>> average.thermodynamics([300, 600, 900]).heat_capacity.values

    Frames are aligned at their predicted Fermi levels, which are the zero of a common axis with the step of the model's
    own axis; densities of states are interpolated linearly between channels.
    """

    def __init__(self) -> None:
        self._spectra = BlockAverages()
        self._members = np.zeros((0, 0))  # sums over the frames
        self._formula = ""
        self._num_atoms = 0
        # The common axis: E = step * channel, from the first channel to the end of the first frame.
        self._step = 0.0
        self._first = 0
        self._end = 0
        self._known_end = 0  # end of the energies common to all frames

    @property
    def num_frames(self) -> int:
        """Number of frames added so far."""
        return self._spectra.num_samples

    def add(self, frame: ElectronicStructure) -> None:
        """Add a frame.

        :param frame: prediction of a model, with a Fermi level.
        :raises ValueError: without a Fermi level, or for other atoms or another model than in the previous frames.
        """
        if frame.fermi_level is None:
            raise ValueError("an average over frames needs their Fermi levels, but the model predicts none")
        grids, spectra = _grids_and_spectra(frame)
        step, channels = grids[0].step, [_channels(grid) for grid in grids]
        if self.num_frames == 0:
            self._formula, self._num_atoms, self._step = frame.formula, len(frame.atoms), step
            self._first, self._end = min(first for first, _ in channels), channels[0][1]
            self._known_end = self._end
            self._members = np.zeros((len(grids) - 1, self._end - self._first))
        self._check(frame, step, len(grids) - 1)
        self._make_room(min(first for first, _ in channels))
        self._known_end = min(self._known_end, *(end for _, end in channels))
        energies = self._step * torch.arange(self._first, self._end, dtype=torch.float64)
        rows = [
            interpolated(torch.from_numpy(spectrum), grid, energies).nan_to_num().numpy()
            for spectrum, grid in zip(spectra, grids, strict=True)
        ]
        self._spectra.add(rows[0])
        if len(rows) > 1:
            self._members += rows[1:]

    def _check(self, frame: ElectronicStructure, step: float, num_members: int) -> None:
        if frame.formula != self._formula:
            raise ValueError(f"expected the same atoms in all frames, got {frame.formula} after {self._formula}")
        if abs(step - self._step) > 1e-9 or num_members != len(self._members):
            raise ValueError(
                f"expected frames from one model, with an energy step of {self._step:g} eV and {len(self._members)} "
                f"ensemble members, got {step:g} eV and {num_members}"
            )

    def _make_room(self, first: int) -> None:
        if first < self._first:
            self._spectra.extend_below(self._first - first)
            self._members = np.pad(self._members, ((0, 0), (self._first - first, 0)))
            self._first = first

    def thermodynamics(self, temperatures: float | Sequence[float]) -> Thermodynamics:
        """Compute the thermodynamics of the mean density of states; see :class:`Thermodynamics`.

        A mean slightly below zero counts as zero. Statistical errors are from the jackknife over blocks of frames (see
        :class:`~electrain.thermodynamics.block_averages.BlockAverages`), model uncertainties are the spread among the
        averages of the ensemble members.

        :param temperatures: electronic temperatures in K, at least 0.5.
        :raises ValueError: without frames, as for :func:`check_temperatures`, for a Fermi level outside the energies
            common to all frames or less than 10 kB T below their end, or for a density of states cut off there (see
            :func:`electrain.spectra.electronic_energy`).
        """
        if self.num_frames == 0:
            raise ValueError("expected at least one frame, got none")
        kelvin = np.atleast_1d(np.asarray(temperatures, dtype=np.float64))
        check_temperatures(kelvin)
        size = self._known_end - self._first
        if size < 2 or not self._first <= 0 < self._known_end:
            raise ValueError(
                "the Fermi level is outside the energies common to all frames, "
                f"{self._first * self._step:g} to {(self._known_end - 1) * self._step:g} eV from it"
            )
        grid = EnergyGrid(self._first * self._step, self._step, size)
        check_reach(float(kelvin.max()), grid.stop)
        mean = self._spectra.mean()[:size]
        values = _quantities(mean, grid, kelvin)
        energies = grid.energies().numpy()
        blocks = self._spectra.blocks(np.pad(_reached(grid, values, kelvin), (0, self._end - self._known_end)))
        blocks = blocks._replace(means=blocks.means[:, :size])
        members = self._members[:, :size] / self.num_frames
        without_one = jackknife(blocks.means) if len(blocks.means) > 1 else np.zeros((0, size))
        reach = _REACH * BOLTZMANN * kelvin.max() + 2.0 * float(values.fermi_level.abs().max())
        near = np.abs(energies) <= max(reach, _farthest_edge(energies, np.concatenate([without_one, members]))) + 2.0
        inner = EnergyGrid(float(energies[near][0]), grid.step, int(near.sum()))
        of_blocks, of_members = (
            [_quantities(spectrum[near], inner, kelvin) for spectrum in spectra] for spectra in (without_one, members)
        )

        def estimate(name: str) -> Estimate:
            varied = [np.array([getattr(one, name).numpy() for one in many]) for many in (of_blocks, of_members)]
            return _estimate(getattr(values, name).numpy(), *varied)

        electrons = _num_electrons(mean, grid)
        differences = heat_capacity_by_differences(_states(mean), grid, electrons, torch.tensor(kelvin))
        return Thermodynamics(
            formula=self._formula,
            num_atoms=self._num_atoms,
            num_frames=self.num_frames,
            blocks=blocks,
            num_electrons=electrons,
            energies=energies,
            density_of_states=_estimate(mean, without_one, members),
            temperatures=kelvin,
            heat_capacity_by_differences=differences.numpy(),
            fermi_level=estimate("fermi_level"),
            electronic_energy=estimate("energy"),
            entropy=estimate("entropy"),
            free_energy=estimate("free_energy"),
            heat_capacity=estimate("heat_capacity"),
        )


def check_temperatures(kelvin: NDArray[np.float64]) -> None:
    """Raise a ``ValueError`` for no temperatures, more than 2,000, or any below 0.5 K or not finite."""
    if kelvin.ndim != 1 or not 1 <= len(kelvin) <= MAX_TEMPERATURES:
        raise ValueError(f"expected 1 to {MAX_TEMPERATURES:,} temperatures, got {kelvin.size:,}")
    wrong = kelvin[~(np.isfinite(kelvin) & (kelvin >= 0.5))]
    if wrong.size:
        raise ValueError(f"expected temperatures of at least 0.5 K, got {wrong[0]:g}")


def _quantities(spectrum: NDArray[np.float64], grid: EnergyGrid, kelvin: NDArray[np.float64]) -> ElectronicQuantities:
    return electronic_quantities(_states(spectrum), grid, _num_electrons(spectrum, grid), torch.from_numpy(kelvin))


def _farthest_edge(energies: NDArray[np.float64], spectra: NDArray[np.float64]) -> float:
    """Smallest distance from zero, in eV, within which every spectrum has states both below and above."""
    edges = [0.0]
    for occupied in (energies <= 0.0, energies > 0.0):
        distances = np.where(spectra[:, occupied] > 0.0, np.abs(energies[occupied]), np.inf)
        nearest = distances.min(axis=1, initial=np.inf)
        edges += nearest[np.isfinite(nearest)].tolist()
    return max(edges)


def _states(spectrum: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(spectrum).clamp_min(0.0)


def _num_electrons(spectrum: NDArray[np.float64], grid: EnergyGrid) -> float:
    return count_electrons(_states(spectrum), grid, energy=0.0)


def _reached(grid: EnergyGrid, values: ElectronicQuantities, kelvin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of thermally excited states: minus the derivative of the occupation at the highest temperature."""
    hottest = int(kelvin.argmax())
    distance = (grid.energies().numpy() - float(values.fermi_level[hottest])) / (BOLTZMANN * kelvin[hottest])
    return 1.0 / np.cosh(0.5 * np.clip(distance, -80.0, 80.0)) ** 2


def _estimate(values: NDArray[np.float64], of_blocks: NDArray[np.float64], of_members: NDArray[np.float64]) -> Estimate:
    return Estimate(
        values,
        jackknife_error(of_blocks) if len(of_blocks) > 1 else None,
        of_members.std(axis=0, ddof=1) if len(of_members) > 1 else None,
    )


def _grids_and_spectra(frame: ElectronicStructure) -> tuple[list[EnergyGrid], list[NDArray[np.float64]]]:
    """The prediction, followed by its ensemble members, each on energies relative to its own Fermi level."""
    start, size = float(frame.energies[0]), len(frame.energies)
    step = (float(frame.energies[-1]) - start) / (size - 1)
    grids, spectra = [EnergyGrid(start, step, size)], [frame.density_of_states]
    if frame.ensemble is not None and frame.ensemble.fermi_level is not None and frame.fermi_level is not None:
        levels = frame.ensemble.fermi_level - frame.fermi_level
        grids += [EnergyGrid(start - level, step, size) for level in levels.tolist()]
        spectra += list(frame.ensemble.density_of_states)
    return grids, spectra


def _channels(grid: EnergyGrid) -> tuple[int, int]:
    """First multiple of the step inside a grid, and the one after the last."""
    return math.ceil(grid.start / grid.step - 1e-6), math.floor(grid.stop / grid.step + 1e-6) + 1
