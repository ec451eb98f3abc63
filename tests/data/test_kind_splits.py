"""Splits out of distribution: by the number of elements, and by crystal systems."""

import json

import pytest
from ase import Atoms
from ase.build import bulk
from real_calculations import SEMICONDUCTORS_AND_MOLECULES
from typer.testing import CliRunner

from electrain.cli import app
from electrain.data import prepare_dataset
from electrain.data.fixed import prepare_spectra
from electrain.data.kind_splits import KindSplit, read_kind_split, split_by_kind
from electrain.data.splits import identity_of
from electrain.structures.crystal_systems import CRYSTAL_SYSTEMS, crystal_system

pytestmark = pytest.mark.usefixtures("no_summary")


def made(formulas, **info):
    """Identities of structures, with a parent if given by formula."""
    atoms = [Atoms(formula, info={"parent": info[formula]} if formula in info else {}) for formula in formulas]
    return [identity_of(one) for one in atoms]


def test_training_on_two_and_three_elements():
    formulas = ["NaCl", "MgO", "NaMgO2", "Na", "Mg", "O2", "Cl2", "NaMgOCl", "Xe"]
    placed = split_by_kind(made(formulas), [None] * 9, read_kind_split("species"))
    assert [one.part for one in placed[:3]] == ["train"] * 3
    assert {one.part for one in placed[3:8]} == {"validation", "test"}
    assert placed[8].part is None and placed[8].reason.endswith("got also Xe")


def test_halves_are_equal_and_seeded():
    elements = ["Li", "Na", "K", "Rb", "Cs", "Be", "Mg", "Ca", "Sr", "Ba"]
    formulas = [a + b for a in elements for b in elements if a < b] + elements
    identities, chosen = made(formulas), read_kind_split("species=2")
    halves = []
    for seed in (0, 0, 1):
        placed = split_by_kind(identities, [None] * len(formulas), chosen, seed=seed)
        halves.append([one.part for one in placed[-10:]])
        assert sorted(halves[-1]) == ["test"] * 5 + ["validation"] * 5
    assert halves[0] == halves[1] != halves[2]


def test_a_compound_is_not_on_two_sides():
    """A monoclinic polymorph of a cubic training structure is left out; copies of one structure stay together."""
    formulas = ["NaCl", "NaCl", "NaO", "NaO", "NaO", "ClO", "Si"]
    systems = ["cubic", "monoclinic", "triclinic", "triclinic", "monoclinic", "cubic", None]
    placed = split_by_kind(made(formulas), systems, KindSplit("crystal-system", ("cubic",)))
    assert [one.part for one in placed] == ["train", None, *["validation"] * 3, "train", None]
    assert "crystal system" in placed[1].reason and "no symmetry" in placed[6].reason


def test_what_cannot_be_split():
    with pytest.raises(ValueError, match="there are 1, 2"):
        split_by_kind(made(["Na", "NaCl"]), [None] * 2, read_kind_split("species=4"))
    with pytest.raises(ValueError, match="there are 2"):
        split_by_kind(made(["NaCl", "MgO"]), [None] * 2, read_kind_split("species"))


@pytest.mark.parametrize("text", ["species=0", "species=a", "species=", "crystal-system=cubik", "crystal-system=",
                                  "crystal-system=" + ",".join(CRYSTAL_SYSTEMS)])  # fmt: skip
def test_unknown_kinds(text):
    with pytest.raises(ValueError, match="expected"):
        read_kind_split(text)


def test_other_splits_are_none_of_these():
    assert read_kind_split("8:1:1") is None and read_kind_split("given") is None


def test_prepare_by_species_and_by_crystal_system(tmp_path):
    """Elements, compounds, crystals and molecules; everything that is left out has a reason."""
    prepared = prepare_dataset([SEMICONDUCTORS_AND_MOLECULES], tmp_path / "species", split="species=2")
    numbers = {part: {len(row.identity.elements) for row in rows} for part, rows in prepared.parts.items()}
    assert numbers["train"] == {2} and 2 not in numbers["validation"] | numbers["test"]
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["split"]["trained_on"] == "species=2" and "--split species=2 " in manifest["command"]
    known = {element for row in prepared.parts["train"] for element in row.identity.elements}
    assert all(set(row.identity.elements) <= known for part in prepared.parts for row in prepared.parts[part])
    systems = prepare_dataset([SEMICONDUCTORS_AND_MOLECULES], tmp_path / "systems", split="crystal-system=cubic")
    found = {part: {crystal_system(one.atoms) for one in systems.calculations(part)} for part in systems.parts}
    assert found["train"] == {"cubic"} and "cubic" not in found["validation"] | found["test"]
    assert "no symmetry" in " ".join(one.reason for one in systems.rejected)


def test_spectra_by_crystal_system(tmp_path):
    frequencies = list(range(0, 100, 10))
    rows = [
        {
            "atoms": {key: value.tolist() for key, value in (("numbers", one.numbers), ("positions", one.positions),
                                                              ("cell", one.cell[:]), ("pbc", one.pbc))},
            "frequencies": frequencies,
            "dos": [0.0, *[1.0] * 9],
        }
        for one in [bulk("NaCl", "rocksalt", a=5.6), bulk("Na"), bulk("NaCl", "cesiumchloride", a=3.4),
                    Atoms("Cl2", [[0, 0, 0], [2, 0, 0]], cell=[3, 4, 5, 80, 100, 75], pbc=True)]
    ]  # fmt: skip
    table = tmp_path / "table.json"
    table.write_text(json.dumps(rows))
    options = {"kind": "phonon", "source_unit": "cm^-1", "normalize": "maximum"}
    prepared = prepare_spectra([table], tmp_path / "data", split="crystal-system=cubic", **options)
    formulas = {part: [one.atoms.get_chemical_formula() for one in found] for part, found in prepared.parts.items()}
    assert formulas == {"train": ["ClNa", "Na", "ClNa"], "validation": ["Cl2"]}
    subsets = {part: [one.atoms.info["subset"] for one in found] for part, found in prepared.parts.items()}
    assert subsets == {"train": ["cubic"] * 3, "validation": ["triclinic"]}
    table.write_text(json.dumps([*({**row, "subset": ""} for row in rows[:3]), {**rows[3], "subset": "mine"}]))
    species = prepare_spectra([table], tmp_path / "species", split="species=2", **options)
    subsets = {part: [one.atoms.info["subset"] for one in found] for part, found in species.parts.items()}
    assert subsets.pop("train") == ["2 elements"] * 2
    assert sorted(name for found in subsets.values() for name in found) == ["1 element", "mine"]
    with pytest.raises(ValueError, match="got 'species=2,x'"):
        prepare_spectra([table], tmp_path / "other", split="species=2,x", **options)
    assert not (tmp_path / "other").exists()


def test_an_unknown_split_on_the_command_line(tmp_path):
    command = ["prepare", str(SEMICONDUCTORS_AND_MOLECULES), "-o", str(tmp_path / "data"), "--split"]
    for split, words in (("crystal-system=cubik", "some of the crystal systems"), ("specie", "'crystal-system'")):
        result = CliRunner().invoke(app, [*command, split])
        assert result.exit_code != 0 and words in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "data").exists()
