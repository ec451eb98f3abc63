"""Small models with random weights, and structures of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from metals import ELECTRONS, as_metal
from small_models import ALL_TARGETS, GRID, make_model, make_uncertain_model

from electrain.calculators import ElectronicStructureModel
from electrain.structures.checks import check_structure

matplotlib.use("Agg")

pytest_plugins = ["data_fixtures", "training_fixtures", "pretrained_fixtures"]


@pytest.fixture(scope="session")
def reference_model() -> Any:
    """The model itself, in float64."""
    return make_model(ALL_TARGETS, torch.float64)


@pytest.fixture(scope="session")
def model_file(reference_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, exported."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    reference_model.export().save(path)
    return path


@pytest.fixture(scope="session")
def dos_only_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in float32 without band gap and Fermi level."""
    path = tmp_path_factory.mktemp("dos_only") / "dos.pt"
    make_model(["mtt::dos"], torch.float32).export().save(path)
    return path


@pytest.fixture(scope="session")
def energy_only_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the energy alone."""
    path = tmp_path_factory.mktemp("energy_only") / "energy.pt"
    make_model(["energy"], torch.float32).export().save(path)
    return path


@pytest.fixture(scope="session")
def uncertain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the electronic structure with uncertainties."""
    path = tmp_path_factory.mktemp("uncertain") / "model.pt"
    make_uncertain_model().export().save(str(path))
    return path


@pytest.fixture(scope="session")
def metal_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of energy and smooth densities of states, in float64."""
    path = tmp_path_factory.mktemp("metal") / "metal.pt"
    as_metal(make_model(["energy", "mtt::dos"], torch.float64)).export().save(path)
    return path


@pytest.fixture(scope="session")
def charged_metal_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for charged structures, with valence electrons."""
    path = tmp_path_factory.mktemp("charged") / "charged.pt"
    axis = {**GRID, "valence_electrons": ELECTRONS}
    model = as_metal(make_model(["energy", "mtt::dos"], torch.float64, system_conditioning=True, energy_grid=axis))
    model.export().save(path)
    return path


@pytest.fixture(scope="session")
def level_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of smooth densities of states, with band gap, Fermi level among the states, and valence electrons."""
    return _save_with_level(-3.0, tmp_path_factory.mktemp("level") / "level.pt")


@pytest.fixture(scope="session")
def far_level_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a Fermi level above all energies."""
    return _save_with_level(60.0, tmp_path_factory.mktemp("far_level") / "far.pt")


@pytest.fixture(scope="session")
def save_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[Path]]:
    """Models that differ a bit, each with another zero of energy."""

    def save(count: int) -> list[Path]:
        folder = tmp_path_factory.mktemp("models")
        return [_save_with_level(-3.0 + 0.2 * i, folder / f"{i}.pt", channels=7 * i, seed=i) for i in range(count)]

    return save


def _save_with_level(level: float, path: Path, *, channels: int = 0, seed: int = 0) -> Path:
    axis = {**GRID, "valence_electrons": ELECTRONS}
    targets = ["energy", "mtt::dos", "mtt::bandgap", "mtt::efermi"]
    model = as_metal(make_model(targets, torch.float64, energy_grid=axis))
    torch.nn.init.constant_(model.spectrum_heads["mtt::efermi"].last.bias, level)
    generator = torch.Generator().manual_seed(seed)
    head = model.network.heads["mtt::dos"]
    for parameter in (head.last.weight, head.last.bias, head.last_edge_bias):
        changed = parameter * (1 + 0.1 * torch.rand(1, generator=generator)) if seed else parameter
        parameter.data.copy_(changed.roll(channels, dims=0))
    model.export().save(path)
    return path


@pytest.fixture(scope="session")
def model(model_file: Path) -> ElectronicStructureModel:
    """The exported model, loaded."""
    return ElectronicStructureModel(model_file, device="cpu")


@pytest.fixture(scope="session")
def dos_only_model(dos_only_file: Path) -> ElectronicStructureModel:
    """The exported model without band gap and Fermi level, loaded."""
    return ElectronicStructureModel(dos_only_file, device="cpu")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Atoms]:
    """Every structure that is checked for a prediction, as often as that is done."""
    found: list[Atoms] = []

    def check(atoms: Atoms) -> None:
        found.append(atoms)
        check_structure(atoms)

    for module in ("calculators.exported_model", "evaluation.evaluated_model"):
        monkeypatch.setattr(f"electrain.{module}.check_structure", check)
    return found


@pytest.fixture
def structures() -> list[Atoms]:
    """Crystals, a slab, a wire, molecules with and without a box, and one atom with and without a cell."""
    slab = fcc111("Al", (1, 1, 3), vacuum=6.0)
    slab.info.clear()  # holds what cannot be written to a file
    wire = Atoms("CC", positions=[[0, 0, 0], [0, 0, 1.25]], cell=[0, 0, 2.5], pbc=[False, False, True])
    return [
        bulk("Si"),
        molecule("H2O", vacuum=3.0),
        bulk("Al"),
        slab,
        molecule("CH4"),
        wire,
        Atoms("H"),
        Atoms("O", cell=[2.5, 2.5, 2.5], pbc=True),
    ]


@pytest.fixture
def bad_structures() -> dict[str, Atoms]:
    """Structures that cannot be computed, by what the error says about them."""
    broken = bulk("Si")
    broken.positions[1, 0] = np.nan
    close = Atoms("OH", positions=[[0, 0, 0.05], [0, 0, 9.95]], cell=[10, 10, 10], pbc=True)
    return {
        "the model does not know N Fe; it knows the elements H C O Al Si": Atoms(
            "FeN", positions=[[0, 0, 0], [0, 0, 2]]
        ),
        "expected finite positions, got [   nan 1.3575 1.3575] for atom 1": broken,
        "atoms 0 (O) and 1 (H) are 0.100 A apart, expected at least 0.4 A": close,
        "expected at least one atom, got an empty structure": Atoms(),
    }
