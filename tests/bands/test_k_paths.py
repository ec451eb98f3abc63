"""Paths of k-points: continuous, complete, evenly divided, and the same for the same crystal."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from crystals import crystals, disguises

from electrain.bands import k_path, unique_points
from electrain.bands.k_paths import pretty_label
from electrain.bands.symmetry_lines import symmetry_lines
from electrain.bands.walks import shortest_walk
from electrain.structures.standard_cells import laue_group, quiet, standard_cell, to_structure

pytest.importorskip("pymatgen")


def cartesian(path):
    return 2 * np.pi * path.k_points @ path.atoms.cell.reciprocal()[:]


@pytest.mark.parametrize("name", crystals())
def test_the_same_crystal_has_the_same_path(name, caplog, capfd):
    given = crystals()[name]
    path = k_path(given)
    for how, same in disguises(given, seed=2):
        found = k_path(same)
        np.testing.assert_allclose(found.k_points, path.k_points, atol=1e-6, err_msg=how)
        assert found.labels == path.labels, how
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", crystals())
def test_no_jumps_and_equal_steps(name):
    path = k_path(crystals()[name])
    assert path.k_points.shape == (256, 3)
    np.testing.assert_array_equal(path.k_points[0], 0.0)
    assert path.labels[0] == (0, "Γ")
    assert path.labels[-1][0] == 255
    steps = np.diff(cartesian(path), axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    assert lengths.max() < 1.6 * lengths.sum() / 255
    corners = [index for index, _ in path.labels]
    for first, last in itertools.pairwise(corners):
        np.testing.assert_allclose(steps[first:last], steps[[first]].repeat(last - first, axis=0), atol=1e-10)
    turns = [
        index
        for index in range(1, 255)
        if np.linalg.norm(np.cross(steps[index - 1], steps[index])) > 1e-9 or steps[index - 1] @ steps[index] < 0
    ]
    assert set(turns) <= set(corners)


def lines_of_pymatgen(atoms):
    from pymatgen.symmetry.kpath import KPathLatimerMunro

    with quiet():
        found = KPathLatimerMunro(to_structure(atoms)).kpath
    for branch in found["path"]:
        for pair in itertools.pairwise(branch):
            yield tuple(np.array(found["kpoints"][name], dtype=float) for name in pair)


def star_of(line, atoms):
    """Something that only equivalent lines share: the images of two of their points, folded back and sorted."""
    first, second = line
    images = []
    for share in (0.37, 0.63):
        image = (first + share * (second - first)) @ laue_group(atoms)
        images += np.round((image + 1e-7) % 1.0, 4).tolist()
    return tuple(sorted(map(tuple, images)))


@pytest.mark.parametrize(
    "name", ["diamond", "bcc", "simple cubic", "hcp", "rutile", "quartz", "monoclinic", "triclinic"]
)
def test_the_lines_are_those_of_pymatgen(name):
    atoms = standard_cell(crystals()[name]).atoms
    found = symmetry_lines(atoms)
    ours = [star_of(found.points[list(line)], atoms) for line in found.lines]
    assert len(set(ours)) == len(ours)
    assert set(ours) == {star_of(line, atoms) for line in lines_of_pymatgen(atoms)}


def test_a_line_that_pymatgen_loses():
    """In some orientations of Bi2Te3: there, the path of pymatgen has 12 lines instead of 13."""
    given = crystal(
        ["Bi", "Te", "Te"],
        [(0, 0, 0.4), (0, 0, 0), (0, 0, 0.21)],
        spacegroup=166,
        cellpar=[4.38, 4.38, 30.5, 90, 90, 120],
    )
    atoms = standard_cell(given).atoms
    found = symmetry_lines(atoms)
    assert len(found.lines) == 13
    assert {star_of(line, atoms) for line in lines_of_pymatgen(atoms)} <= {
        star_of(found.points[list(line)], atoms) for line in found.lines
    }


def test_known_points_of_a_face_centered_lattice():
    path = k_path(bulk("Si"))
    of_name = {name: path.k_points[index] @ path.atoms.cell.reciprocal()[:] * 5.43 for index, name in path.labels}
    expected = {"Γ": (0, 0, 0), "X": (0, 0, 1), "L": (0.5, 0.5, 0.5), "W": (0, 0.5, 1), "K": (0, 0.75, 0.75)}
    for name, point in (expected | {"U": (0.25, 0.25, 1)}).items():
        np.testing.assert_allclose(sorted(abs(of_name[name])), point, atol=1e-9)
    assert set(of_name) == {*expected, "U"}


def test_the_walk_repeats_as_little_as_possible():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    edges = [(0, 1), (1, 2), (2, 3), (0, 3)]
    assert shortest_walk(square, edges) in ([0, 1, 2, 3, 0], [0, 3, 2, 1, 0])
    # with both diagonals, all points are odd: one pair stays unpaired, so that one edge is walked twice
    walk = shortest_walk(square, [*edges, (0, 2), (1, 3)])
    steps = [frozenset(pair) for pair in itertools.pairwise(walk)]
    assert walk[0] == 0
    assert len(steps) == 7
    assert len(set(steps)) == 6
    # nothing repeated: two odd points, the first of them one
    assert len(shortest_walk(square, [*edges, (0, 2)])) == 6
    # two parts, between which the shortest line is added
    far = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0], [4, 0, 0]], dtype=float)
    assert shortest_walk(far, [(0, 1), (2, 3)]) == [0, 1, 2, 3]


def test_each_energy_is_computed_once():
    path = k_path(bulk("Si"))
    unique, inverse = unique_points(path.k_points)
    assert len(unique) < len(path.k_points)
    assert inverse.shape == (256,)
    back = unique[inverse]
    plus, minus = ((back - sign * path.k_points + 0.5) % 1.0 - 0.5 for sign in (1, -1))
    assert np.all(np.minimum(abs(plus).max(axis=1), abs(minus).max(axis=1)) < 1e-9)
    for first, second in itertools.combinations(unique, 2):
        assert abs((first - second + 0.5) % 1.0 - 0.5).max() > 1e-6
        assert abs((first + second + 0.5) % 1.0 - 0.5).max() > 1e-6


def test_the_same_k_points_by_sign_and_reciprocal_vectors():
    points = np.array([[0.5, 0, 0], [-0.1, 0.2, 0], [0.1, -0.2, 1], [-0.5, 1, 0], [0.1, 0.2, 0], [1.1, 0.8, 1e-9]])
    unique, inverse = unique_points(points)
    np.testing.assert_array_equal(inverse, [0, 1, 1, 0, 2, 1])
    np.testing.assert_array_equal(unique, points[[0, 1, 4]])


def test_too_few_points():
    with pytest.raises(ValueError, match=r"expected at least 12 k-points, .* of Si2, got 11"):
        k_path(bulk("Si"), 11)
    assert len(k_path(bulk("Si"), 12).k_points) == 12


def test_flat_and_long_cells():
    """The zone of a long cell is thin, and that of vectors that are not reduced has to be found all the same."""
    long = Atoms("Si", cell=[[2.5, 0, 0], [0.4, 2.7, 0], [1.2, 0.9, 40.0]], pbc=True)
    path = k_path(long)
    assert len(path.k_points) == 256
    assert {name for _, name in path.labels} >= {"Γ", "X", "Y", "Z"}


@pytest.mark.parametrize(
    ("name", "pretty"),
    [
        ("\\Gamma", "Γ"),
        ("GAMMA", "Γ"),
        ("X", "X"),
        ("\\Sigma_1", "Σ₁"),
        ("q_{12}", "q₁₂"),
        ("$\\Delta_{0}$", "Δ₀"),
        ("G", "Γ"),
        ("g", "g"),
    ],
)
def test_pretty_labels(name, pretty):
    assert pretty_label(name) == pretty
