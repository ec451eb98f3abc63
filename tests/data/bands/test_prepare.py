"""Data sets of bands: what is written, in every format, and what is left out."""

import csv
import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from band_paths import as_frame, band_energies, made_up_bands
from metatrain.utils.data import get_dataset
from metatrain.utils.omegaconf import expand_dataset_config
from omegaconf import OmegaConf
from typer.testing import CliRunner

from electrain.cli import app
from electrain.data import NothingUsableError
from electrain.data.bands import prepare_bands
from electrain.data.reading import PreparedPart

pytestmark = pytest.mark.usefixtures("no_summary")

NUM_K = 24
CRYSTALS = [bulk("Si"), bulk("C"), bulk("Ge"), bulk("SiC", "zincblende", a=4.36), bulk("GeC", "zincblende", a=4.6)]
PARTS = ["train", "train", "train", "validation", "test"]


def frames(**changes):
    return [
        as_frame(made_up_bands(atoms, num_k=20 + number), id=f"mp-{number}", split=part, **changes)
        for number, (atoms, part) in enumerate(zip(CRYSTALS, PARTS, strict=True))
    ]


@pytest.fixture
def write(tmp_path):
    def to_file(structures, name="bands.xyz"):
        ase.io.write(tmp_path / name, structures, format="extxyz")
        return tmp_path / name

    return to_file


@pytest.fixture
def prepare(tmp_path):
    def run(*sources, **options):
        return prepare_bands(sources, tmp_path / "data", **{"num_k_points": NUM_K, "split": None, **options})

    return run


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", ["xyz", "zip", "memmap"])
def test_what_metatrain_reads(write, prepare, monkeypatch, form):
    prepared = prepare(write(frames()), form=form)
    monkeypatch.chdir(prepared.folder)
    options = OmegaConf.load("options.yaml")
    assert options["architecture"]["name"] == "bandformer"
    for_few = {"element_properties": True, "dropout": 0.2}
    assert options["architecture"]["model"] == {"num_bands": 6, "num_k_points": NUM_K, **for_few}
    for part, number in (("training", 3), ("validation", 1), ("test", 1)):
        (expanded,) = expand_dataset_config(options[f"{part}_set"])
        dataset, targets, extra = get_dataset(expanded)
        assert targets["mtt::bands"].sample_kind == "system" and targets["mtt::bands"].unit == "eV"
        assert "mtt::k_points" in extra
        assert len(dataset) == number
        tolerance = 1e-5 if form == "memmap" else 2e-6
        for sample, expected in zip(dataset, prepared.parts["train" if part == "training" else part], strict=True):
            energies = sample["mtt::bands"].block().values.reshape(6, NUM_K).numpy()
            k_points = sample["mtt::k_points"].block().values.reshape(NUM_K, 3).numpy()
            np.testing.assert_allclose(energies, expected.targets.energies, atol=tolerance)
            np.testing.assert_allclose(k_points, expected.targets.k_points, atol=1e-7)
            # Between the given k-points, too, where the bands are known.
            assert np.median(np.abs(energies + expected.bands.zero() - band_energies(k_points)[:, 1:7].T + 0.1)) < 0.02


def test_documents(write, prepare):
    prepared = prepare(write(frames()))
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["bands"] == {"num_bands": 6, "num_k_points": NUM_K}
    assert manifest["units"]["mtt::bands"] == "eV"
    assert manifest["split"]["number"] == {"train": 3, "validation": 1, "test": 1}
    assert manifest["command"].endswith("bands.xyz --bands --num-bands 6 --num-k-points 24 --split given")
    rows = read_rows(prepared.folder / "structures.csv")
    assert [row["id"] for row in rows] == [f"mp-{number}" for number in range(5)]
    assert {row["band gap (eV)"] for row in rows} == {f"{made_up_bands().edges()[1] - made_up_bands().edges()[0]:.4f}"}
    with pytest.raises(ValueError, match="has bands along paths of k-points"):
        PreparedPart(prepared.folder, "test")


def test_summary(write, tmp_path, monkeypatch):
    monkeypatch.undo()  # draw it
    labelled = [as_frame(made_up_bands(labels=((0, "Γ"), (13, "X"), (23, "K"), (24, "U"), (29, "X"))))]
    metal = as_frame(made_up_bands(bulk("Al"), energies=band_energies(made_up_bands().k_points, gap=-1.0)[None]))
    prepared = prepare_bands([write([*labelled, metal])], tmp_path / "data")
    assert [one.gap > 0 for one in prepared.everything] == [True, False]
    assert (prepared.folder / "summary.png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_left_out(write, prepare, tmp_path):
    """One reason for each; the rest is used."""
    good = frames()
    bad = {
        "molecule.xyz": as_frame(made_up_bands(molecule("H2O", vacuum=3.0), letters="GX")),
        "mesh.xyz": as_frame(made_up_bands(), k_points=np.random.default_rng(0).uniform(-0.5, 0.5, (30, 3))),
        "magnet.xyz": as_frame(
            made_up_bands(energies=np.stack([made_up_bands().energies[0], made_up_bands().energies[0] + 0.5]))
        ),
        "spinors.xyz": as_frame(made_up_bands(), noncollinear=True),
        "empty.xyz": as_frame(made_up_bands(), eigenvalues=None),
    }
    paths = [write(good)] + [write([frame], name) for name, frame in bad.items()]
    (tmp_path / "notes.txt").write_text("nothing")
    prepared = prepare(*paths, tmp_path / "notes.txt")
    assert len(prepared.everything) == 5
    reasons = {row["source"].split(",")[0]: row["reason"] for row in read_rows(prepared.folder / "report.csv")}
    for name, reason in {
        "molecule.xyz": "expected a crystal, periodic in three directions",
        "mesh.xyz": "use electrain prepare without --bands",
        "magnet.xyz": "two spins that differ by 0.500 eV",
        "spinors.xyz": "got spinors",
        "empty.xyz": "expected the key 'eigenvalues'",
        "notes.txt": "got a file in none of them",
    }.items():
        assert reason in reasons.pop(name)
    assert not reasons


def test_nothing_is_written_if_nothing_can_be_used(write, prepare, tmp_path):
    with pytest.raises(NothingUsableError):
        prepare(write(frames(k_points=None)))
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_folders_are_searched(write, prepare, tmp_path):
    (tmp_path / "runs").mkdir()
    write(frames(), "runs/bands.xyz")
    (tmp_path / "runs" / "other.json").write_text("{}")
    prepared = prepare(tmp_path / "runs")
    assert len(prepared.everything) == 5 and not prepared.rejected
    with pytest.raises(FileExistsError):
        prepare(tmp_path / "runs", num_bands=4)
    assert prepare(tmp_path / "runs", num_bands=4, overwrite=True).shape == (4, NUM_K)


def test_splits(write, prepare, tmp_path):
    path = write(frames())
    by_kind = prepare(path, split="species=1")
    assert {one.atoms.info["subset"] for one in by_kind.parts["train"]} == {"1 element"}
    for part, rows in (("train", "0\n1\n2\n"), ("validation", "4\n"), ("test", "")):
        (tmp_path / f"{part}.txt").write_text(rows)
    files = [tmp_path / f"{part}.txt" for part in ("train", "validation", "test")]
    by_files = prepare(path, split=files, overwrite=True)
    assert {part: [one.row for one in found] for part, found in by_files.parts.items()} == {
        "train": [0, 1, 2],
        "validation": [4],
    }
    assert by_files.num_unused == 1
    with pytest.raises(ValueError, match="'split' of every structure, got something else in 5 of them"):
        prepare(write([as_frame(made_up_bands(atoms)) for atoms in CRYSTALS]), overwrite=True)


def test_cells_that_are_not_standard(write, prepare):
    pytest.importorskip("pymatgen")
    skewed = bulk("Si")
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ skewed.cell[:])
    structures = [bulk("Si"), skewed, bulk("Si", cubic=True)]
    rotated = bulk("Si")
    rotated.rotate(30, (1, 2, 3), rotate_cell=True)
    given = [as_frame(made_up_bands(atoms, letters="GX"), split="train") for atoms in [*structures, rotated]]
    prepared = prepare(write(given))
    assert [one.is_standard for one in prepared.everything] == [True, False, False, True]
    assert prepared.num_other_cells == 2


def test_command_line(write, tmp_path):
    out = tmp_path / "data"
    cubic = as_frame(made_up_bands(bulk("Ge", cubic=True), letters="GX", num_electrons=8.0))
    command = ["prepare", str(write([*frames(), cubic])), "-o", str(out), "--bands", "--num-k-points", "12"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "3 bands up to the highest filled one and 3 above, in eV" in result.output
    assert "path            12 k-points" in result.output
    assert "warning: the cells of 1 of 6 structures are not the standardised primitive ones" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bands", "--spectra", "phonon"], "--bands and --spectra make different data sets"),
        (["--num-bands", "4"], "--num-bands is an option of --bands"),
        (["--spectra", "phonon", "--num-bands", "4"], "--num-bands is an option of --bands, not of --spectra"),
        (["--bands", "--sigma", "0.2"], "--smearing is an option of calculations, not of --bands"),
        (["--bands", "--unit", "eV"], "--unit is an option of --spectra, not of --bands"),
        (["--bands", "--step", "0.1"], "--step is an option of calculations and --spectra, not of --bands"),
        (["--bands", "--num-bands", "5"], "expected an even number of bands"),
        (["--bands", "--num-k-points", "1"], "expected at least 2 k-points"),
    ],
)
def test_options_that_do_not_fit(write, tmp_path, options, message):
    result = CliRunner().invoke(app, ["prepare", str(write(frames())), "-o", str(tmp_path / "data"), *options])
    assert result.exit_code == 2 and message in result.output.replace("\n", " ")
    assert not (tmp_path / "data").exists()


def test_too_few_k_points_for_the_path(write, prepare):
    with pytest.raises(NothingUsableError) as error:
        prepare(write(frames()), num_k_points=4)
    assert error.value.rejected[0].reason == "expected at least 6 k-points, the corners of the path, got 4"


def test_hydrogen(write, prepare):
    """One filled band: the lower ones do not exist."""
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], cell=[2.0, 2.0, 3.0], pbc=True)
    k_points = np.linspace([0, 0, 0], [0, 0, 0.5], NUM_K)
    energies = np.sort(np.cos(2 * np.pi * k_points[:, 2:]) + np.array([-5.0, 5, 8, 11]), axis=1)
    bands = made_up_bands(atoms, letters="GZ", k_points=k_points, energies=energies[None], num_electrons=2.0)
    (one,) = prepare(write([as_frame(bands, split="train")])).everything
    assert np.isnan(one.targets.energies[:2]).all() and np.isfinite(one.targets.energies[2:]).all()
