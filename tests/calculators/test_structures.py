"""Everything that `predict` takes."""

import re
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from electrain import ElectronicStructure, ElectronicStructureModel
from electrain.calculators import UnreadInputWarning
from electrain.calculators.structures import to_atoms

FRAMES = [bulk("Si"), molecule("H2O", vacuum=3.0), bulk("Al")]


@pytest.fixture
def file(tmp_path):
    ase.io.write(tmp_path / "frames.xyz", FRAMES, format="extxyz")
    return tmp_path / "frames.xyz"


def assert_same(found, expected):
    assert isinstance(found, list)
    for one, other in zip(found, expected, strict=True):
        assert one.formula == other.formula
        np.testing.assert_allclose(
            one.density_of_states, other.density_of_states, rtol=1e-5, atol=1e-7
        )  # positions have 8 digits


def test_one_and_several(model, file):
    expected = [model.predict(atoms) for atoms in FRAMES]
    assert all(isinstance(result, ElectronicStructure) for result in expected)
    assert_same(model.predict(FRAMES), expected)
    assert_same(model.predict(tuple(FRAMES), batch_size=2), expected)
    assert_same(model.predict(atoms for atoms in FRAMES), expected)
    assert_same(model.predict(file), expected)
    assert_same(model.predict(str(file)), expected)
    assert_same(model.predict(f"{file}@1:"), expected[1:])
    assert_same(model.predict(FRAMES[:1], per_atom=True), expected[:1])
    assert model.predict(FRAMES[:1], per_atom=True)[0].local_density_of_states.shape == (2, 800)
    assert model.predict([]) == []
    ase.io.write(file.with_name("one.cif"), FRAMES[0])
    assert len(model.predict(file.with_name("one.cif"))) == 1


def test_pymatgen(model):
    pytest.importorskip("pymatgen")
    from pymatgen.core import IStructure, Structure
    from pymatgen.io.ase import AseAtomsAdaptor

    structures = [AseAtomsAdaptor.get_structure(FRAMES[0]), AseAtomsAdaptor.get_molecule(FRAMES[1])]
    for structure, atoms in zip(structures, FRAMES, strict=False):
        found, expected = model.predict(structure), model.predict(atoms)
        np.testing.assert_allclose(found.density_of_states, expected.density_of_states, rtol=1e-6, atol=1e-8)
        assert found.atoms.pbc.tolist() == atoms.pbc.tolist()
    assert len(model.predict([*structures, FRAMES[2], IStructure.from_sites(structures[0])])) == 4
    assert len(list(model.predict_many(structures))) == 2
    slab = Structure(structures[0].lattice, ["Si"], [[0, 0, 0]])
    slab.lattice.pbc = (True, True, False)
    assert to_atoms(slab).pbc.tolist() == [True, True, False]


def test_states_of_pymatgen():
    pytest.importorskip("pymatgen")
    from pymatgen.core import Lattice, Molecule, Structure

    water = Molecule("OH", [[0, 0, 0], [0, 0, 1]], charge=-1, spin_multiplicity=3)
    assert to_atoms(water).info == {"charge": -1, "spin_multiplicity": 3}
    radical = Molecule("OH", [[0, 0, 0], [0, 0, 1]])
    assert to_atoms(radical).info == {"spin_multiplicity": 2}
    charged = Structure(Lattice.cubic(4), ["Si"], [[0, 0, 0]], charge=2)
    assert to_atoms(charged).info == {"charge": 2}  # and no warning about oxidation states
    assert to_atoms(Structure(Lattice.cubic(4), ["Fe2+", "D"], [[0, 0, 0], [0.5, 0.5, 0.5]])).info == {}


def test_charges_of_pymatgen_that_are_not_read(model_file):
    pytest.importorskip("pymatgen")
    from pymatgen.core import Molecule

    model = ElectronicStructureModel(model_file, device="cpu")
    model.predict(Molecule("OH", [[0, 0, 0], [0, 0, 1]]))
    with pytest.warns(UnreadInputWarning, match="ignores charge=-1 of HO"):
        model.predict(Molecule("OH", [[0, 0, 0], [0, 0, 1]], charge=-1))


def test_disorder(model):
    pytest.importorskip("pymatgen")
    from pymatgen.core import DummySpecies, Lattice, Structure

    alloy = Structure(Lattice.cubic(4), [{"Si": 0.5, "Al": 0.5}], [[0, 0, 0]])
    with pytest.raises(ValueError, match=r"structure 1: expected every site fully occupied by one element, got Al:"):
        model.predict([FRAMES[0], alloy])
    with pytest.raises(ValueError, match="expected chemical elements, got Xa"):
        model.predict(Structure(Lattice.cubic(4), [DummySpecies("Xa")], [[0, 0, 0]]))


def test_what_is_none(model, file, tmp_path):
    one = "expected a structure (ase.Atoms, or pymatgen's Structure or Molecule)"
    for wrong, message in (
        (3, f"{one}, several of them, or the name of a file, got int"),
        (None, "got NoneType"),
        (int, "got type"),
        ([FRAMES[0], "a.xyz"], f"structure 1: {one}, got str"),
        (b"a", f"structure 0: {one}, got int"),
    ):
        with pytest.raises(TypeError, match=re.escape(message)):
            model.predict(wrong)
    with pytest.raises(FileNotFoundError, match=r"nothing\.xyz: no such file"):
        model.predict(tmp_path / "nothing.xyz")
    Path(file).write_text("2\n\nSi 0 0 0\n")
    with pytest.raises(ValueError, match=r"frames\.xyz: cannot be read by ASE"):
        model.predict(file)


def test_model_in_a_terminal(model, dos_only_model, uncertain_file):
    assert repr(model) == (
        f"<ElectronicStructureModel {model.name} on cpu: density of states, band gap, Fermi level; "
        "5 elements (H C O Al Si)>"
    )
    assert "on cpu: density of states; 5 elements" in repr(dos_only_model)
    assert "Fermi level with uncertainties; " in repr(ElectronicStructureModel(uncertain_file, "cpu"))


def test_importing_the_package_imports_nothing_else():
    code = """
import sys, electrain
assert not {"torch", "numpy", "ase"} & set(sys.modules)
assert "ElectronicStructureModel" in dir(electrain)
try:
    electrain.nothing
except AttributeError as error:
    print(error)
from electrain import ElectronicStructureCalculator, ElectronicStructureModel
assert "torch" in sys.modules
"""
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "module 'electrain' has no attribute 'nothing'"
