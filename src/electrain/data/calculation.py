"""One electronic-structure calculation, checked on construction."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from electrain.interface.quantities import DENSITY_OF_STATES, FERMI_LEVEL, Quantity, in_data_sets
from electrain.spectra.gap import band_edges
from electrain.structures.checks import check_structure

from .zone import check_zone

WEIGHT_TOLERANCE = 1e-3  # rounded weights of a thousand k-points still add up to within this tolerance
ELECTRON_TOLERANCE = 0.15
MISPLACED_TOLERANCE = 0.005  # fraction of all electrons, if that is more
OCCUPATION_TOLERANCE = 0.01  # electrons; codes write occupations with four digits or more
# How far the Fermi level may be from the energy that gives the right number of electrons: it depends on the smearing of
# the DFT code, and if a partly filled level lies exactly there, counting states at a single energy fails.
FERMI_TOLERANCE = 0.2  # eV


class CalculationError(ValueError):
    """A calculation that cannot be read or is inconsistent.

    :param source: the file and, if it contains several frames, the frame.
    :param reason: what was expected and what was found.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


@dataclass(frozen=True)
class Rejected:
    """A calculation that cannot be used, and why; readers return it so that the others can still be read.

    :param source: the file and, if it contains several frames, the frame.
    :param reason: what was expected and what was found.
    """

    source: str
    reason: str


@dataclass(frozen=True, eq=False)
class Calculation:
    """Eigenvalues and k-point weights of one structure, and its other training targets.

    The weights are those of one spin channel: they sum to the number of electrons that a state can hold, which is 2
    without spin polarisation and 1 with it, collinear or not. The weighted sum of occupied states over spins, k-points
    and bands is then the number of electrons.

    :param atoms: the structure (positions in A); ``info`` may contain ``id``, ``subset`` and ``parent``.
    :param eigenvalues: shape ``(num_spins, num_k, num_bands)``, in eV; two spins if the calculation is collinear.
    :param weights: weights of the k-points, shape ``(num_k,)``.
    :param fermi_level: Fermi level in eV, relative to the same zero as the eigenvalues.
    :param source: where the calculation came from, for messages ("bulk.xyz, frame 12").
    :param num_electrons: number of electrons in the calculation, without those of frozen cores.
    :param values: values of the other :func:`given_quantities` by name, in their units; stored as arrays, without those
        that are ``None``. Energies on the axis of a spectrum are relative to the same zero as the eigenvalues. A
        spectrum is given as a weight for each state, in the shape of the eigenvalues (with an additional first
        dimension for atoms), and is broadened like the density of states. A stress is positive if the cell tends to
        shrink (as in ASE).
    :param occupations: occupations of the states, between 0 and 1, in the shape of the eigenvalues.
    :param k_points: fractional coordinates in the reciprocal lattice, shape ``(num_k, 3)``, ``None`` if unknown.
    :param noncollinear: whether the states are spinors, which hold one electron each.
    :param code: name and version of the DFT code, ``""`` if unknown.
    :raises CalculationError: if the data are inconsistent; see :meth:`check`.
    """

    atoms: Atoms
    eigenvalues: NDArray[np.float64]
    weights: NDArray[np.float64]
    fermi_level: float
    source: str
    num_electrons: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    occupations: NDArray[np.float64] | None = None
    k_points: NDArray[np.float64] | None = None
    noncollinear: bool = False
    code: str = ""

    def __post_init__(self) -> None:
        known = {name: np.asarray(value, np.float64) for name, value in self.values.items() if value is not None}
        object.__setattr__(self, "values", known)
        self.check()

    @property
    def name(self) -> str:
        """The structure's own ``id``, or its source."""
        return str(self.atoms.info.get("id", self.source))

    @property
    def spin_treatment(self) -> Literal["unpolarised", "collinear", "noncollinear"]:
        """How the calculation treats spins."""
        if self.noncollinear:
            return "noncollinear"
        return "collinear" if self.eigenvalues.shape[0] == 2 else "unpolarised"

    @property
    def electrons_per_state(self) -> int:
        """Number of electrons that a state can hold, which is the sum of the weights."""
        return 2 if self.spin_treatment == "unpolarised" else 1

    @property
    def electrons_in_pairs(self) -> float | None:
        """Number of electrons as counted by :mod:`electrain.spectra.gap`: two in every state of a single channel."""
        if self.num_electrons is None:
            return None
        return self.num_electrons * (2 if self.noncollinear else 1)

    def zero(self) -> float:
        """Zero of energy of the targets, in eV on the axis of the eigenvalues: the Fermi level, or the middle of a gap.

        A DFT code may put the Fermi level anywhere in a gap, even a tenth of an electronvolt from a band edge, where a
        broadened density of states does not give the right number of electrons.
        """
        if self.electrons_in_pairs is None:
            return self.fermi_level
        try:
            edges = band_edges(torch.from_numpy(self.eigenvalues), self.electrons_in_pairs)
        except ValueError:  # no empty band was computed
            return self.fermi_level
        if edges is None or edges[1] <= edges[0]:
            return self.fermi_level
        return 0.5 * (edges[0] + edges[1])

    def bands(self) -> torch.Tensor:
        """Eigenvalues relative to :meth:`zero`, shape ``(num_spins, num_k, num_bands)``, in eV."""
        return torch.from_numpy(self.eigenvalues - self.zero())

    def k_weights(self) -> torch.Tensor:
        """Weights of the k-points, shape ``(num_k,)``."""
        return torch.from_numpy(self.weights)

    def check(self) -> None:
        """Check structure, weights and eigenvalues, and that they give the number of electrons of the calculation.

        :raises CalculationError: with what was expected, what was found, and where.
        """
        try:
            check_structure(self.atoms)
            _check_states(self.eigenvalues, self.weights)
            self._check_weights()
            self._check_values()
            self._check_electrons()
            if self.k_points is not None:
                check_zone(self.k_points, self.weights)
        except ValueError as error:
            raise CalculationError(self.source, str(error)) from None

    def _check_weights(self) -> None:
        if self.noncollinear and self.eigenvalues.shape[0] != 1:
            raise ValueError("expected the states of noncollinear spins in one channel, got two")
        if abs(self.weights.sum() - self.electrons_per_state) > WEIGHT_TOLERANCE:
            spins = {"unpolarised": "not spin-polarised", "collinear": "spin-polarised"}
            raise ValueError(
                f"expected k-point weights that sum to {self.electrons_per_state} "
                f"({spins.get(self.spin_treatment, 'noncollinear spins')}), got {self.weights.sum():.6g}"
            )

    def _check_values(self) -> None:
        if not math.isfinite(self.fermi_level):
            raise ValueError(f"expected a finite Fermi level in eV, got {self.fermi_level}")
        _check_array("k-points", self.k_points, (self.eigenvalues.shape[1], 3), "fractional coordinates")
        check_values(self.values, len(self.atoms), self.eigenvalues.shape)

    def _check_electrons(self) -> None:
        _check_array("occupations", self.occupations, self.eigenvalues.shape, "electrons")
        if self.num_electrons is None:
            return
        if not self.num_electrons > 0:
            raise ValueError(f"expected a positive number of electrons, got {self.num_electrons}")
        if self.occupations is None:
            self._check_states_below(self.num_electrons)
        else:
            self._check_filling(self.occupations, self.num_electrons)

    def _check_states_below(self, num_electrons: float) -> None:
        fewest = self._count(self.eigenvalues < self.fermi_level - FERMI_TOLERANCE)
        most = self._count(self.eigenvalues < self.fermi_level + FERMI_TOLERANCE)
        if not fewest - ELECTRON_TOLERANCE <= num_electrons <= most + ELECTRON_TOLERANCE:
            raise ValueError(
                f"expected {num_electrons:g} electrons, but the weighted states up to the Fermi level "
                f"(+-{FERMI_TOLERANCE:g} eV) hold {fewest:.2f} to {most:.2f}: wrong weights, wrong Fermi "
                "level, or too few bands"
            )

    def _check_filling(self, occupations: NDArray[np.float64], num_electrons: float) -> None:
        """Occupations tell more than a count of states: a wide smearing or a coarse mesh is not an error."""
        total = self._count(occupations)
        if abs(total - num_electrons) > OCCUPATION_TOLERANCE:
            raise ValueError(
                f"expected {num_electrons:g} electrons, but the weighted occupations hold {total:.3f}: wrong "
                "weights, wrong occupations, or too few bands"
            )
        above = self.eigenvalues > self.fermi_level + FERMI_TOLERANCE
        below = self.eigenvalues < self.fermi_level - FERMI_TOLERANCE
        # A half-filled state, e.g. from the tetrahedron method on a coarse mesh, may be on either side.
        wrongly = np.where(above, 2 * occupations - 1, np.where(below, 1 - 2 * occupations, 0.0))
        misplaced = self._count(wrongly.clip(0.0))
        if misplaced > max(ELECTRON_TOLERANCE, MISPLACED_TOLERANCE * num_electrons):
            raise ValueError(
                f"expected filled states below and empty states above the Fermi level, {self.fermi_level:g} eV "
                f"(+-{FERMI_TOLERANCE:g} eV), got {misplaced:.2f} on the wrong side: wrong Fermi level or occupations"
            )

    def _count(self, states: NDArray) -> float:
        """Weighted sum over states."""
        return float(np.einsum("k,skn->", self.weights, states))


def given_quantities() -> list[Quantity]:
    """Return the quantities that a calculation may provide; the others follow from its eigenvalues."""
    return [quantity for quantity in in_data_sets() if quantity.name not in (DENSITY_OF_STATES, FERMI_LEVEL)]


def _check_states(eigenvalues: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    if eigenvalues.ndim != 3 or eigenvalues.shape[0] not in (1, 2):
        raise ValueError(f"expected eigenvalues of shape (1 or 2 spins, k-points, bands), got {eigenvalues.shape}")
    _, num_k, num_bands = eigenvalues.shape
    if num_k == 0 or num_bands == 0:
        raise ValueError(f"expected at least one k-point and one band, got {num_k} and {num_bands}")
    if weights.shape != (num_k,):
        raise ValueError(f"expected one weight for each of {num_k} k-points, got {weights.size} weights")
    if not np.isfinite(eigenvalues).all():
        _, k, band = np.argwhere(~np.isfinite(eigenvalues))[0]
        raise ValueError(f"expected finite eigenvalues, got NaN or infinity at k-point {k}, band {band}")
    if not np.isfinite(weights).all():
        raise ValueError("expected finite k-point weights, got NaN or infinity")
    if (weights < 0).any():
        k = int(np.argmin(weights))
        raise ValueError(f"expected k-point weights of at least 0, got {weights[k]:g} at k-point {k}")


def check_values(values: Mapping[str, NDArray[np.float64]], num_atoms: int, spectrum: tuple[int, ...]) -> None:
    """Check the values of :func:`given_quantities` of a structure.

    :param values: by name.
    :param num_atoms: number of atoms.
    :param spectrum: shape of a spectrum.
    :raises ValueError: for other quantities, wrong shapes, and values that are not finite or cannot be negative.
    """
    quantities = {quantity.name: quantity for quantity in given_quantities()}
    for name, of_quantity in values.items():
        if name not in quantities:
            raise ValueError(f"expected values of quantities among {', '.join(quantities)}, got {name!r}")
        quantity = quantities[name]
        _check_array(quantity.label, of_quantity, quantity.array_shape(num_atoms, spectrum), quantity.unit)
        if (quantity.is_non_negative or quantity.is_spectrum) and (of_quantity < 0).any():
            raise ValueError(f"expected a {quantity.label} of at least 0 {quantity.unit}, got {of_quantity.min():g}")


def _check_array(what: str, values: NDArray[np.float64] | None, shape: tuple[int, ...], unit: str) -> None:
    if values is None:
        return
    if values.shape != shape:
        raise ValueError(f"expected {what} of shape {shape}, got {values.shape}")
    if not np.isfinite(values).all():
        finite, got = (f"finite {what}", "NaN or infinity") if shape else (f"a finite {what}", values)
        raise ValueError(f"expected {finite} in {unit}, got {got}")
