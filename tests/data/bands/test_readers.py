"""The same bands come back from the files of every code."""

import json
import lzma
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.spectrum.band_structure import BandStructure as AseBands
from band_paths import LABELS, LETTERS, SI, as_calculation, as_frame, band_energies, made_up_bands, path_of
from writers import write_abinit, write_extended_xyz, write_gpaw, write_quantum_espresso_xml, write_vasp

from electrain.bands import BandStructure
from electrain.data.bands import read_bands
from electrain.data.bands.readers import is_bands_source
from electrain.data.calculation import Rejected
from electrain.interface.quantities import FORCES

FILES = Path(__file__).parents[1] / "readers" / "files"
CASES = Path(__file__).parents[1] / "cases"


def write_xyz(path, calculation):
    bands = BandStructure(
        calculation.atoms,
        calculation.k_points,
        calculation.eigenvalues,
        calculation.fermi_level,
        num_electrons=calculation.num_electrons,
        noncollinear=calculation.noncollinear,
    )
    ase.io.write(path, as_frame(bands, noncollinear=bands.noncollinear), format="extxyz")


WRITERS = {
    "bands.xyz": write_xyz,
    "si.xml": lambda path, one: write_quantum_espresso_xml(path, one, kind="bands"),
    "vasprun.xml": lambda path, one: write_vasp(path, one, lines=True, charge=11),
    "si.gpw": lambda path, one: write_gpaw(path, one, kpts={"path": LETTERS, "npoints": 30}),
    "si_GSR.nc": write_abinit,
}
PACKAGES = {"vasprun.xml": "pymatgen", "si_GSR.nc": "netCDF4"}
SPINS = {"unpolarised": {}, "collinear": {}, "noncollinear": {"noncollinear": True}}


def bands_of(spins):
    bands = made_up_bands(noncollinear=spins == "noncollinear")
    if spins != "collinear":
        return bands
    return made_up_bands(energies=np.stack([bands.energies[0], bands.energies[0] + 0.2]))


def read_one(path) -> BandStructure:
    (found,) = read_bands(path)
    assert isinstance(found, BandStructure), found
    return found


def rejection(path) -> str:
    (found,) = read_bands(path)
    assert isinstance(found, Rejected)
    return found.reason


@pytest.mark.parametrize("spins", SPINS)
@pytest.mark.parametrize("name", WRITERS)
def test_every_file_gives_the_same_bands(name, spins, tmp_path):
    if package := PACKAGES.get(name):
        pytest.importorskip(package)
    if (name, spins) == ("si.gpw", "noncollinear"):
        pytest.skip("GPAW writes them in another shape, see al_nc.gpw")
    expected = bands_of(spins)
    path = tmp_path / name
    WRITERS[name](path, as_calculation(expected))
    assert is_bands_source(path)
    found = read_one(path)
    np.testing.assert_allclose(found.k_points, expected.k_points, atol=1e-7)
    np.testing.assert_allclose(found.energies - found.fermi_level, expected.energies - expected.fermi_level, atol=1e-7)
    np.testing.assert_allclose(found.atoms.positions, SI.positions, atol=1e-7)
    np.testing.assert_allclose(found.distances(), expected.distances(), atol=1e-6)
    assert found.num_electrons == (None if name == "si.gpw" else 8.0)
    assert found.noncollinear == expected.noncollinear
    assert name in found.source


def test_k_points_between_which_a_path_jumps(tmp_path):
    """The path GXWK,UX, with 'X' of the second piece and 'K' and 'U' beside each other."""
    write_gpaw(tmp_path / "si.gpw", as_calculation(made_up_bands()), kpts={"path": LETTERS, "npoints": 30})
    found = read_one(tmp_path / "si.gpw")
    assert tuple(name for _, name in found.labels) == LABELS
    points = path_of().special_points | {"Γ": np.zeros(3)}
    for index, name in found.labels:
        np.testing.assert_allclose(found.k_points[index], points[name], atol=1e-6)


def test_a_path_that_symmetry_reduced(tmp_path):
    """GPAW keeps each state once, in an order of its own."""
    there = np.linspace([0.5, 0, 0.5], [0, 0, 0], 5)
    k_points = np.concatenate([there, there[-2::-1]])  # to Gamma and back
    expected = made_up_bands(k_points=k_points, energies=band_energies(k_points)[None])
    bz2ibz = np.array([4, 3, 2, 1, 0, 1, 2, 3, 4])
    order = [int(np.flatnonzero(bz2ibz == index)[0]) for index in range(5)]
    reduced = as_calculation(expected, eigenvalues=expected.energies[:, order], k_points=expected.k_points[order])
    reduced.__dict__["weights"], reduced.__dict__["occupations"] = np.full(5, 0.2), reduced.occupations[:, :5]
    points = {"bz2ibz": bz2ibz, "bzkpts": expected.k_points}
    write_gpaw(tmp_path / "si.gpw", reduced, points=points, kpts=expected.k_points)
    found = read_one(tmp_path / "si.gpw")
    np.testing.assert_allclose(found.k_points, expected.k_points)
    np.testing.assert_allclose(found.energies, expected.energies, atol=1e-12)


def test_a_mesh_and_a_path_in_one_run_of_vasp(tmp_path):
    """As for hybrid functionals: the path has zero weights; KPOINTS names its points in the explicit list."""
    pytest.importorskip("pymatgen")
    bands = made_up_bands()
    mesh = np.array(np.meshgrid(*[[0, 0.5]] * 3)).reshape(3, -1).T
    k_points = np.concatenate([mesh, bands.k_points])
    weights = np.concatenate([np.full(8, 0.125), np.zeros(30)])
    energies = np.concatenate([band_energies(mesh), bands.energies[0]])[None]
    run = as_calculation(
        made_up_bands(k_points=k_points, energies=energies), weights=weights, values={FORCES: np.zeros((2, 3))}
    )
    write_vasp(tmp_path / "vasprun.xml", run)
    lines = [f"{' '.join(map(str, k))} {w}" for k, w in zip(k_points, weights, strict=True)]
    lines[8] += " \\Gamma"
    lines[-1] += " X"
    (tmp_path / "KPOINTS").write_text("\n".join(["mesh and path", "38", "Reciprocal", *lines]))
    found = read_one(tmp_path / "vasprun.xml")
    np.testing.assert_allclose(found.k_points, bands.k_points)
    np.testing.assert_allclose(found.energies, bands.energies)
    assert found.labels == ((0, "Γ"), (29, "X"))


def test_labels_beside_vasprun(tmp_path):
    """In line mode, the ends of the lines are there twice; here they are kept once."""
    pytest.importorskip("pymatgen")
    points = path_of().special_points
    lines = [("G", "X"), ("X", "W"), ("U", "X")]
    k_points = np.concatenate([np.linspace(points[first], points[last], 5) for first, last in lines])
    bands = made_up_bands(k_points=k_points, energies=band_energies(k_points)[None])
    write_vasp(tmp_path / "vasprun.xml", as_calculation(bands), lines=True, charge=11)
    names = {"G": "\\Gamma"}
    text = "".join(
        f"{' '.join(map(str, points[name]))} ! {names.get(name, name)}\n" + "\n" * second
        for line in lines
        for second, name in enumerate(line)
    )
    (tmp_path / "KPOINTS").write_text(f"path\n5\nLine_mode\nReciprocal\n{text}")
    found = read_one(tmp_path / "vasprun.xml")
    assert len(found.k_points) == 14
    assert found.labels == ((0, "Γ"), (4, "X"), (8, "W"), (9, "U"), (13, "X"))
    for other in ("", "path\n7\nLine_mode\nReciprocal\n" + text):  # empty, and of another run
        (tmp_path / "KPOINTS").write_text(other)
        assert read_one(tmp_path / "vasprun.xml").labels == ()


def test_a_density_of_states_in_vasprun_is_no_path(tmp_path):
    pytest.importorskip("pymatgen")
    assert "for densities of states, use electrain prepare without --bands" in rejection(CASES / "mesh_vasprun.xml.xz")


def test_real_path_of_quantum_espresso():
    """Five points from Gamma to M of hexagonal magnesium, in units of 2 pi/alat in the file."""
    found = read_one(FILES / "mg_bands.xml.xz")
    np.testing.assert_allclose(found.k_points[[0, -1]], [[0, 0, 0], [0.5, 0, 0]], atol=1e-12)
    assert found.num_electrons == 4 and found.edges() is None


def test_runs_of_quantum_espresso_on_meshes():
    assert rejection(FILES / "mg_metal.xml.xz").startswith("expected a calculation of kind bands or nscf, got scf")
    assert "got those of a mesh" in rejection(FILES / "mg_nscf.xml.xz")
    assert "got those of a mesh" in rejection(FILES / "al.gpw")


def pymatgen_dict(bands, **changes):
    fields = {
        "@class": "BandStructureSymmLine",
        "lattice_rec": {"matrix": (2 * np.pi * bands.atoms.cell.reciprocal()[:]).tolist()},
        "efermi": bands.fermi_level,
        "kpoints": bands.k_points.tolist(),
        "bands": {"1": bands.energies[0].T.tolist()},
        "labels_dict": {"\\Gamma": [0, 0, 0], "X": [0.5, 0, 0.5]},
        "branches": [{"start_index": 0, "end_index": 13, "name": "\\Gamma-X"}],
        "structure": {
            "lattice": {"matrix": bands.atoms.cell[:].tolist()},
            "sites": [
                {"species": [{"element": symbol, "occu": 1}], "abc": place.tolist()}
                for symbol, place in zip(bands.atoms.symbols, bands.atoms.get_scaled_positions(), strict=True)
            ],
        },
    }
    return {key: value for key, value in (fields | changes).items() if value is not None}


def test_json_of_pymatgen(tmp_path):
    expected = made_up_bands()
    path = tmp_path / "bands.json.xz"
    path.write_bytes(lzma.compress(json.dumps(pymatgen_dict(expected)).encode()))
    assert is_bands_source(path)
    found = read_one(path)
    np.testing.assert_allclose(found.energies, expected.energies)
    np.testing.assert_allclose(found.k_points, expected.k_points)
    assert found.labels == ((0, "Γ"), (13, "X"), (29, "X"))
    assert found.num_electrons is None and found.edges() == pytest.approx(expected.edges())


def test_json_of_pymatgen_without_branches_and_structure(tmp_path):
    path = tmp_path / "bands.json"
    path.write_text(json.dumps(pymatgen_dict(made_up_bands(), branches=None, structure=None)))
    assert "expected a structure beside it, one of bands.cif, POSCAR" in rejection(path)
    ase.io.write(tmp_path / "POSCAR", SI, format="vasp")
    assert read_one(path).labels == ((0, "Γ"), (13, "X"), (29, "X"))
    ase.io.write(tmp_path / "POSCAR", bulk("Si", cubic=True), format="vasp")
    assert "expected a structure with the cell of the k-points" in rejection(path)


def test_json_that_pymatgen_writes(tmp_path):
    pytest.importorskip("pymatgen")
    from pymatgen.core import Lattice, Structure
    from pymatgen.electronic_structure.bandstructure import BandStructureSymmLine
    from pymatgen.electronic_structure.core import Spin

    expected = made_up_bands(letters="GXWK")
    cell = Structure(SI.cell[:], ["Si", "Si"], SI.get_scaled_positions())
    labels = {name: point for name, point in path_of().special_points.items() if name in "GXWK"}
    reciprocal = Lattice(2 * np.pi * SI.cell.reciprocal()[:])
    written = BandStructureSymmLine(
        expected.k_points, {Spin.up: expected.energies[0].T}, reciprocal, 0.1, labels, structure=cell
    )
    path = tmp_path / "bands.json"
    content = written.as_dict() | {"structure": cell.as_dict()}
    path.write_text(json.dumps(content, default=lambda value: value.item()))
    found = read_one(path)
    np.testing.assert_allclose(found.energies, expected.energies)
    assert [name for _, name in found.labels] == ["Γ", "X", "W", "K"]


def test_json_of_ase(tmp_path):
    expected = made_up_bands()
    AseBands(path_of(), expected.energies, reference=0.1).write(tmp_path / "si.json")
    assert is_bands_source(tmp_path / "si.json")
    assert "expected a structure beside it, one of si.traj" in rejection(tmp_path / "si.json")
    ase.io.write(tmp_path / "si.traj", SI)
    found = read_one(tmp_path / "si.json")
    np.testing.assert_allclose(found.energies, expected.energies)
    np.testing.assert_allclose(found.k_points, expected.k_points)
    assert tuple(name for _, name in found.labels) == LABELS and found.fermi_level == 0.1
    ase.io.write(tmp_path / "si.traj", bulk("Ge"))
    assert "expected a structure with the cell of the k-points" in rejection(tmp_path / "si.json")


@pytest.mark.parametrize(
    ("content", "got"), [("", "an empty file"), ('{"energies": [1], "efermi": 0}', "something else")]
)
def test_other_json(tmp_path, content, got):
    (tmp_path / "other.json").write_text(content)
    assert not is_bands_source(tmp_path / "other.json")
    assert rejection(tmp_path / "other.json").endswith(f"got {got}")


def test_damaged_json(tmp_path):
    (tmp_path / "bands.json").write_text(json.dumps(pymatgen_dict(made_up_bands()))[:-10])
    assert "damaged" in rejection(tmp_path / "bands.json")


def read_frame(tmp_path, **changes):
    ase.io.write(tmp_path / "bands.xyz", as_frame(made_up_bands(), **changes), format="extxyz")
    (found,) = read_bands(tmp_path / "bands.xyz")
    return found


@pytest.mark.parametrize("labels", ["0:G 8:X", [[0, "Gamma"], [8, "X"]], '[[0, "GAMMA"], [8, "X"]]'])
def test_labels_in_extended_xyz(tmp_path, labels):
    assert read_frame(tmp_path, labels=labels).labels == ((0, "Γ"), (8, "X"))


def test_names_in_extended_xyz(tmp_path):
    found = read_frame(tmp_path, id="mp-149", split="test", subset="bulk")
    assert found.atoms.info == {"id": "mp-149", "split": "test", "subset": "bulk"}
    k_points = made_up_bands().k_points
    assert isinstance(read_frame(tmp_path, k_points=None, kpoints=k_points), BandStructure)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"eigenvalues": None}, "expected the key 'eigenvalues'"),
        ({"k_points": None}, "expected the key 'k_points'"),
        ({"labels": "Γ X"}, "expected labels such as '0:Γ 40:X' for 'labels', got 'Γ X'"),
        ({"labels": "0:Γ 99:Y"}, None),  # beyond the path: not a label of it
        ({"k_points": made_up_bands().k_points * 6}, "expected fractional coordinates of k-points"),
        ({"k_points": made_up_bands().k_points[:-1]}, "three coordinates of each k-point"),
        ({"eigenvalues": np.full((30, 10), np.nan)}, "expected finite energies"),
        ({"eigenvalues": "none"}, "expected an array of numbers for 'eigenvalues'"),
    ],
)
def test_frames_that_cannot_be_used(tmp_path, changes, reason):
    found = read_frame(tmp_path, **changes)
    if reason is None:
        assert isinstance(found, BandStructure)
    else:
        assert isinstance(found, Rejected) and reason in found.reason


def test_molecules_and_slabs(tmp_path):
    water = molecule("H2O", vacuum=4.0)
    slab = Atoms("C2", [[0, 0, 0], [1.42, 0, 0]], cell=[2.46, 4.26, 12], pbc=[True, True, False])
    for atoms, number in ((water, 0), (slab, 2)):
        ase.io.write(tmp_path / "bands.xyz", as_frame(made_up_bands(atoms, letters="GX")), format="extxyz")
        assert rejection(tmp_path / "bands.xyz") == (
            f"expected a crystal, periodic in three directions, got a structure that is periodic in {number}"
        )


def test_states_that_are_not_sorted(tmp_path):
    bands = made_up_bands()
    found = read_frame(tmp_path, eigenvalues=bands.energies[0, :, ::-1] - bands.fermi_level)
    np.testing.assert_allclose(found.energies, bands.energies - bands.fermi_level, atol=1e-7)


def test_files_without_bands(tmp_path, make_frame, write_frames):
    frame = write_frames([make_frame()])
    assert rejection(frame).startswith("expected the key 'k_points'")
    (tmp_path / "text").write_text("nothing")
    assert "got a file in none of them" in rejection(tmp_path / "text")
    assert "got a file of Quantum ESPRESSO (text)" in rejection(FILES / "mg_bands.out.xz")


def test_calculations_of_a_density_of_states_are_refused(tmp_path, make_calculation):
    write_extended_xyz(tmp_path / "mesh.xyz", make_calculation(k_points=np.random.default_rng(0).random((5, 3))))
    assert "got those of a mesh, or random ones" in rejection(tmp_path / "mesh.xyz")
