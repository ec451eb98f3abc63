"""Band structures as objects of ASE and pymatgen, and back."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from electrain.structures.standard_cells import quiet, to_structure

from .band_structure import BandStructure
from .k_paths import pretty_label

if TYPE_CHECKING:
    from ase.spectrum.band_structure import BandStructure as AseBands
    from pymatgen.electronic_structure.bandstructure import BandStructureSymmLine

_PRIME = "'"
_NUMBERS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
# ASE's names begin with one capital letter
_ASE_NAMES = {"Γ": "G", "Σ": "Sigma", "Δ": "Delta", "Λ": "Lambda"}
_SAME_POINT = 1e-4  # of fractional coordinates


def to_ase(bands: BandStructure) -> "AseBands":
    """Convert to :class:`ase.spectrum.band_structure.BandStructure`.

    Its reference is :meth:`~.band_structure.BandStructure.zero`, its energies are those of the bands. ASE has one
    k-point for each name, so that equivalent points of one name are numbered; Γ is G, and names of lower-case letters
    begin with P.
    """
    from ase.dft.kpoints import BandPath
    from ase.spectrum.band_structure import BandStructure as AseBands  # imports matplotlib, which takes half a second

    names = {index: _ase_name(name) for index, name in sorted(bands.labels)}
    unique = _unique(bands, names, lambda name, number: f"{name}{number}")
    points = {name: bands.k_points[index] for index, name in unique.items()}
    path = BandPath(bands.atoms.cell, bands.k_points, points, "".join(unique.values()))
    return AseBands(path, bands.energies, reference=bands.zero())


def from_ase(bands: "AseBands", atoms: Atoms, num_electrons: float | None = None) -> BandStructure:
    """Convert a band structure of ASE.

    :param bands: with the Fermi level, or a level in the gap, as its reference.
    :param atoms: the crystal, which ASE's band structures do not have.
    :param num_electrons: as in :class:`~.band_structure.BandStructure`.
    :raises ValueError: if the crystal has another cell.
    """
    if not np.allclose(atoms.cell[:], bands.path.cell[:], atol=1e-3):
        raise ValueError(
            f"expected the crystal of the bands, with the cell {bands.path.cell.cellpar().round(3).tolist()} (A and "
            f"degrees), got {atoms.cell.cellpar().round(3).tolist()}"
        )
    labels = []
    for name, point in bands.path.special_points.items():
        if name in bands.path.path:
            same = np.flatnonzero(np.abs(bands.path.kpts - point).max(axis=1) < _SAME_POINT)
            labels += [(int(index), _from_ase_name(name)) for index in same]
    return BandStructure(
        atoms,
        np.asarray(bands.path.kpts, dtype=float),
        np.sort(bands.energies, axis=2),
        float(bands.reference),
        tuple(sorted(labels)),
        num_electrons,
    )


def to_pymatgen(bands: BandStructure) -> "BandStructureSymmLine":
    """Convert to pymatgen's ``BandStructureSymmLine``, which sumo and pymatgen's own plotter read.

    Its Fermi level is :meth:`~.band_structure.BandStructure.zero`, because pymatgen finds gaps from it. Branches end
    where a k-point with a label is there twice, so all of these are. Equivalent points of one name get primes.

    :raises ImportError: if pymatgen is not installed.
    :raises ValueError: without labels, which pymatgen needs at both ends.
    """
    try:
        from pymatgen.core import Lattice
        from pymatgen.electronic_structure.bandstructure import BandStructureSymmLine
        from pymatgen.electronic_structure.core import Spin
    except ImportError as error:
        raise ImportError("to_pymatgen() needs pymatgen: pip install electrain[pymatgen]") from error
    last = len(bands.k_points) - 1
    names = dict(sorted(bands.labels))
    if not {0, last} <= set(names):
        raise ValueError(f"pymatgen needs labels at both ends of the path, k-points 0 and {last}, got {sorted(names)}")
    unique = _unique(bands, names, lambda name, number: name + _PRIME * number)
    order = sorted([*range(last + 1), *(index for index in names if 0 < index < last)])
    k_points, energies = bands.k_points[order], bands.energies[:, order]
    with quiet():
        return BandStructureSymmLine(
            k_points,
            {spin: values.T for spin, values in zip((Spin.up, Spin.down), energies, strict=False)},
            Lattice(2.0 * np.pi * bands.atoms.cell.reciprocal()[:]),
            bands.zero(),
            {name: bands.k_points[index] for index, name in unique.items()},
            structure=to_structure(bands.atoms),
        )


def from_pymatgen(
    bands: "BandStructureSymmLine", atoms: Atoms | None = None, num_electrons: float | None = None
) -> BandStructure:
    """Convert a ``BandStructureSymmLine``, such as those of the Materials Project.

    K-points that are given twice in a row are kept once.

    :param bands: the bands.
    :param atoms: the crystal; default: that of the bands.
    :param num_electrons: as in :class:`~.band_structure.BandStructure`.
    :raises ValueError: if neither has a crystal, or if its cell is not that of the k-points.
    """
    if atoms is None and bands.structure is None:
        raise ValueError("expected the crystal, because the band structure of pymatgen has none")
    if atoms is None:
        found = bands.structure
        atoms = Atoms(found.atomic_numbers, scaled_positions=found.frac_coords, cell=found.lattice.matrix, pbc=True)
    expected = 2.0 * np.pi * np.linalg.inv(bands.lattice_rec.matrix).T
    if not np.allclose(atoms.cell[:], expected, atol=1e-3):
        raise ValueError(
            f"expected the crystal of the bands, with lattice vectors {expected.round(3).tolist()} A, got "
            f"{atoms.cell[:].round(3).tolist()} A"
        )
    points = np.array([point.frac_coords for point in bands.kpoints])
    # Spin.up is 1, Spin.down is -1
    spins = sorted(bands.bands, key=lambda spin: -int(spin.value))
    energies = np.stack([np.sort(np.asarray(bands.bands[spin]).T, axis=1) for spin in spins])
    names = [point.label for point in bands.kpoints]
    kept = [0] + [
        index for index in range(1, len(points)) if np.abs(points[index] - points[index - 1]).max() > _SAME_POINT
    ]
    labels = tuple(
        (new, pretty_label(names[old].rstrip(_PRIME))) for new, old in enumerate(kept) if names[old] is not None
    )
    return BandStructure(atoms, points[kept], energies[:, kept], float(bands.efermi), labels, num_electrons)


def _unique(bands: BandStructure, names: dict[int, str], numbered: Callable[[str, int], str]) -> dict[int, str]:
    """Another name for each k-point that shares its name with an earlier, different one."""
    unique: dict[int, str] = {}
    points: dict[str, int] = {}
    for index, name in names.items():
        for number in itertools.count():
            candidate = name if number == 0 else numbered(name, number)
            other = points.setdefault(candidate, index)
            if np.abs(bands.k_points[other] - bands.k_points[index]).max() < _SAME_POINT:
                unique[index] = candidate
                break
    return unique


def _ase_name(name: str) -> str:
    plain = name.translate(_NUMBERS)
    base, number = plain.rstrip("0123456789"), plain[len(plain.rstrip("0123456789")) :]
    base = _ASE_NAMES.get(base, base)
    return (base if base[:1].isupper() else f"P{base}") + number


def _from_ase_name(name: str) -> str:
    base = name.rstrip("0123456789")
    greek = {ase: greek for greek, ase in _ASE_NAMES.items()}
    if base[:1] == "P" and base[1:].islower():
        base = base[1:]
    number = name[len(name.rstrip("0123456789")) :]
    return pretty_label(greek.get(base, base) + (f"_{number}" if number else ""))
