"""Meshes of k-points, and points along lines that look like them."""

import itertools
import lzma
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase.build import bulk, graphene
from data_fixtures import semiconductor_states

from electrain.data import prepare_dataset, read_calculations
from electrain.data.calculation import Rejected
from electrain.data.zone import check_zone, find_mesh, share_on_lines

CASES = Path(__file__).parent / "cases"
CRYSTALS = {
    "fcc": bulk("Si"),
    "hcp": bulk("Mg"),
    "bcc": bulk("Fe"),
    "cubic": bulk("NaCl", "rocksalt", a=5.6, cubic=True),
    "bct": bulk("Sn", crystalstructure="bct", a=5.8, c=3.2),
}


def whole_mesh(sizes, shift=(0.0, 0.0, 0.0)):
    points = np.array(list(itertools.product(*map(range, sizes))), dtype=float)
    return (points + shift) / sizes


@pytest.mark.parametrize("sizes", [(4, 4, 4), (9, 8, 7), (2, 3, 1), (20, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("shift", [0.0, 0.5, 0.25])
def test_whole_meshes(sizes, shift):
    """In any order, rounded, and in any image of the zone."""
    random = np.random.default_rng(0)
    points = whole_mesh(sizes, shift) + random.integers(-2, 3, (np.prod(sizes), 3))
    points = np.round(random.permutation(points), 6)
    weights = np.full(len(points), 2.0 / len(points))
    assert find_mesh(points, weights).num_points == np.prod(sizes)
    check_zone(points, weights)


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("sizes", [(5, 5, 5), (8, 8, 8), (12, 12, 6)])
@pytest.mark.parametrize("shift", [0, 1])
def test_meshes_reduced_by_symmetry(name, sizes, shift):
    crystal = CRYSTALS[name]
    cell = (crystal.cell[:], crystal.get_scaled_positions(), crystal.numbers)
    mapping, grid = spglib.get_ir_reciprocal_mesh(sizes, cell, is_shift=[shift] * 3)
    kept, counts = np.unique(mapping, return_counts=True)
    points, weights = (grid[kept] + shift / 2) / sizes, np.round(2.0 * counts / counts.sum(), 7)
    assert find_mesh(points, weights).num_points == np.prod(sizes)
    check_zone(points, weights)


def test_a_mesh_of_another_cell():
    """Four shifts, as ABINIT takes them for fcc lattices: no product of three axes."""
    shifts = [(0.5, 0.5, 0.5), (0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5)]
    points = np.concatenate([whole_mesh((4, 4, 4), shift) for shift in shifts])
    assert find_mesh(points, np.ones(256)).num_points == 256


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("num_points", [20, 60, 200])
def test_paths(name, num_points):
    path = CRYSTALS[name].cell.bandpath(npoints=num_points).kpts
    for points in (path, np.random.default_rng(0).permutation(path)):
        assert find_mesh(points, np.ones(len(points))) is None
        with pytest.raises(ValueError, match=r"expected k-points that sample .*, got points along lines: \d+%"):
            check_zone(points, np.ones(len(points)))


def test_one_line():
    line = np.linspace([0, 0, 0], [0.5, 0, 0], 11)
    with pytest.raises(ValueError, match="100% of 11 k-points lie between two neighbors"):
        check_zone(line, np.ones(11))
    # the same points as what symmetry leaves of a chain's mesh: the ends count once, the others twice
    weights = np.array([1.0, *[2.0] * 9, 1.0])
    check_zone(line, weights)
    assert find_mesh(line, weights).num_points == 20


def test_special_and_random_points():
    check_zone(np.zeros((1, 3)), np.ones(1))
    check_zone(np.array([[0.75, 0.25, 0.25], [0.25, 0.25, 0.25]]), np.array([1.5, 0.5]))
    for seed in range(20):
        points = np.random.default_rng(seed).random((40, 3))
        assert share_on_lines(points) < 0.3
        check_zone(points, np.ones(40))


def test_slabs():
    cell = graphene(vacuum=10.0)
    points = whole_mesh((12, 12, 1))
    check_zone(points, np.ones(144))
    path = cell.cell.bandpath("GMKG", npoints=40, pbc=[True, True, False]).kpts
    with pytest.raises(ValueError, match="points along lines"):
        check_zone(path, np.ones(len(path)))


@pytest.mark.parametrize("name", ["path_vasprun.xml", "qe_path_scf.xml", "qe_path_nscf.xml"])
def test_files_of_paths(name):
    (found,) = read_calculations(CASES / f"{name}.xz")
    assert isinstance(found, Rejected)
    assert "got points along lines" in found.reason


def test_of_two_copies_the_mesh_stays(tmp_path):
    """The path comes first by name; without coordinates it would be kept as well."""
    for folder, name in (("bands", "path_vasprun.xml"), ("dos", "mesh_vasprun.xml")):
        (tmp_path / "calc" / folder).mkdir(parents=True)
        content = lzma.decompress((CASES / f"{name}.xz").read_bytes())
        (tmp_path / "calc" / folder / "vasprun.xml").write_bytes(content)
    prepared = prepare_dataset([tmp_path / "calc"], tmp_path / "data")
    (row,) = prepared.parts["train"]
    assert (row.num_k, row.num_zone) == (1728, 1728)
    (rejected,) = prepared.rejected
    assert rejected.source == "bands/vasprun.xml" and "points along lines" in rejected.reason


def test_of_two_meshes_the_finer_one_stays(make_frame, write_frames, tmp_path):
    frames = []
    for sizes, seed in (((2, 2, 2), 1), ((3, 3, 3), 2)):
        eigenvalues, _ = semiconductor_states(np.prod(sizes), seed)
        weights = np.full(len(eigenvalues), 2.0 / len(eigenvalues))
        frames.append(make_frame(eigenvalues=eigenvalues, kweights=weights, kpoints=whole_mesh(sizes)))
    prepared = prepare_dataset([write_frames(frames)], tmp_path / "data")
    assert [row.num_zone for row in prepared.parts["train"]] == [27]
    assert "the same structure" in prepared.rejected[0].reason
