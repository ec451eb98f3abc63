"""Data sets of spectra on a fixed axis: tables, phonopy and pymatgen, splits, units, and what is refused."""

import csv
import io
import json
import os
import re

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, get_dataset
from metatrain.utils.omegaconf import expand_dataset_config
from omegaconf import OmegaConf
from typer.testing import CliRunner

from electrain.architectures.pet_mad.model import PETMAD
from electrain.cli import app
from electrain.data import NothingUsableError
from electrain.data.fixed import prepare_spectra
from electrain.data.fixed.reading import SpectraPart, has_fixed_axis
from electrain.data.fixed.spectrum import normalized
from electrain.data.reading import PreparedPart
from electrain.files.own_files import DamagedFileError
from electrain.spectra.fixed_axis import FixedAxis
from electrain.spectra.units import conversion_factor

pytestmark = pytest.mark.usefixtures("no_summary")

AXIS = FixedAxis(0.0, 20.0, 51, "cm^-1")
PARTS = ["train", "train", "train", "validation", "test"]
STRUCTURES = [bulk("Si"), bulk("Al"), bulk("SiC", "zincblende", a=4.36), bulk("NaCl", "rocksalt", a=5.6), bulk("C")]


def density(atoms, axis=AXIS, height=None):
    """Three states an atom: a peak at a place of its own."""
    centre = conversion_factor("cm^-1", axis.unit) * (300.0 + 10.0 * atoms.numbers.mean())
    width = conversion_factor("cm^-1", axis.unit) * 60.0
    peak = np.exp(-0.5 * ((axis.values().numpy() - centre) / width) ** 2)
    return 3 * len(atoms) * peak / (peak.sum() * axis.step)


def ase_dict(atoms):
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell[:].tolist(),
        "pbc": atoms.pbc.tolist(),
    }


def pymatgen_dict(atoms):
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": place.tolist(), "label": symbol}
        for symbol, place in zip(atoms.get_chemical_symbols(), atoms.get_scaled_positions(), strict=True)
    ]
    return {"@class": "Structure", "lattice": {"matrix": atoms.cell[:].tolist()}, "sites": sites}


def cif(atoms):
    text = io.BytesIO()
    ase.io.write(text, atoms, format="cif")
    return text.getvalue().decode()


@pytest.fixture
def write_csv(tmp_path):
    def write(structures=STRUCTURES, name="phonons.csv", layout=ase_dict, **columns):
        rows = [
            {
                "mp_id": f"mp-{number}",
                "structure": layout(atoms),
                "phfreq": AXIS.values().tolist(),
                "phdos": density(atoms).tolist(),
            }
            for number, atoms in enumerate(structures)
        ]
        for column, cells in columns.items():
            for row, cell in zip(rows, cells, strict=True):
                row[column] = cell
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def prepare(tmp_path):
    def run(*sources, **options):
        settings = {"kind": "phonon", "source_unit": "cm^-1", **options}
        return prepare_spectra(sources, tmp_path / "data", **settings)

    return run


def read_back(prepared, part, monkeypatch):
    """Structures and values of a part as `mtt train options.yaml` reads them."""
    monkeypatch.chdir(prepared.folder)
    options = OmegaConf.load("options.yaml")
    (expanded,) = expand_dataset_config(options["training_set" if part == "train" else f"{part}_set"])
    dataset, info = get_dataset(expanded)[:2]
    assert info[prepared.target].sample_kind == "system"
    hypers = {**get_default_hypers("pet_mad")["model"], **OmegaConf.to_container(options["architecture"]["model"])}
    model = PETMAD(hypers, DatasetInfo("angstrom", [6, 11, 13, 14, 17], info))
    assert model.fixed_axes == {prepared.target: prepared.axis}
    return [(sample.system, sample[prepared.target].block().values[0]) for sample in dataset], options


def spectra_of(prepared, part, unit="cm^-1"):
    factor = conversion_factor("cm^-1", unit)
    return [density(spectrum.atoms) / factor for spectrum in prepared.parts[part]]


@pytest.mark.parametrize("form", ["xyz", "zip", "memmap"])
def test_from_a_table_to_metatrain(write_csv, prepare, monkeypatch, form):
    prepared = prepare(write_csv(split=PARTS), form=form, split=None)
    assert {part: len(spectra) for part, spectra in prepared.parts.items()} == {"train": 3, "validation": 1, "test": 1}
    for part in prepared.parts:
        found, options = read_back(prepared, part, monkeypatch)
        expected = zip(prepared.parts[part], spectra_of(prepared, part), strict=True)
        for (system, values), (spectrum, known) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(system.types.numpy(), spectrum.atoms.numbers)
            np.testing.assert_allclose(system.positions.numpy(), spectrum.atoms.positions, atol=1e-6)
            np.testing.assert_allclose(values.numpy(), known, rtol=1e-6, atol=1e-8)
    axes = options["architecture"]["model"]["fixed_axes"]
    assert FixedAxis.from_dict(axes["mtt::phonon_dos"]) == prepared.axis == AXIS
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["units"]["mtt::phonon_dos"] == "states/cm^-1"
    assert manifest["fixed_axes"] == {"mtt::phonon_dos": AXIS.to_dict()}
    check_parts(prepared)
    with pytest.raises(ValueError, match=r"has spectra on a fixed axis \(mtt::phonon_dos\)"):
        PreparedPart(prepared.folder, "test")


@pytest.mark.parametrize("form", ["xyz", "zip", "memmap"])
def test_crystal_systems(write_csv, prepare, monkeypatch, form):
    """Are written for all structures, and read by `mtt train options.yaml`."""
    trained = [bulk("Si"), bulk("Mg"), molecule("OH", vacuum=4.0)]
    prepared = prepare(write_csv([*trained, bulk("Ti"), bulk("C")], split=PARTS), form=form, split=None)
    monkeypatch.chdir(prepared.folder)
    options, name = OmegaConf.load("options.yaml"), "mtt::crystal_system"
    for part, numbers in (("training", [1, 2, 0]), ("validation", [2]), ("test", [1])):
        (expanded,) = expand_dataset_config(options[f"{part}_set"])
        dataset, _, info = get_dataset(expanded)
        assert [sample._asdict()[name].block().values.tolist() for sample in dataset] == [[[n]] for n in numbers]
        assert info[name].sample_kind == "system"
    given = [atoms.info.get("crystal_system") for atoms in SpectraPart(prepared.folder, "train").structures]
    assert given == ([1, 2, 0] if form == "xyz" else [None] * 3)
    assert "# 1: cubic, 2: hexagonal, 3: trigonal, 4: tetragonal," in (prepared.folder / "options.yaml").read_text()


def test_molecules_have_no_crystal_system(write_csv, prepare):
    """So nothing is said of it."""
    prepared = prepare(write_csv([molecule(name) for name in ("CO", "OH", "CN", "O2", "N2")]), form="xyz")
    assert not any("extra_data" in line for line in (prepared.folder / "options.yaml").read_text().splitlines())


def check_parts(prepared):
    """Everything that was prepared is read back by electrain itself, too."""
    assert has_fixed_axis(prepared.folder) and not has_fixed_axis(prepared.folder.parent)
    for name, spectra in prepared.parts.items():
        part = SpectraPart(prepared.folder, name)
        assert (part.target, part.axis, len(part)) == (prepared.target, AXIS, len(spectra))
        np.testing.assert_allclose(part.spectra, spectra_of(prepared, name), rtol=1e-6, atol=1e-8)
        for atoms, entry, spectrum in zip(part.structures, part.entries, spectra, strict=True):
            np.testing.assert_array_equal(atoms.numbers, spectrum.atoms.numbers)
            np.testing.assert_allclose(atoms.positions, spectrum.atoms.positions, atol=1e-6)
            np.testing.assert_allclose(atoms.cell[:], spectrum.atoms.cell[:], atol=1e-6)
            assert (entry.name, entry.num_atoms) == (spectrum.atoms.info["id"], len(atoms))
            assert entry.formula == atoms.get_chemical_formula("metal")
        assert np.isnan(part.fermi_energies).all()


def test_parts_that_cannot_be_read(write_csv, prepare):
    folder = prepare(write_csv(split=["train", "train", "train", "train", "validation"]), split=None).folder
    with pytest.raises(
        ValueError, match=r"expected structures in the part 'test' of .*, which has none \(train 4, val"
    ):
        SpectraPart(folder, "test")
    with pytest.raises(ValueError, match="expected one of the parts train, validation, test, got 'tests'"):
        SpectraPart(folder, "tests")
    frames = ase.io.read(folder / "train.xyz", ":")
    ase.io.write(folder / "train.xyz", frames[:3])
    with pytest.raises(ValueError, match=r"train.xyz: expected 4 structures as in structures.csv, got 3"):
        SpectraPart(folder, "train")
    frames[1].info["phonon_dos"] = frames[1].info["phonon_dos"][:-1]
    ase.io.write(folder / "train.xyz", frames)
    with pytest.raises(ValueError, match=r"structure 1: expected a phonon density of states on 51 channels, got 50"):
        SpectraPart(folder, "train")
    (folder / "train.xyz").write_text("damaged")
    with pytest.raises(DamagedFileError, match=r"train.xyz is damaged: expected structures in the format xyz"):
        SpectraPart(folder, "train")
    (folder / "train.xyz").unlink()
    with pytest.raises(FileNotFoundError, match=r"lists train.xyz, which does not exist"):
        SpectraPart(folder, "train")
    (folder / "manifest.json").write_text('{"fixed_axes": {}}')
    with pytest.raises(DamagedFileError, match=r"manifest.json is damaged: expected a manifest of spectra on a fixed"):
        SpectraPart(folder, "train")


def test_fermi_energies_and_subsets(write_csv, prepare):
    """From a column, or from ASE's dictionary; unknown ones stay unknown, and wrong ones are named."""
    inside = [{**ase_dict(atoms), "info": {"efermi": 4.5}} for atoms in STRUCTURES]
    del inside[2]["info"]
    path = write_csv(
        structure=inside,
        fermi_energy=["5.25", "nan", "", "high", -1.5],
        subset=["bulk", "bulk", "", "bulk", "layer"],
        split=["train", "train", "train", "validation", "validation"],
    )
    prepared = prepare(path, kind="electronic", split=None, normalize="maximum")
    assert [rejected.reason for rejected in prepared.rejected] == [
        "expected a Fermi energy in eV as 'fermi_energy', got 'high'"
    ]
    train, validation = (SpectraPart(prepared.folder, name) for name in ("train", "validation"))
    np.testing.assert_array_equal(train.fermi_energies, [5.25, 4.5, np.nan])
    assert [entry.subset for entry in train.entries] == ["bulk", "bulk", "all"]
    assert (validation.fermi_energies.tolist(), validation.entries[0].subset) == ([-1.5], "layer")
    phonons = prepare(path, split=None, overwrite=True)
    assert "Fermi" not in (phonons.folder / "structures.csv").read_text()


@pytest.mark.parametrize("layout", [ase_dict, pymatgen_dict, cif, lambda atoms: json.dumps(pymatgen_dict(atoms))])
def test_structures(write_csv, prepare, layout):
    prepared = prepare(write_csv(layout=layout))
    found = {s.atoms.info["id"]: s.atoms for spectra in prepared.parts.values() for s in spectra}
    assert not prepared.rejected
    for number, atoms in enumerate(STRUCTURES):
        same = found[f"mp-{number}"]
        assert sorted(same.numbers) == sorted(atoms.numbers) and same.pbc.all()
        np.testing.assert_allclose(same.get_volume(), atoms.get_volume(), rtol=1e-4)
        if layout is ase_dict:
            np.testing.assert_array_equal(same.positions, atoms.positions)


def test_more_cells_than_columns(write_csv, prepare):
    path = write_csv()
    lines = path.read_text().splitlines()
    lines[2] += ",1,2"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"expected 4 cells as in the header, got 6 in row 1; cells with commas need"):
        prepare(path)


@pytest.mark.parametrize("orient", ["rows", "columns", "pandas"])
def test_json_tables(tmp_path, prepare, orient):
    rows = [
        {"atoms": ase_dict(atoms), "omega": AXIS.values().tolist(), "g": density(atoms).tolist()}
        for atoms in STRUCTURES
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    by_index = {name: {str(i): cell for i, cell in enumerate(cells)} for name, cells in columns.items()}
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"rows": rows, "columns": columns, "pandas": by_index}[orient]))
    prepared = prepare(path, columns=("atoms", "omega", "g"))
    assert sum(map(len, prepared.parts.values())) == 5 and not prepared.rejected
    with pytest.raises(
        ValueError, match=r"table.json: expected a column for the axis, phfreq, .*, got atoms, omega, g"
    ):
        prepare(path, overwrite=True)


def phonopy_folder(path, atoms, densities=None, start=0.0, with_yaml=True):
    """As phonopy writes it, in THz, three states an atom."""
    path.mkdir(parents=True)
    axis = FixedAxis(start, 0.05, 601, "THz")
    values = density(atoms, axis) if densities is None else densities(axis.values().numpy())
    lines = "".join(f"{x:20.10f}{y:20.10f}\n" for x, y in zip(axis.values().tolist(), values, strict=True))
    (path / "total_dos.dat").write_text("# Tetrahedron method\n" + lines)
    if not with_yaml:
        ase.io.write(path / "POSCAR", atoms, format="vasp")
        return
    points = [
        {"symbol": symbol, "coordinates": place.tolist(), "mass": 1.0}
        for symbol, place in zip(atoms.get_chemical_symbols(), atoms.get_scaled_positions(), strict=True)
    ]
    cell = {"lattice": atoms.cell[:].tolist(), "points": points}
    (path / "phonopy.yaml").write_text(json.dumps({"primitive_cell": cell, "unit_cell": {"lattice": [], "points": []}}))


def test_phonopy(tmp_path, prepare):
    """In a folder that is searched, on another axis in another unit, with all of its states."""
    for number, atoms in enumerate(STRUCTURES):
        phonopy_folder(tmp_path / "all" / str(number), atoms, with_yaml=number != 1)
    prepared = prepare(tmp_path / "all", source_unit=None, unit="cm^-1", grid=(0, 1000), step=10.0, form="xyz")
    assert prepared.axis == FixedAxis(0.0, 10.0, 101, "cm^-1") and not prepared.rejected
    for part, spectra in prepared.parts.items():
        written = ase.io.read(prepared.folder / f"{part}.xyz", ":")
        for atoms, spectrum in zip(written, spectra, strict=True):
            found = atoms.info["phonon_dos"]
            assert found.sum() * 10.0 == pytest.approx(3 * len(atoms), rel=1e-6)
            fine = density(spectrum.atoms, FixedAxis(0.0, 10.0, 101, "cm^-1"))
            # a channel has the mean over its 10 cm^-1, at the peak lower by a share of 10^2 / (24 * 60^2) = 1.16e-3
            np.testing.assert_allclose(found, fine, atol=1.2e-3 * fine.max())


def test_negative_frequencies(tmp_path, prepare):
    """The tail of a smearing below zero is cut off; imaginary modes are refused, as is the spectrum of another cell."""
    good, unstable, other = STRUCTURES[:3]
    phonopy_folder(tmp_path / "all" / "a", good, start=-0.5)
    phonopy_folder(tmp_path / "all" / "b", unstable, start=-0.5, densities=lambda x: 3.0 / 30.0 * np.ones_like(x))
    phonopy_folder(tmp_path / "all" / "c", other, densities=lambda x: 6.0 * density(other, AXIS.in_unit("THz"))[0] + x)
    prepared = prepare(tmp_path / "all", source_unit=None)
    assert (prepared.axis.start, prepared.axis.size) == (0.0, 591)
    assert prepared.split.validates_on_training_set
    reasons = {rejected.source: rejected.reason for rejected in prepared.rejected}
    assert reasons["b/total_dos.dat"].startswith("expected frequencies from 0 on, got 1.7 % of the states below")
    assert reasons["c/total_dos.dat"].startswith("expected 6 states, three for each of 2 atoms, got 45")


def test_pymatgen(tmp_path, prepare):
    axis = FixedAxis(0.0, 0.1, 301, "THz")
    for number, atoms in enumerate(STRUCTURES):
        folder = tmp_path / "all" / str(number)
        folder.mkdir(parents=True)
        content = {"@class": "CompletePhononDos", "frequencies": axis.values().tolist()}
        content |= {"densities": density(atoms, axis).tolist(), "structure": pymatgen_dict(atoms)}
        if number == 0:  # a PhononDos alone has no structure
            content = {"@class": "PhononDos", "frequencies": content["frequencies"], "densities": content["densities"]}
            ase.io.write(folder / "structure.cif", atoms)
        if number == 1:
            del content["structure"]
        (folder / "dos.json").write_text(json.dumps(content))
    prepared = prepare(tmp_path / "all", source_unit=None)
    assert prepared.axis == axis and sum(map(len, prepared.parts.values())) == 4
    (rejected,) = prepared.rejected
    assert "expected a structure beside it, one of phonopy.yaml, " in rejected.reason


def test_normalisation(write_csv, prepare, monkeypatch):
    prepared = prepare(write_csv(split=PARTS), normalize="smoothed", split=None, form="zip")
    assert prepared.target == "mtt::phonon_dos_normalized"
    found, _ = read_back(prepared, "train", monkeypatch)
    for (_, values), known in zip(found, spectra_of(prepared, "train"), strict=True):
        assert float(values.max()) == 1.0 and float(values.min()) >= 0.0
        # inside, a line through 17 channels has their mean in its middle
        means = np.array([known[i - 8 : i + 9].mean() for i in range(8, 43)])
        np.testing.assert_allclose(values[8:43] / values[25], means / means[17], rtol=1e-10)
    sharp = np.zeros(51)
    sharp[3] = 1.0
    assert normalized(sharp, "smoothed").min() == 0.0  # extrapolated lines at the ends would be negative
    np.testing.assert_array_equal(normalized(4 * sharp, "maximum"), sharp)
    with pytest.raises(ValueError, match="expected at least 17 known channels, the window of the filter, got 16"):
        normalized(np.ones(16), "smoothed")
    with pytest.raises(ValueError, match="expected a spectrum with states"):
        normalized(np.zeros(51), "maximum")


def test_electrons_are_unknown_beyond_their_window(tmp_path, prepare):
    energies = np.linspace(-5, 5, 101)
    rows = [
        {"atoms": ase_dict(atoms), "energies": energies.tolist(), "dos": (2 + np.cos(energies)).tolist()}
        for atoms in STRUCTURES
    ]
    path = tmp_path / "electrons.json"
    path.write_text(json.dumps(rows))
    options = {"kind": "electronic", "source_unit": "eV", "unit": "eV", "grid": (-6, 4), "step": 0.1, "form": "xyz"}
    prepared = prepare(path, **options)
    assert prepared.target == "mtt::electronic_dos"
    values = ase.io.read(prepared.folder / "train.xyz").info["electronic_dos"]
    assert np.isnan(values[:10]).all()
    np.testing.assert_allclose(values[10:], 2 + np.cos(energies[:91]), rtol=1e-2)


def write_indices(folder, **parts):
    names = []
    for part, rows in parts.items():
        (folder / f"{part}.txt").write_text("".join(f"{row}\n" for row in rows))
        names.append(str(folder / f"{part}.txt"))
    return names


def test_index_files(write_csv, prepare, tmp_path):
    """Numbers are those of rows, whether others can be used or not."""
    cells = [str(density(atoms).tolist()) for atoms in STRUCTURES]
    cells[1] = ""
    path = write_csv(phdos=cells)
    prepared = prepare(path, split=write_indices(tmp_path, train=[3, 0], validation=[1, 2], test=[]))
    assert [s.atoms.info["id"] for s in prepared.parts["train"]] == ["mp-0", "mp-3"]
    assert [s.atoms.info["id"] for s in prepared.parts["validation"]] == ["mp-2"]
    assert "test" not in prepared.parts and prepared.num_unused == 1
    assert "test_set" not in (prepared.folder / "options.yaml").read_text()
    assert [rejected.reason for rejected in prepared.rejected] == [
        "expected a value in each column, got none for phdos"
    ]
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert list(manifest["split"]["files"]) == ["train.txt", "validation.txt", "test.txt"]
    wrong = {
        r"expected numbers of the 5 rows in .*test.txt, 0 to 4, got 5; remove it": {"test": [5]},
        r"expected row 0 once in the files of a split, got it in .*train.txt and .*test.txt": {"test": [0]},
        r"expected the number of a row in line 1 of .*test.txt, got 'x'": {"test": ["x"]},
        r"expected at least one usable structure in the validation set of the given split, got none": {
            "validation": [1]
        },
    }
    for message, change in wrong.items():
        files = write_indices(tmp_path, **{"train": [0], "validation": [2], "test": [3], **change})
        with pytest.raises(ValueError, match=message):
            prepare(path, split=files, overwrite=True)
    assert [s.name for s in os.scandir(prepared.folder) if s.name.startswith(".")] == []  # nothing half written
    assert len(ase.io.read(prepared.folder / "train.xyz", ":")) == 2  # and the older one is still there


def test_given_split(write_csv, prepare):
    parts = ["train", "test", "validation", "train", "test"]
    prepared = prepare(write_csv(split=parts), split=None)
    assert {part: len(spectra) for part, spectra in prepared.parts.items()} == {"train": 2, "validation": 1, "test": 2}
    with pytest.raises(
        ValueError,
        match=r"in the column or key 'split' of every .* in 5 of them, the first phonons.csv, row 0",
    ):
        prepare(write_csv(), split=None, overwrite=True)


def test_wrong_rows(write_csv, prepare):
    """Named with what is wrong; the others are used."""
    axis, spectrum = AXIS.values().tolist(), density(STRUCTURES[0])
    uneven = [*axis[:20], 385.0, *axis[21:]]
    infinite = [*spectrum[:-1].tolist(), float("inf")]
    wrong = [
        (ase_dict(STRUCTURES[0]), uneven, spectrum.tolist(), "apart, got 385 in place 20, where 400 should be"),
        (ase_dict(STRUCTURES[0]), axis, spectrum[:50].tolist(), "expected a spectrum on 51 channels, got 50 values"),
        (ase_dict(STRUCTURES[0]), axis, json.dumps(infinite), "expected a spectrum of finite values, got inf"),
        (ase_dict(STRUCTURES[0]), axis, [0.0] * 51, "expected a spectrum with states, got none above zero"),
        ("Si2", axis, spectrum.tolist(), "expected a structure: a dictionary of ASE .*, got 'Si2'"),
        (ase_dict(Atoms("Si2")), axis, spectrum.tolist(), "0.00 A apart|distance|expected"),
        (ase_dict(STRUCTURES[0]), [-x for x in axis], spectrum.tolist(), "positive step, got start -0 and step -20"),
        (
            ase_dict(STRUCTURES[0]),
            [x - 500 for x in axis],
            spectrum.tolist(),
            "expected frequencies from 0 on, got 80 %",
        ),
    ]
    structures, axes, spectra = ([*row] for row in zip(*[row[:3] for row in wrong], strict=True))
    good = STRUCTURES[1:4]
    structures += map(ase_dict, good)
    axes += [axis] * 3
    spectra += [density(atoms).tolist() for atoms in good]
    path = write_csv([STRUCTURES[0]] * len(wrong) + good, structure=structures, phfreq=axes, phdos=spectra)
    prepared = prepare(path)
    assert sum(map(len, prepared.parts.values())) == 3
    assert len(prepared.rejected) == len(wrong)
    for number, (rejected, row) in enumerate(zip(prepared.rejected, wrong, strict=True)):
        assert rejected.source == f"phonons.csv, row {number}"
        assert re.search(row[3], rejected.reason), rejected.reason
    report = (prepared.folder / "report.csv").read_text()
    assert "got 385 in place 20" in report


def test_what_cannot_be_a_data_set(write_csv, prepare, tmp_path):
    path = write_csv()
    axes = [AXIS.values().tolist()] * 4 + [AXIS.values()[:50].tolist()]
    spectra = [density(atoms).tolist() for atoms in STRUCTURES]
    spectra[4] = spectra[4][:50]
    with pytest.raises(
        ValueError, match=r"(?s)expected spectra on the same axis, .*row 0: 0 \.\.\. 1000.*row 4: 0 \.\.\. 980"
    ):
        prepare(write_csv(name="two.csv", phfreq=axes, phdos=spectra))
    assert not (tmp_path / "data").exists()
    with pytest.raises(ValueError, match=r"phonons.csv: expected the unit of the axis of a table, --source-unit"):
        prepare(path, source_unit=None)
    with pytest.raises(ValueError, match=r"expected a unit of energy or frequency, .*, got 'Hz'"):
        prepare(path, source_unit="Hz")
    for options, message in (
        ({"step": 1.0}, "expected both --grid and --step"),
        ({"grid": (0, 30), "step": 1.0}, "expected --unit with --grid and --step"),
        ({"grid": (-1, 30), "step": 1.0, "unit": "THz"}, "frequencies from 0 on, got one from -1 THz"),
        ({"grid": (3, 1), "step": 1.0, "unit": "THz"}, "expected --grid LOW HIGH and a positive --step"),
        ({"normalize": "area"}, "expected a normalisation, one of maximum, smoothed, got 'area'"),
        ({"kind": "photon"}, "expected spectra of one kind, one of phonon, electronic, got 'photon'"),
        ({"split": (0, 1, 1)}, "expected shares train:validation:test"),
    ):
        with pytest.raises(ValueError, match=message):
            prepare(path, **options)
    scaled = write_csv(name="scaled.csv", phdos=[(d / d.max()).tolist() for d in map(density, STRUCTURES)])
    with pytest.raises(NothingUsableError) as error:
        prepare(scaled)
    assert "the spectrum is scaled (--normalize)" in error.value.rejected[0].reason
    (tmp_path / "empty.csv").write_text("structure,phfreq,phdos\n")
    with pytest.raises(ValueError, match=r"empty.csv: expected a table with rows, got none"):
        prepare(tmp_path / "empty.csv")
    (tmp_path / "broken.json").write_text('[{"structure": ')
    with pytest.raises(
        ValueError, match=r"broken.json: expected a table of spectra in CSV or JSON, or a phonon density"
    ):
        prepare(tmp_path / "broken.json")


def test_nothing_is_overwritten(write_csv, prepare, tmp_path):
    path = write_csv()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="expected a new or empty folder"):
        prepare(path)
    prepared = prepare(path, overwrite=True)
    assert (prepared.folder / "notes.txt").read_text() == "mine"
    before = (prepared.folder / "train.xyz").read_bytes()
    prepare(path, overwrite=True)
    assert (prepared.folder / "train.xyz").read_bytes() == before


def run(*arguments):
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


def test_command(write_csv, tmp_path, monkeypatch):
    path, output = write_csv(), tmp_path / "data"
    files = ":".join(write_indices(tmp_path, train=[0, 1, 2], validation=[3], test=[4]))
    options = ["--spectra", "phonon", "--source-unit", "cm^-1", "--unit", "meV", "--normalize", "maximum"]
    result = run(path, "-o", output, *options, "--split", files)
    assert result.exit_code == 0, result.output
    assert "mtt::phonon_dos_normalized, normalised phonon density of states, largest value 1" in result.output
    assert "axis            0 ... 123.984 meV in steps of 2.47968 meV (51 channels)" in result.output
    command = json.loads((output / "manifest.json").read_text())["command"]
    before = (output / "train.xyz").read_bytes()
    again = run(*command.replace("'", "").split()[2:], "-o", tmp_path / "again")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "again" / "train.xyz").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--spectra", "phonon", "--sigma", "0.2"], "--smearing is an option of calculations, not of --spectra"),
        (["--unit", "THz"], "--unit is an option of --spectra"),
        (["--split", "{0}:{0}:{0}"], "expected shares such as 8:1:1, or 'given', for --split without --spectra"),
        (["--spectra", "phonon", "--split", "{0}:{0}:{0}", "--seed", "3"], "--seed is the seed of a random split"),
        (["--spectra", "phonon", "--split", "{0}:/nowhere:{0}"], "No such file or directory: '/nowhere'"),
    ],
)
def test_options_that_do_not_fit(write_csv, tmp_path, options, message):
    (file,) = write_indices(tmp_path, train=[0])
    options = [option.format(file) for option in options]
    if "/nowhere" in message:
        options += ["--source-unit", "cm^-1"]
    result = run(write_csv(), "-o", tmp_path / "data", *options)
    assert result.exit_code in (1, 2) and message in result.output, result.output


def test_values_are_in_the_unit_that_is_written(write_csv, prepare, monkeypatch):
    prepared = prepare(write_csv(split=PARTS), unit="THz", form="zip", split=None)
    found, _ = read_back(prepared, "train", monkeypatch)
    for (system, values), known in zip(found, spectra_of(prepared, "train", "THz"), strict=True):
        np.testing.assert_allclose(values.numpy(), known, rtol=1e-12)
        assert float(values.sum() * prepared.axis.step) == pytest.approx(3 * len(system), rel=1e-12)
    assert values.dtype == torch.float64
