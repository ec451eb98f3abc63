"""Small data sets that the tests make themselves."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule


@pytest.fixture(scope="session")
def molecules_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty distorted molecules of H, C, N, O with the energy of a pair potential, in `U0`."""
    random = np.random.default_rng(0)
    frames = []
    for i in range(40):
        atoms = molecule(["H2O", "CH4", "NH3", "CO2", "CH3OH"][i % 5])
        atoms.positions += 0.05 * random.normal(size=atoms.positions.shape)
        distances = atoms.get_all_distances()[np.triu_indices(len(atoms), k=1)]
        atoms.info["U0"] = float(-10.0 * atoms.numbers.sum() + np.exp(-distances).sum())
        frames.append(atoms)
    path = tmp_path_factory.mktemp("molecules") / "molecules.xyz"
    ase.io.write(path, frames)
    return str(path)


@pytest.fixture
def test_folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the tests of pet_mad, as the working directory."""
    folder = Path(__file__).parents[1] / "architectures" / "pet_mad"
    monkeypatch.chdir(folder)
    return folder
