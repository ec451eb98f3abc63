"""One model of energies, forces and electronic structure drives molecular dynamics."""

import copy
import runpy
import sys
from pathlib import Path

import ase.io
import matplotlib
import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatomic_ase import MetatomicCalculator
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from tiny_models import PROPERTIES, model_hypers, spectrum, target_infos

from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.calculators import ElectronicStructureCalculator, ElectronicStructureModel, ModelFileError
from electrain.calculators.multiple_time_step import MultipleTimeStep
from electrain.interface.quantities import DENSITY_OF_STATES, DIRECT_FORCE

EXAMPLE = Path(__file__).parents[3] / "examples" / "molecular_dynamics.py"
TIMESTEP = 0.5 * units.fs
PICOSECOND = 1000 * units.fs
TARGETS = ("energy", DIRECT_FORCE, DENSITY_OF_STATES)
MSE = {"type": "mse", "reduction": "mean"}
OPTIONS = {
    "batch_size": 4,
    "num_workers": 0,
    "num_epochs": 20,
    "learning_rate": 1e-2,
    "warmup_epochs": 1.0,
    "halving_epochs": 7.0,
    "rotational_augmentation": False,  # all structures have one orientation
    "loss": {
        "energy": {**MSE, "weight": 0.1, "gradients": {"positions": {**MSE, "weight": 0.3}}},
        DIRECT_FORCE: {**MSE, "weight": 10.0, "gradients": {}},
        DENSITY_OF_STATES: {"weight": 0.01},
    },
}
WIDTHS = dict.fromkeys(("edge_width", "node_width", "head_width", "feedforward_width"), 16)


def direct_force_info():
    """As the options file describes it."""
    settings = {"quantity": "force", "unit": "eV/Angstrom", "type": {"cartesian": {"rank": 1}}, "sample_kind": "atom"}
    return get_generic_target_info(DIRECT_FORCE, {**settings, "num_subtargets": 1})


def aluminium(random: np.random.Generator) -> Atoms:
    atoms = bulk("Al", cubic=True)
    atoms.set_cell(atoms.cell * (1 + 0.02 * random.normal()), scale_atoms=True)
    atoms.positions += random.uniform(0.05, 0.2) * random.normal(size=(4, 3))
    atoms.calc = EMT()
    return atoms


def samples_of_atoms(name: str, index: int, size: int) -> Labels:
    atoms = torch.arange(size, dtype=torch.int32)
    return Labels([name, "atom"], torch.stack([torch.full_like(atoms, index), atoms], dim=1))


def training_set(frames: list[Atoms]) -> Dataset:
    data = {"system": systems_to_torch([atoms.copy() for atoms in frames], dtype=torch.float64)}
    data.update({name: [] for name in TARGETS})
    for i, atoms in enumerate(frames):
        samples = Labels(["system"], torch.tensor([[i]], dtype=torch.int32))
        forces, xyz = torch.from_numpy(atoms.get_forces()).unsqueeze(2), [Labels.range("xyz", 3)]
        value = torch.tensor([[atoms.get_potential_energy()]], dtype=torch.float64)
        energy = TensorBlock(value, samples, [], PROPERTIES["energy"])
        gradient = TensorBlock(-forces, samples_of_atoms("sample", 0, 4), xyz, PROPERTIES["energy"])
        energy.add_gradient("positions", gradient)
        direct = TensorBlock(forces, samples_of_atoms("system", i, 4), xyz, Labels.range(DIRECT_FORCE, 1))
        dos = TensorBlock(spectrum(atoms).unsqueeze(0), samples, [], PROPERTIES[DENSITY_OF_STATES])
        for name, block in zip(TARGETS, (energy, direct, dos), strict=True):
            data[name].append(TensorMap(Labels.single(), [block]))
    return Dataset.from_dict(data)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in float64 of energy, forces and density of states, trained for some seconds."""
    folder = tmp_path_factory.mktemp("dynamics")
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    known = {**target_infos(forces=True), DIRECT_FORCE: direct_force_info()}
    info = DatasetInfo("angstrom", [13], {name: known[name] for name in TARGETS})
    model = PETMAD(model_hypers(cutoff=4.0, num_message_passing_layers=1, **WIDTHS), info)
    trainer = Trainer({**copy.deepcopy(get_default_hypers("pet_mad")["training"]), **OPTIONS})
    sets = [training_set([aluminium(random) for _ in range(number)]) for number in (32, 4)]
    trainer.train(model, torch.float64, [torch.device("cpu")], sets[:1], sets[1:], str(folder))
    model.eval().export().save(folder / "model.pt")
    return folder / "model.pt"


@pytest.fixture(scope="module")
def conservative(model_file: Path) -> ElectronicStructureCalculator:
    return ElectronicStructureCalculator(model_file, device="cpu")


@pytest.fixture(scope="module")
def direct(conservative: ElectronicStructureCalculator) -> ElectronicStructureCalculator:
    """Another calculator with the same loaded model."""
    return ElectronicStructureCalculator(conservative.model(), device="cpu", non_conservative="forces")


def start() -> Atoms:
    """At 600 K."""
    atoms = bulk("Al", cubic=True)
    momenta = np.random.default_rng(1).normal(size=(4, 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    atoms.set_momenta(atoms.get_momenta() * np.sqrt(600 / atoms.get_temperature()))
    return atoms


def drift(dynamics: MolecularDynamics, atoms: Atoms, picoseconds: float) -> float:
    """Slope of the total energy, in meV/atom/ps."""
    times, energies = [], []

    def record() -> None:
        times.append(dynamics.get_time() / PICOSECOND)
        energies.append(1000 * atoms.get_total_energy() / len(atoms))

    dynamics.attach(record)
    dynamics.run(round(picoseconds * PICOSECOND / dynamics.dt))
    assert times[-1] == pytest.approx(picoseconds)
    return float(np.polyfit(times, energies, 1)[0])


@pytest.mark.parametrize(("kind", "better_than"), [("conservative", 0.5), ("direct", 0.9)])
def test_it_learned_forces(kind, better_than, request):
    random = np.random.default_rng(5)
    frames = [aluminium(random) for _ in range(5)]
    expected = np.array([atoms.get_forces() for atoms in frames])
    forces = np.array([request.getfixturevalue(kind).get_forces(atoms) for atoms in frames])
    assert np.sqrt(np.mean((forces - expected) ** 2)) < better_than * np.sqrt(np.mean(expected**2))


def test_conservative_forces_conserve_energy(conservative):
    atoms = start()
    atoms.calc = conservative
    assert abs(drift(VelocityVerlet(atoms, TIMESTEP), atoms, 0.2)) < 0.1


def test_direct_forces_do_not(direct, tmp_path):
    atoms = start()
    atoms.calc = direct
    trajectory = str(tmp_path / "md.traj")  # of a calculator whose model came loaded, too
    assert abs(drift(VelocityVerlet(atoms, TIMESTEP, trajectory=trajectory), atoms, 0.1)) > 100.0
    assert len(ase.io.read(trajectory, ":")) == 201


def test_multiple_time_steps_do(conservative, direct, model_file, tmp_path):
    """Direct forces every 0.5 fs, conservative ones every 4 fs; the density of states along the way in one call."""
    atoms = start()
    atoms.calc = conservative
    trajectory = str(tmp_path / "md.traj")
    dynamics = MultipleTimeStep(atoms, 8 * TIMESTEP, direct, num_inner_steps=8, trajectory=trajectory)
    assert abs(drift(dynamics, atoms, 0.3)) < 0.5
    frames = ase.io.read(trajectory, ":")
    assert len(frames) == 76

    results = list(ElectronicStructureModel(model_file, device="cpu").predict_many(ase.io.iread(trajectory)))
    spectra = np.array([result.density_of_states for result in results])
    assert len(spectra) == len(frames)
    last = conservative.get_electronic_structure(atoms).density_of_states
    np.testing.assert_allclose(spectra[-1], last, rtol=0, atol=1e-9)
    assert np.abs(spectra[0] - spectra[-1]).max() > 1e-3


def test_direct_forces_are_those_of_metatomic(direct, model_file):
    """Computed without the derivative for the stress, which metatomic's calculator always adds."""
    atoms = aluminium(np.random.default_rng(3))
    plain = MetatomicCalculator(model_file, device="cpu", non_conservative="forces")
    np.testing.assert_allclose(direct.get_forces(atoms), plain.get_forces(atoms), rtol=0, atol=1e-10)
    assert direct.get_potential_energy(atoms) == pytest.approx(plain.get_potential_energy(atoms), abs=1e-10)
    assert set(direct.results) == {"energy", "forces"}
    np.testing.assert_allclose(direct.get_stress(atoms), plain.get_stress(atoms), rtol=0, atol=1e-10)


def test_a_model_without_direct_stress(model_file):
    message = r"non_conservative=True needs non_conservative_stress, but .*model\.pt predicts energy, mtt::dos, "
    with pytest.raises(ModelFileError, match=message):
        ElectronicStructureCalculator(model_file, device="cpu", non_conservative=True)


def test_example(model_file, tmp_path, monkeypatch, capsys):
    """The script that users read, from a model file and a structure file to a figure."""
    ase.io.write(tmp_path / "al.cif", bulk("Al", cubic=True))
    arguments = ["molecular_dynamics.py", str(model_file), str(tmp_path / "al.cif"), "--picoseconds", "0.016"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--output", str(tmp_path / "out")])
    matplotlib.use("Agg")
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = {row[0]: row[1:] for row in table if row and row[0] in ("conservative", "direct", "multiple_time_step")}
    assert len(rows) == 3 and all(np.isfinite([float(value) for value in row]).all() for row in rows.values())
    assert (tmp_path / "out" / "molecular_dynamics.png").stat().st_size > 10_000
    assert len(ase.io.read(tmp_path / "out" / "multiple_time_step.traj", ":")) == 5
