"""Bands on meshes: what is drawn of them is what was computed, and none of a held-out compound is learned."""

import json
import sys

import ase.io
import numpy as np
import pytest
from ase.build import bulk, make_supercell, molecule
from band_paths import as_frame, made_up_bands
from typer.testing import CliRunner

from electrain.cli import app
from electrain.data.bands import prepare_bands
from electrain.data.bands.reading import BandsPart
from electrain.data.readers import calculation_from_atoms

pytest.importorskip("pymatgen")
pytestmark = pytest.mark.usefixtures("no_summary")

NUM_K = 24
PATHS = {"Si": "train", "Ge": "validation", "C": "test"}


def grid(size):
    """Gamma-centred mesh without symmetry."""
    steps = np.arange(size) / size
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return points - np.round(points)


def free_electrons(atoms, k_points, num_bands=10):
    """Bands that depend on lengths only, so that they are the same in every cell and at equivalent points."""
    shifts = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm((k_points[:, None] + shifts) @ atoms.cell.reciprocal()[:], axis=2)
    return np.sort(150.4 * lengths**2, axis=1)[:, :num_bands]  # eV, lengths in 1/A without 2 pi


def fermi_level(levels):
    """Of three electrons, with two in each state."""
    half = int(1.5 * len(levels))
    return np.sort(levels.ravel())[half - 1 : half + 1].mean()


def mesh(atoms=None, size=3, energies=None, **info):
    atoms = (bulk("Al") if atoms is None else atoms).copy()
    k_points = grid(size)
    levels = free_electrons(atoms, k_points) if energies is None else energies
    number = len(k_points)
    fields = {
        "eigenvalues": levels - fermi_level(levels),
        "k_points": k_points,
        "kweights": np.full(number, 2 / number),
        "n_electrons": 3.0,
        "id": "al",
        "split": "train",
    }
    atoms.info = {key: value for key, value in (fields | info).items() if value is not None}
    return atoms


def paths():
    return [as_frame(made_up_bands(bulk(name)), id=name, split=part) for name, part in PATHS.items()]


@pytest.fixture
def prepare(tmp_path):
    def run(meshes, **options):
        ase.io.write(tmp_path / "paths.xyz", paths(), format="extxyz")
        ase.io.write(tmp_path / "meshes.xyz", meshes, format="extxyz")
        options = {"num_k_points": NUM_K, "split": None, "overwrite": True} | options
        return prepare_bands([tmp_path / "paths.xyz"], tmp_path / "data", meshes=[tmp_path / "meshes.xyz"], **options)

    return run


@pytest.mark.parametrize("size", [2, 3])
def test_energies_are_those_at_the_k_points(prepare, size):
    """In the standardised cell, whatever the cell of the calculation is, and with fewer and more points than wanted."""
    sheared = make_supercell(bulk("Al"), [[1, 1, 0], [0, 1, 0], [1, 0, 1]])
    prepared = prepare([mesh(sheared, size)])
    (learned,) = [one for one in prepared.parts["train"] if one.is_mesh]
    assert learned.is_standard and learned.atoms.info["id"] == "al" and learned.gap == 0.0
    k_points, energies = learned.targets.k_points, learned.targets.energies
    assert k_points.shape == (NUM_K, 3) and np.abs(k_points).max() <= 0.5
    everywhere = free_electrons(sheared, grid(size))
    level = fermi_level(everywhere)
    first = int((everywhere.min(axis=0) <= level).sum()) - 3
    missing = max(-first, 0)  # below the lowest band
    assert np.isnan(energies[:missing]).all()
    expected = free_electrons(learned.atoms, k_points).T[max(first, 0) : first + 6] - level
    np.testing.assert_allclose(energies[missing:], expected, atol=1e-4)


def test_points_are_replaced_by_equivalent_ones(prepare):
    """Of Γ, one of four L and one of three X, all eight are learned."""
    atoms = bulk("Al")
    k_points, number = np.array([[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]]), np.array([1, 4, 3])
    levels = free_electrons(atoms, k_points)
    level = fermi_level(np.repeat(levels, number, axis=0))
    frame = mesh(atoms, eigenvalues=levels - level, k_points=k_points, kweights=number / 4)
    (learned,) = [one for one in prepare([frame], num_k_points=96).parts["train"] if one.is_mesh]
    found = learned.targets.k_points
    assert len(np.unique(np.round(found - np.floor(found), 6) % 1.0, axis=0)) == 8
    first = int((levels.min(axis=0) <= level).sum()) - 3
    expected = free_electrons(learned.atoms, found).T[max(first, 0) : first + 6] - level
    np.testing.assert_allclose(learned.targets.energies[max(-first, 0) :], expected, atol=1e-4)


def test_every_point_once_before_any_a_second_time(prepare):
    prepared = prepare([mesh(size=2)])
    (learned,) = [one for one in prepared.parts["train"] if one.is_mesh]
    lowest = np.round(learned.targets.energies[np.isfinite(learned.targets.energies).all(axis=1)][0], 5)
    _, counts = np.unique(np.round(learned.bands.energies[0, :, 0], 5), return_counts=True)
    _, drawn = np.unique(lowest, return_counts=True)
    assert (drawn == 3 * counts).all()  # 24 of 8 points


def test_the_seed_decides(prepare):
    first, again, other = (prepare([mesh()], split=(1, 1, 1), seed=seed).parts["train"][-1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.targets.k_points, again.targets.k_points)
    assert np.abs(first.targets.k_points - other.targets.k_points).max() > 0.1


def test_what_is_left_out(prepare):
    levels = mesh().info["eigenvalues"]
    spins = {"eigenvalues": np.stack([levels - 0.02, levels + 0.02]), "kweights": np.full(27, 1 / 27)}
    prepared = prepare(
        [
            mesh(),
            mesh(bulk("Ge")),
            mesh(bulk("Al"), id="other", split="test"),
            mesh(bulk("Mg"), id="mg", k_points=None),
            mesh(bulk("Al", cubic=True), id="cubic"),
            mesh(id="spin", **spins),
            mesh(molecule("H2", vacuum=3.0), id="h2", size=1, energies=np.array([[-1.0, 1.0, 2.0]]), n_electrons=2.0),
        ]
    )
    assert prepared.num_meshes == 1 and [one.atoms.info["id"] for one in prepared.parts["train"]] == ["Si", "al"]
    reasons = " ".join(one.reason for one in prepared.rejected)
    for reason in (
        "its compound, Ge, is in the validation or test set",
        "its key 'split' says test",
        "expected coordinates of k-points, which the calculation does not have",
        "holds 4 of 1 atoms",
        "two spins that differ by 0.040 eV",
        "expected a crystal, periodic in three directions, got a molecule",
    ):
        assert reason in reasons
    assert len(prepared.rejected) == 6


def test_kinds_that_are_not_trained_on(prepare, monkeypatch):
    """A training set of elements has no meshes of alloys."""
    alloy = bulk("AlSi", "rocksalt", a=4.6)
    kinds = {"Si": bulk("Si"), "C": bulk("C"), "SiC": bulk("SiC", "zincblende", a=4.36)}
    monkeypatch.setattr(
        sys.modules[__name__], "paths", lambda: [as_frame(made_up_bands(one), id=name) for name, one in kinds.items()]
    )
    prepared = prepare([mesh(), mesh(alloy, id="alloy")], split="species=1")
    assert [one.atoms.info["id"] for one in prepared.parts["train"] if one.is_mesh] == ["al"]
    assert "kinds that --split species=1 trains on" in prepared.rejected[-1].reason


def test_evaluations_do_not_see_them(prepare):
    prepared = prepare([mesh(), mesh(id="again")])
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["meshes"] == 2 and manifest["split"]["number"]["train"] == 3
    assert manifest["command"].count("--meshes") == 1 and "meshes.xyz" in manifest["command"]
    train = BandsPart(prepared.folder, "train")
    assert [entry.name for entry in train.entries] == ["Si"] and len(train.structures) == 1
    assert train.energies.shape == (1, 6, NUM_K) and train.k_points.shape == (1, NUM_K, 3)


def test_key_of_densities_of_states_and_of_bands():
    """Both readers take both spellings."""
    frame = mesh()
    frame.info["kpoints"] = frame.info.pop("k_points")
    assert calculation_from_atoms(frame, "here").k_points.shape == (27, 3)
    assert calculation_from_atoms(mesh(), "here").k_points.shape == (27, 3)


def test_command(tmp_path):
    ase.io.write(tmp_path / "paths.xyz", paths(), format="extxyz")
    (tmp_path / "runs").mkdir()
    ase.io.write(tmp_path / "runs" / "meshes.xyz", [mesh()], format="extxyz")
    command = ["prepare", str(tmp_path / "paths.xyz"), "-o", str(tmp_path / "data"), "--split", "given"]
    given = [*command, "--bands", "--num-k-points", str(NUM_K), "--meshes", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "meshes          1 of the training structures, with 24 of their k-points each" in result.output
    result = CliRunner().invoke(app, [*command, "--meshes", str(tmp_path / "runs")])
    assert result.exit_code == 2 and "--meshes is an option of --bands" in result.output
