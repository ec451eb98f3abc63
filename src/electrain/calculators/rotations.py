"""Averages over rotations: mean and spread of the predictions of a model that is not exactly equivariant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from numpy.typing import NDArray
from scipy.integrate import lebedev_rule

from electrain.results.electronic_structure import ElectronicStructure, Uncertainty

from .batches import BATCH_SIZE
from .predictor import ElectronicStructureModel

_HIGHEST_DEGREE = 131  # of scipy's Lebedev rules
# ASE properties that are scalars, (polar) vectors and matrices
_NUMBERS = ("energy", "free_energy", "energies", "charges")
_VECTORS = ("forces", "dipole")
_MATRICES = ("stress",)

# Lebedev rules have the symmetry of a cube. For a cubic crystal with its axes along x, y and z, their rotations may
# only exchange equal atoms, and the spread would be zero, so quadratures of all orientations start from a general one.
_FIRST_ORIENTATION = (0.7, 1.1, 2.3)  # Euler angles


@dataclass(frozen=True, eq=False)
class Rotations:
    r"""Rotations R of a structure, :math:`x \to R x`, with weights that sum to one.

    :param matrices: shape ``(num_rotations, 3, 3)``, float64.
    :param weights: shape ``(num_rotations,)``, float64.
    """

    matrices: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weights)

    @classmethod
    def all_orientations(cls, degree: int = 3, *, inversion: bool = False) -> "Rotations":
        r"""Quadrature of the rotation group: a Lebedev rule for an axis times equidistant angles about it.

        It is exact for polynomials of this degree in the elements of R, i.e. for all matrix elements
        :math:`D^l_{mn}(R)` up to l = degree. Degree 3 needs 24 rotations, 5 needs 84, 9 needs 380.

        :param degree: 1 to 131.
        :param inversion: also use -R for every R, for functions that may change under inversion as well.
        :raises ValueError: for another degree.
        """
        phi, theta, angle = _FIRST_ORIENTATION
        first = _about_z(phi) @ _about_y(theta) @ _about_z(angle)
        rotations = cls._make(degree, degree + 1, inversion)
        return cls(rotations.matrices @ first, rotations.weights)

    @classmethod
    def axis_directions(cls, degree: int = 9, *, inversion: bool = False) -> "Rotations":
        r"""One rotation for each direction of a Lebedev rule: with degree 9 the 38 of the PET-MAD-DOS paper, eq. 11.

        The z axis of the laboratory takes all directions of the rule, as seen from the structure. The average is exact
        for functions of that axis alone (polynomials of this degree), but not over the angle about it, because each
        direction has only one angle. This is a sample of all orientations for estimating a spread;
        :meth:`all_orientations` averages over both. For a cubic crystal aligned with the axes, some rotations reproduce
        the structure, and the spread comes out too small.

        :param degree: 1 to 131.
        :param inversion: also use -R for every R.
        :raises ValueError: for another degree.
        """
        return cls._make(degree, 1, inversion)

    @classmethod
    def _make(cls, degree: int, num_angles: int, inversion: bool) -> "Rotations":
        if not 1 <= degree <= _HIGHEST_DEGREE:
            raise ValueError(f"expected a degree of 1 to {_HIGHEST_DEGREE}, got {degree}")
        directions, weights = _lebedev(degree)
        azimuth = np.arctan2(directions[1], directions[0])
        inclination = np.arccos(np.clip(directions[2], -1.0, 1.0))
        angles = 2.0 * np.pi * np.arange(num_angles) / num_angles
        matrices = np.array(
            [
                # Transposed: R^T z is the direction.
                (_about_z(phi) @ _about_y(theta) @ _about_z(angle)).T
                for phi, theta in zip(azimuth, inclination, strict=True)
                for angle in angles
            ]
        )
        weights = np.repeat(weights / weights.sum(), num_angles) / num_angles
        if inversion:
            matrices, weights = np.concatenate([matrices, -matrices]), 0.5 * np.concatenate([weights, weights])
        return cls(matrices, weights)

    def apply(self, atoms: Atoms) -> list[Atoms]:
        """Return copies of a structure and its cell, rotated about the origin."""
        copies = []
        for matrix in self.matrices:
            copy = atoms.copy()
            copy.set_constraint()
            copy.set_cell(atoms.cell[:] @ matrix.T, scale_atoms=False)
            copy.positions = atoms.positions @ matrix.T
            copies.append(copy)
        return copies

    def average(self, values: NDArray[np.float64]) -> "Averaged":
        """Average values, one for each rotation, shape ``(num_rotations, ...)``."""
        mean = np.tensordot(self.weights, values, axes=1)
        return Averaged(mean, np.sqrt(np.tensordot(self.weights, (values - mean) ** 2, axes=1)))


class Averaged(NamedTuple):
    """Mean and standard deviation over rotations, of the same shape."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


class RotationalAverage(Calculator):
    """An ASE calculator that averages another one over rotations, in float64.

    >>> calculator = RotationalAverage(ElectronicStructureCalculator("model.pt"))
    >>> atoms.calc = calculator  # averaged energy, forces, stress, e.g. for molecular dynamics
    >>> calculator.get("forces", atoms).spread  # eV/A

    Every property is computed for rotated copies of the structure, vectors and matrices are rotated back, and mean and
    standard deviation are computed. The spread tells how much a prediction depends on the orientation, which is the
    error due to broken symmetry alone. Averaged forces are derivatives of the averaged energy.

    :param calculator: any calculator.
    :param rotations: rotations to average over; default: the 24 of ``Rotations.all_orientations(3)``, a proper average.
    """

    def __init__(self, calculator: BaseCalculator, rotations: Rotations | None = None) -> None:
        super().__init__()
        self.calculator = calculator
        self.rotations = Rotations.all_orientations() if rotations is None else rotations
        known = (*_NUMBERS, *_VECTORS, *_MATRICES)
        self.implemented_properties = [name for name in known if name in calculator.implemented_properties]
        #: Standard deviations over the rotations, with the keys and units of ``results``.
        self.spreads: dict[str, NDArray[np.float64]] = {}
        self.results: dict[str, Any] = {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute the properties that ASE requests, and their spread."""
        super().calculate(atoms, properties, system_changes)
        properties = ["energy"] if properties is None else properties
        collected: dict[str, list[NDArray[np.float64]]] = {}
        for copy, matrix in zip(self.rotations.apply(self.atoms), self.rotations.matrices, strict=True):
            self.calculator.calculate(copy, properties, all_changes)
            # Calculators return more than was requested, e.g. the energy together with the forces.
            for name, value in self.calculator.results.items():
                if name in self.implemented_properties:
                    collected.setdefault(name, []).append(_rotated_back(name, value, matrix))
        for name, values in collected.items():
            averaged = self.rotations.average(np.array(values))
            shaped = Averaged(*map(full_3x3_to_voigt_6_stress, averaged)) if name in _MATRICES else averaged
            self.results[name] = float(shaped.mean) if shaped.mean.ndim == 0 else shaped.mean
            self.spreads[name] = shaped.spread

    def reset(self) -> None:
        """Forget all results."""
        super().reset()
        self.spreads = {}

    def get(self, name: str, atoms: Atoms) -> Averaged:
        """Return mean and spread of one property.

        :param name: its name in ASE: ``"energy"`` (eV), ``"forces"`` (eV/A), ``"stress"`` (eV/A^3, six components).
        :param atoms: the structure.
        :raises PropertyNotImplementedError: for a property that the calculator does not implement.
        """
        if name not in self.implemented_properties:
            raise PropertyNotImplementedError(
                f"expected one of {', '.join(self.implemented_properties)} to average over rotations, got {name!r}"
            )
        mean = np.asarray(self.get_property(name, atoms))
        return Averaged(mean, self.spreads[name])


class RotatedElectronicStructure(NamedTuple):
    """Electronic structure averaged over rotations."""

    mean: ElectronicStructure  # energies are relative to the mean Fermi level
    spread: Uncertainty  # standard deviations over the rotations; for gaps, after cutting them off at zero
    spectra: NDArray[np.float64]  # (num_rotations, num_channels) | states/eV, of each rotated copy


def average_electronic_structure(
    model: ElectronicStructureModel,
    atoms: Atoms,
    rotations: Rotations | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> RotatedElectronicStructure:
    """Average density of states, band gap and Fermi level over rotations of a structure.

    For the rotational discrepancy of the PET-MAD-DOS paper, eq. 11, use ``Rotations.axis_directions(9)`` and pass the
    ``spectra`` to :func:`electrain.spectra.rotational_discrepancy`.

    :param model: the model.
    :param atoms: the structure, lengths in A.
    :param rotations: rotations to average over; default: the 24 of ``Rotations.all_orientations(3)``.
    :param batch_size: maximum number of atoms per batch.
    :raises ValueError: as for :meth:`ElectronicStructureModel.check`.
    """
    rotations = Rotations.all_orientations() if rotations is None else rotations
    model.check(atoms)
    results = list(model.predict_checked(rotations.apply(atoms), batch_size=batch_size))
    spectra = np.array([result.density_of_states for result in results])
    dos = rotations.average(spectra)
    gap = _averaged_number(rotations, results, lambda result: result.band_gap)
    level = _averaged_number(rotations, results, lambda result: result.fermi_level)
    first = results[0]
    mean = ElectronicStructure(
        atoms=atoms,
        # Back to the model's own axis, and from there to the mean Fermi level
        energies=first.energies + (first.fermi_level or 0.0) - (level[0] or 0.0),
        density_of_states=dos.mean,
        band_gap=gap[0],
        fermi_level=level[0],
        smearing=first.smearing,
    )
    return RotatedElectronicStructure(mean, Uncertainty(dos.spread, gap[1], level[1]), spectra)


def _averaged_number(
    rotations: Rotations, results: list[ElectronicStructure], read: Callable[[ElectronicStructure], float | None]
) -> tuple[float | None, float | None]:
    values = [value for value in map(read, results) if value is not None]
    if not values:
        return None, None
    averaged = rotations.average(np.array(values))
    return float(averaged.mean), float(averaged.spread)


def _rotated_back(name: str, value: object, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if name in _VECTORS:
        return array @ matrix
    if name in _MATRICES:
        full = voigt_6_to_full_3x3_stress(array) if array.shape == (6,) else array
        return matrix.T @ full @ matrix
    return array


def _lebedev(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions, shape ``(3, num)``, and weights of the smallest rule of at least this degree."""
    while True:
        try:
            return lebedev_rule(degree)
        except NotImplementedError:
            degree += 1


def _about_z(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _about_y(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
