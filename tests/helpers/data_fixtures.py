"""Small made-up calculations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from electrain.data import Calculation

NUM_FILLED, NUM_BANDS = 4, 10


def semiconductor_states(num_k: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four filled bands at -8 to -1 eV and six empty ones at 1 to 9 eV, with unequal weights of sum 2.

    The Fermi level, at zero, is in the middle of the gap.
    """
    generator = np.random.default_rng(seed)
    filled = generator.uniform(-8, -1, (num_k, NUM_FILLED))
    empty = generator.uniform(1, 9, (num_k, NUM_BANDS - NUM_FILLED))
    filled[0, 0], empty[0, 0] = -1.0, 1.0
    weights = generator.uniform(0.2, 1.0, num_k)
    return np.sort(np.hstack([filled, empty]), axis=1), 2 * weights / weights.sum()


@pytest.fixture
def no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the summary's picture empty: it takes longer than everything else."""
    for function in ("prepare.plot_summary", "fixed.prepare.plot_spectra_summary", "bands.prepare.plot_bands_summary"):
        monkeypatch.setattr(f"electrain.data.{function}", lambda *_: _[-1].touch())


@pytest.fixture
def make_calculation() -> Callable[..., Calculation]:
    """Build a silicon crystal with eight electrons; keyword arguments replace its fields."""

    def make(seed: int = 0, **changes: Any) -> Calculation:
        eigenvalues, weights = semiconductor_states(seed=seed)
        fields: dict[str, Any] = {
            "atoms": bulk("Si"),
            "eigenvalues": eigenvalues[None],
            "weights": weights,
            "fermi_level": 0.0,
            "source": "made up, frame 0",
            "num_electrons": 8.0,
        }
        return Calculation(**(fields | changes))

    return make


@pytest.fixture
def make_frame() -> Callable[..., Atoms]:
    """Build a structure as ASE writes and reads it; keyword arguments replace or (``None``) remove keys."""

    def make(atoms: Atoms | None = None, *, seed: int = 0, **changes: Any) -> Atoms:
        frame = bulk("Si") if atoms is None else atoms.copy()
        eigenvalues, weights = semiconductor_states(seed=seed)
        info = {
            "id": f"frame-{seed}",
            "subset": "bulk",
            "eigenvalues": eigenvalues,
            "kweights": weights,
            "efermi": 5.6,
            "bandgap": 1.5,
            "n_electrons": 8.0,
        }
        frame.info = {key: value for key, value in (info | changes).items() if value is not None}
        generator = np.random.default_rng(seed)
        forces = generator.normal(size=(len(frame), 3))
        frame.calc = SinglePointCalculator(frame, energy=-10.0 - seed, forces=forces)
        return frame

    return make


@pytest.fixture
def write_frames(tmp_path: Path) -> Callable[..., Path]:
    """Write frames into an extended XYZ file of the test's own folder."""

    def write(frames: list[Atoms], name: str = "frames.xyz") -> Path:
        path = tmp_path / name
        ase.io.write(path, frames, format="extxyz")
        return path

    return write


@pytest.fixture
def ten_frames(make_frame: Callable[..., Atoms]) -> list[Atoms]:
    """Ten compounds of six elements."""
    names = ["Si2", "C2", "Ge2", "SiC", "Sn2", "AlP", "Al2", "P2", "SiGe", "SnC"]
    structures = [
        Atoms(name, positions=[[2.2 * i, 0, 0] for i in range(len(Atoms(name)))], cell=[6, 6, 6], pbc=True)
        for name in names
    ]
    return [make_frame(atoms, seed=seed) for seed, atoms in enumerate(structures)]
