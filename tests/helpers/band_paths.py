"""Made-up bands along paths."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.dft.kpoints import BandPath

from electrain.bands import BandStructure
from electrain.data import Calculation

SI = bulk("Si")
LETTERS, LABELS = "GXWK,UX", ("Γ", "X", "W", "K", "U", "X")


def path_of(atoms: Atoms = SI, letters: str = LETTERS, num_k: int = 30) -> BandPath:
    """Return a path in ASE's form."""
    return atoms.cell.bandpath(letters, npoints=num_k)


def band_energies(k_points: np.ndarray, num_bands: int = 10, seed: int = 0, gap: float = 1.0) -> np.ndarray:
    """Cosines of the k-points with the filled four lowest below zero, shape ``(num_k, num_bands)``, in eV."""
    generator = np.random.default_rng(seed)
    lattice = generator.integers(-1, 2, (num_bands, 3))
    waves = np.cos(2 * np.pi * k_points @ lattice.T)
    centres = np.arange(num_bands) - 3.5
    return np.sort(centres + np.sign(centres) * gap / 2 + 0.4 * waves, axis=1)


def made_up_bands(atoms: Atoms = SI, *, letters: str = LETTERS, num_k: int = 30, **changes: Any) -> BandStructure:
    """Bands of a semiconductor with eight electrons."""
    path = path_of(atoms, letters, num_k)
    fields: dict[str, Any] = {
        "atoms": atoms,
        "k_points": path.kpts,
        "energies": band_energies(path.kpts)[None],
        "fermi_level": 0.1,
        "num_electrons": 8.0,
    }
    return BandStructure(**(fields | changes))


def as_calculation(bands: BandStructure, **changes: Any) -> Calculation:
    """Return what the writers of calculations write; it is not checked, because weights on a path mean nothing."""
    filled = np.broadcast_to(np.arange(bands.energies.shape[2]) < 4, bands.energies.shape)
    fields: dict[str, Any] = {
        "atoms": bands.atoms,
        "eigenvalues": bands.energies,
        "weights": np.full(len(bands.k_points), 1.0 / len(bands.k_points)),
        "fermi_level": bands.fermi_level,
        "source": "made up",
        "num_electrons": bands.num_electrons,
        "values": {},
        "occupations": filled.astype(float),
        "k_points": bands.k_points,
        "noncollinear": bands.noncollinear,
        "code": "",
    }
    calculation = object.__new__(Calculation)
    calculation.__dict__.update(fields | changes)
    return calculation


def as_frame(bands: BandStructure, **changes: Any) -> Atoms:
    """Return a frame of our own extended XYZ files; changes to ``None`` remove keys."""
    frame = bands.atoms.copy()
    energies = bands.energies - bands.fermi_level
    info = {
        "eigenvalues": energies if len(energies) == 2 else energies[0],
        "k_points": bands.k_points,
        "labels": " ".join(f"{index}:{name}" for index, name in bands.labels) or None,
        "n_electrons": bands.num_electrons,
    }
    frame.info |= {key: value for key, value in (info | changes).items() if value is not None}
    return frame
