"""Exported models with hot electrons, in ASE and as files."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.md.verlet import VelocityVerlet
from metals import AXIS, ELECTRONS
from metatensor.torch import Labels
from metatomic.torch import ModelEvaluationOptions, ModelOutput, load_atomistic_model, systems_to_torch
from metatomic_ase import MetatomicCalculator
from typer.testing import CliRunner
from vesin.metatomic import neighbor_lists_for_model

from electrain.calculators import (
    ElectronicStructureCalculator,
    ElectronicStructureModel,
    ModelFileError,
    with_hot_electrons,
)
from electrain.cli import app
from electrain.spectra import free_energy

TEMPERATURE = 10_000.0


@pytest.fixture(scope="module")
def hot_file(metal_file):
    """Saved and loaded: what engines run."""
    path = metal_file.with_name("hot.pt")
    with_hot_electrons(metal_file, TEMPERATURE, ELECTRONS).save(path)
    return path


@pytest.fixture(scope="module")
def cold(metal_file):
    return MetatomicCalculator(metal_file, device="cpu", do_gradients_with_energy=False)


@pytest.fixture(scope="module")
def hot(hot_file):
    return MetatomicCalculator(hot_file, device="cpu", check_consistency=True, do_gradients_with_energy=False)


@pytest.fixture(autouse=True)
def compile_quickly():
    """Each shape of the inputs would be optimised for seconds."""
    with torch.jit.optimized_execution(False):
        yield


@pytest.fixture
def aluminium():
    atoms = bulk("Al").repeat((2, 1, 1))
    atoms.rattle(0.1, seed=1)
    return atoms


def energy_of(atoms, calculator):
    copy = atoms.copy()
    copy.calc = calculator
    return copy.get_potential_energy()


def test_energy(cold, hot, metal_file, aluminium):
    """Cold energy plus the free energy of the predicted density of states, with three electrons per atom."""
    result = ElectronicStructureModel(metal_file, "cpu").predict(aluminium)
    states = torch.from_numpy(result.density_of_states).clamp_min(0.0)
    assert (result.density_of_states < -0.01).any()
    expected = float(free_energy(states, AXIS, 6.0, TEMPERATURE))
    assert expected < -0.5
    assert energy_of(aluminium, hot) - energy_of(aluminium, cold) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("charge", [-2, 0, 1])
def test_charges_change_the_number_of_electrons(charged_metal_file, tmp_path, charge):
    """Energies of a charged molecule, of the whole and as shares of its atoms, are those of the electrons it has."""
    path = tmp_path / "hot.pt"
    with_hot_electrons(charged_metal_file, TEMPERATURE).save(path)
    cold, hot = (MetatomicCalculator(file, device="cpu") for file in (charged_metal_file, path))
    atoms = molecule("CH3OH")
    atoms.info["charge"] = charge
    model = ElectronicStructureModel(charged_metal_file, "cpu")
    assert model.num_valence_electrons(atoms) == 14.0 - charge
    states = torch.from_numpy(model.predict(atoms).density_of_states).clamp_min(0.0)
    expected = float(free_energy(states, AXIS, 14.0 - charge, TEMPERATURE))
    assert energy_of(atoms, hot) - energy_of(atoms, cold) == pytest.approx(expected, rel=1e-7)
    of_atoms = MetatomicCalculator(path, device="cpu", do_gradients_with_energy=False)
    atoms.calc = of_atoms
    assert atoms.get_potential_energies().sum() == pytest.approx(energy_of(atoms, hot), rel=1e-9)


def test_a_proton_has_no_electrons_to_heat(charged_metal_file, tmp_path):
    hot = with_hot_electrons(charged_metal_file, TEMPERATURE)
    hot.save(tmp_path / "hot.pt")
    proton = Atoms("H", info={"charge": 1})
    energies = [
        energy_of(proton, MetatomicCalculator(path, device="cpu")) for path in (charged_metal_file, tmp_path / "hot.pt")
    ]
    assert energies[0] == energies[1]
    proton.info["charge"] = 2
    with pytest.raises(torch.jit.Error, match="no Fermi level inside the energy grid"):
        energy_of(proton, MetatomicCalculator(tmp_path / "hot.pt", device="cpu"))


@pytest.mark.parametrize("atoms", [bulk("Al", cubic=True), molecule("CH3OH")], ids=["crystal", "molecule"])
def test_forces_are_derivatives(atoms, hot, cold):
    atoms = atoms.copy()
    atoms.rattle(0.05, seed=2)
    atoms.calc = hot
    forces = atoms.get_forces()
    step = 1e-4
    for atom, direction in ((0, 0), (1, 2), (3, 1)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, direction] += sign * step
            energies.append(energy_of(moved, hot))
        expected = -(energies[0] - energies[1]) / (2 * step)
        assert forces[atom, direction] == pytest.approx(expected, rel=1e-5, abs=1e-8)
    atoms.calc = cold
    assert np.abs(forces - atoms.get_forces()).max() > 1e-3


def test_stress_is_a_derivative(hot, cold, aluminium):
    aluminium.calc = hot
    stress = aluminium.get_stress(voigt=False)
    step = 1e-5
    for i, j in ((0, 0), (1, 2)):
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5 * step
        strain[j, i] += 0.5 * step
        energies = []
        for sign in (1, -1):
            moved = aluminium.copy()
            moved.set_cell(aluminium.cell[:] @ (np.eye(3) + sign * strain), scale_atoms=True)
            energies.append(energy_of(moved, hot))
        expected = (energies[0] - energies[1]) / (2 * step) / aluminium.get_volume()
        assert stress[i, j] == pytest.approx(expected, rel=1e-5, abs=1e-9)
    aluminium.calc = cold
    assert np.abs(stress - aluminium.get_stress(voigt=False)).max() > 1e-4


def test_energy_is_conserved(hot, aluminium):
    """Up to the error of velocity Verlet, of second order in the time step; cold forces would not do."""

    def drift(time_step):
        atoms = aluminium.copy()
        atoms.calc = hot
        atoms.set_momenta(np.random.default_rng(0).normal(scale=8.0, size=(2, 3)))
        kinetic, totals = [], []

        def record():
            kinetic.append(atoms.get_kinetic_energy())
            totals.append(atoms.get_total_energy())

        dynamics = VelocityVerlet(atoms, time_step * units.fs)
        dynamics.attach(record)
        dynamics.run(round(40 / time_step))
        assert np.ptp(kinetic) > 0.02
        return np.ptp(totals) / np.ptp(kinetic)

    coarse, fine = drift(1.0), drift(0.5)
    assert coarse < 5e-3
    assert fine < coarse / 3.5


def test_no_temperature_is_the_cold_model(metal_file, cold, aluminium):
    """Towards zero the correction goes to zero as T^2."""
    energies = {}
    for temperature in (0.1, 300.0, 600.0):
        model = with_hot_electrons(metal_file, temperature, ELECTRONS)
        energies[temperature] = energy_of(aluminium, MetatomicCalculator(model, device="cpu")) - energy_of(
            aluminium, cold
        )
    assert energies[0.1] == pytest.approx(0.0, abs=1e-9)
    assert energies[600.0] / energies[300.0] == pytest.approx(4.0, rel=0.02)


def test_batches_atoms_and_selections(hot_file, metal_file, aluminium):
    """Energies per atom sum to the structure; of selected atoms, those of a structure of their own."""
    apart = molecule("H2O")
    apart.positions += 40.0
    joined = molecule("CH4") + apart
    frames = [aluminium, joined, molecule("CH4")]
    model = load_atomistic_model(hot_file)
    systems = systems_to_torch(frames, dtype=torch.float64)
    for neighbor_list in neighbor_lists_for_model("angstrom", model):
        neighbor_list.add_neighbor_list(systems)

    def run(kind, outputs=("energy",), selected=None):
        requested = {name: ModelOutput(sample_kind=kind if name == "energy" else "system") for name in outputs}
        options = ModelEvaluationOptions("angstrom", requested, selected)
        return {name: values.block().values for name, values in model(systems, options, True).items()}

    whole, per_atom = run("system")["energy"][:, 0], run("atom")["energy"][:, 0]
    sums = torch.stack([part.sum() for part in per_atom.split([len(atoms) for atoms in frames])])
    torch.testing.assert_close(sums, whole)
    mixed = run("atom", ("energy", "mtt::dos"))
    torch.testing.assert_close(mixed["energy"][:, 0], per_atom)
    assert mixed["mtt::dos"].shape == (3, AXIS.size)

    pairs = [[1, atom] for atom in range(5)] + [[0, 0]]
    selected = Labels(["system", "atom"], torch.tensor(pairs, dtype=torch.int32))
    of_selected = run("system", selected=selected)["energy"][:, 0]
    torch.testing.assert_close(of_selected[1], whole[2])
    torch.testing.assert_close(run("atom", selected=selected)["energy"][1:].sum(), whole[2])
    assert float(of_selected[2]) == 0.0


def test_what_the_model_says(metal_file, hot_file, aluminium):
    model = load_atomistic_model(hot_file)
    assert model.capabilities().interaction_range == float("inf")
    assert "10000 K" in model.metadata().description
    assert "with hot electrons" in model.capabilities().outputs["energy"].description
    calculator = ElectronicStructureCalculator(hot_file, device="cpu")
    cold_states = ElectronicStructureModel(metal_file, "cpu").predict(aluminium).density_of_states
    np.testing.assert_allclose(calculator.get_electronic_structure(aluminium).density_of_states, cold_states)
    with pytest.raises(ModelFileError, match="already has electrons at 10000 K; start from the cold model"):
        with_hot_electrons(hot_file, 300.0, ELECTRONS)


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        (
            None,
            ModelFileError,
            'does not store the number of valence electrons of its elements; pass them .--valence-electrons "Si=4 O=6"',
        ),
        ({"Al": 3.0, "Si": 4.0}, ValueError, "the number of valence electrons of H, C, O is not known"),
        (ELECTRONS | {"Al": -3.0}, ValueError, "expected a positive number of valence electrons, got Al=-3"),
        (ELECTRONS | {"aluminium": 3.0}, ValueError, "expected chemical symbols .*, got aluminium"),
    ],
)
def test_wrong_electrons(metal_file, counts, error, message):
    with pytest.raises(error, match=message):
        with_hot_electrons(metal_file, 300.0, counts)


def test_stored_valence_electrons(level_file, aluminium):
    """A model that knows them needs no list."""
    one, other = (with_hot_electrons(level_file, TEMPERATURE, counts) for counts in (None, ELECTRONS))
    energies = [
        energy_of(aluminium, MetatomicCalculator(model, device="cpu", do_gradients_with_energy=False))
        for model in (one, other)
    ]
    assert energies[0] == pytest.approx(energies[1], abs=1e-12)


def test_wrong_models(dos_only_file, energy_only_file):
    with pytest.raises(ModelFileError, match=r"dos\.pt predicts no energy .*, but mtt::dos"):
        with_hot_electrons(dos_only_file, 300.0, ELECTRONS)
    with pytest.raises(ModelFileError, match=r"energy\.pt does not predict a density of states"):
        with_hot_electrons(energy_only_file, 300.0, ELECTRONS)


def test_too_few_states(metal_file):
    model = with_hot_electrons(metal_file, 300.0, {symbol: 60.0 for symbol in ELECTRONS})
    atoms = Atoms("Al", cell=[4, 4, 4], pbc=True, calculator=MetatomicCalculator(model, device="cpu"))
    with pytest.raises(ValueError, match="no Fermi level inside the energy grid"):
        atoms.get_potential_energy()


def test_command(metal_file, hot_file, tmp_path, hot, aluminium):
    def run(*arguments):
        return CliRunner().invoke(app, ["hot", str(metal_file), *arguments])

    counts = ["--valence-electrons", "H=1 C=4, O=6 Al=3 Si=4"]
    path = tmp_path / "new.pt"
    result = run("-T", "10000", "-o", str(path), *counts)
    assert result.exit_code == 0, result.output
    assert f"wrote {path}: energy, forces and stress with electrons at 10000 K" in result.output
    written = MetatomicCalculator(path, device="cpu", do_gradients_with_energy=False)
    assert energy_of(aluminium, written) == pytest.approx(energy_of(aluminium, hot), abs=1e-12)
    path = tmp_path / "other.pt"
    for code, arguments, message in (
        (2, ["-T", "0", "-o", str(path), *counts], "error: expected a positive electronic temperature in K, got 0"),
        (2, ["-T", "nan", "-o", str(path), *counts], "error: expected a positive electronic temperature in K, got nan"),
        (1, ["-T", "1e9", "-o", str(path), *counts], "1e+09 K is too hot for this model's axis, which ends 14.95 eV"),
        (1, ["-T", "300", "-o", str(path)], "does not store the number of valence electrons"),
        (
            2,
            ["-T", "300", "-o", "hot.ckpt", *counts],
            "error: expected an output file that ends with .pt, got hot.ckpt",
        ),
        (2, ["-T", "300", "-o", str(path), "--valence-electrons", "Al:3"], "such as 'Si=4 O=6', got 'Al:3'"),
        (2, ["-T", "300", "-o", str(path), "--valence-electrons", "Al=3 Al=4"], "for each element, got Al twice"),
        (2, ["-T", "300", "-o", str(path), "--valence-electrons", "Al=nan"], "valence electrons, got Al=nan"),
        (1, ["-T", "300", "-o", str(tmp_path / "no" / "x.pt"), *counts], "error: cannot write"),
    ):
        result = run(*arguments)
        assert result.exit_code == code
        assert message in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["new.pt"]
