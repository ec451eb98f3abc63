"""Models inside of ASE, with and without electrain."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.md.verlet import VelocityVerlet
from metatomic_ase import MetatomicCalculator

from electrain.calculators import ElectronicStructureCalculator

WITHOUT_ELECTRAIN = """
import sys, warnings

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("electrain", "metatrain"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
from ase.build import bulk
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator

calculator = MetatomicCalculator(sys.argv[1], device="cpu")
names = ["mtt::dos", "mtt::bandgap", "mtt::efermi"]
outputs = calculator.run_model(bulk("Si"), {name: ModelOutput(sample_kind="system") for name in names})
blocks = [outputs[name].block() for name in names]
print(blocks[0].values.sum().item(), blocks[1].values.item(), blocks[2].values.item())
print(blocks[0].properties.names[0], *blocks[0].properties.values[[0, -1], 0].tolist())
"""


def test_exported_model_needs_no_electrain(model, model_file):
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_ELECTRAIN, str(model_file)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    result = model.predict(bulk("Si"))
    expected = [result.density_of_states.sum(), result.band_gap, result.fermi_level]
    np.testing.assert_allclose([float(value) for value in lines[0].split()], expected, rtol=1e-9)
    assert lines[1] == "energy_micro_eV -30000000 9950000"


def test_calculator(model, model_file):
    atoms = bulk("Si").repeat((2, 1, 1))
    atoms.rattle(0.05, seed=0)
    calculator = ElectronicStructureCalculator(model_file, device="cpu")
    with pytest.raises(ValueError, match="expected a structure, because nothing has been calculated yet"):
        calculator.get_electronic_structure()
    atoms.calc = calculator
    forces = atoms.get_forces()
    result = calculator.get_electronic_structure(per_atom=True)
    expected = model.predict(atoms, per_atom=True)
    np.testing.assert_allclose(result.local_density_of_states, expected.local_density_of_states, rtol=1e-9)
    plain = atoms.copy()
    plain.calc = MetatomicCalculator(model_file, device="cpu")
    np.testing.assert_allclose(forces, plain.get_forces(), atol=1e-10)
    assert np.abs(forces).max() > 1e-6
    assert calculator.todict()["model"] == str(model_file)


def test_steps_of_a_trajectory_are_not_checked(model_file, checked):
    """But for the elements: a search for close atoms at every step would be for nothing."""
    atoms = bulk("Si")
    atoms.calc = ElectronicStructureCalculator(model_file, device="cpu")
    VelocityVerlet(atoms, timestep=0.5).run(3)
    assert checked == []
    atoms.calc.get_electronic_structure()
    assert checked == [atoms]


def test_unknown_elements(model_file):
    atoms = bulk("Fe")
    atoms.calc = ElectronicStructureCalculator(model_file, device="cpu")
    with pytest.raises(ValueError, match="the model does not know Fe; it knows the elements H C O Al Si"):
        atoms.get_potential_energy()


def test_atoms_on_top_of_each_other(model_file):
    atoms = Atoms("Si2", [[0, 0, 0], [0, 0, 0.001]])
    atoms.calc = ElectronicStructureCalculator(model_file, device="cpu")
    with pytest.raises(ValueError, match=r"atoms 0 \(Si\) and 1 \(Si\) are 0.001 A apart, expected at least 0.4 A"):
        atoms.get_potential_energy()


def test_no_stress_without_volume(model_file):
    atoms = bulk("Si")
    atoms.pbc = [True, True, False]
    atoms.calc = ElectronicStructureCalculator(model_file, device="cpu")
    with pytest.raises(
        ValueError, match=r"stress of Si2 was requested, but.*\(pbc \[True, True, False\]\) and has no volume"
    ):
        atoms.get_stress()
