"""Reading extended XYZ."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from ase import Atoms

from electrain.data import Calculation, Rejected, calculation_from_atoms, read_extended_xyz
from electrain.interface.quantities import BAND_GAP, ENERGY, FORCES, STRESS


def test_reads_what_was_written(make_frame, write_frames):
    frames = [make_frame(seed=seed, parent="Si") for seed in range(3)]
    calculations = list(read_extended_xyz(write_frames(frames)))
    for index, (frame, calculation) in enumerate(zip(frames, calculations, strict=True)):
        assert isinstance(calculation, Calculation)
        assert calculation.source == f"frames.xyz, frame {index}"
        assert calculation.atoms.info == {"id": f"frame-{index}", "subset": "bulk", "parent": "Si"}
        assert calculation.atoms.calc is None
        np.testing.assert_allclose(calculation.eigenvalues[0], frame.info["eigenvalues"])
        np.testing.assert_allclose(calculation.weights, frame.info["kweights"])
        np.testing.assert_allclose(calculation.values[FORCES], frame.get_forces(), atol=1e-8)
        # `efermi` belongs to the axis before the shift: the eigenvalues are relative to it already.
        assert (calculation.fermi_level, calculation.values[BAND_GAP], calculation.num_electrons) == (0.0, 1.5, 8.0)
        assert calculation.values[ENERGY] == pytest.approx(-10.0 - index)


def test_only_eigenvalues_and_weights_are_needed(make_frame, write_frames):
    frame = make_frame(id=None, subset=None, efermi=None, bandgap=None, n_electrons=None)
    frame.calc = None
    (calculation,) = read_extended_xyz(write_frames([frame]))
    assert calculation.name == "frames.xyz, frame 0"
    assert (calculation.num_electrons, calculation.k_points, calculation.values) == (None, None, {})


@pytest.mark.parametrize("num_k", [1, 3, 9])
def test_any_number_of_weights(make_frame, write_frames, num_k):
    # ASE reads one weight back as a number, and may take nine numbers for a matrix.
    eigenvalues = np.tile(np.linspace(-7, 7, 8), (num_k, 1))
    weights = np.arange(1.0, num_k + 1)
    frame = make_frame(eigenvalues=eigenvalues, kweights=2 * weights / weights.sum())
    (calculation,) = read_extended_xyz(write_frames([frame]))
    assert calculation.eigenvalues.shape == (1, num_k, 8)
    np.testing.assert_allclose(calculation.weights, 2 * weights / weights.sum())


def test_two_spins(make_frame, write_frames):
    frame = make_frame()
    both = np.stack([frame.info["eigenvalues"]] * 2)
    frame = make_frame(eigenvalues=both, kweights=frame.info["kweights"] / 2)
    (calculation,) = read_extended_xyz(write_frames([frame]))
    assert calculation.eigenvalues.shape == (2, 5, 10)


@pytest.mark.parametrize(("suffix", "opener"), [("xz", lzma.open), ("gz", gzip.open)])
def test_compressed_files(make_frame, write_frames, tmp_path, suffix, opener):
    text = write_frames([make_frame(), make_frame(seed=1)]).read_bytes()
    with opener(tmp_path / f"frames.xyz.{suffix}", "wb") as file:
        file.write(text)
    calculations = list(read_extended_xyz(tmp_path / f"frames.xyz.{suffix}"))
    assert [calculation.name for calculation in calculations] == ["frame-0", "frame-1"]


def test_a_bad_frame_does_not_stop_the_others(make_frame, write_frames):
    frames = [make_frame(), make_frame(kweights=None), make_frame(n_electrons=20.0), make_frame(seed=3)]
    good, no_weights, too_many, last = read_extended_xyz(write_frames(frames))
    assert [good.name, last.name] == ["frame-0", "frame-3"]
    assert no_weights.source == "frames.xyz, frame 1"
    assert no_weights.reason.startswith("expected the key 'kweights' in the comment line, got bandgap, efermi")
    assert too_many.reason.startswith("expected 20 electrons")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eigenvalues": None}, "made up: expected the key 'eigenvalues' in the comment line, got bandgap"),
        ({"kweights": None}, "made up: expected the key 'kweights' in the comment line"),
        ({"kweights": "many"}, "made up: expected an array of numbers for 'kweights', got 'many'"),
        ({"bandgap": np.zeros(2)}, r"made up: expected one number for 'bandgap', got shape \(2,\)"),
        ({"kpoints": np.zeros((4, 3))}, r"made up: expected k-points of shape \(5, 3\), got \(4, 3\)"),
        (
            {"eigenvalues": np.zeros((6, 4))},
            r"made up: expected eigenvalues of shape .* as many weights as k-points, got \(1, 6, 4\) and \(5,\)",
        ),
    ],
)
def test_keys_that_cannot_be_used(make_frame, changes, message):
    with pytest.raises(ValueError, match=message):
        calculation_from_atoms(make_frame(**changes), "made up")


def test_no_keys_at_all():
    with pytest.raises(ValueError, match="key 'eigenvalues' in the comment line, got none"):
        calculation_from_atoms(Atoms("H"), "made up")


@pytest.mark.parametrize(
    ("old", "new", "num_good", "reason"),
    [
        ("\n2\n", "\ntwo\n", 1, "expected a number of atoms, got 'two'; the rest is not read"),
        ("\n2\n", "\n99999999999\n", 1, "expected at most 1,000,000 atoms in a frame, got 99,999,999,999"),
        ("\n2\n", f"\n{10**30}\n", 1, "expected a number of atoms, got '1000000"),
        ("0.00000000", "zero", 0, "not readable as extended XYZ"),
    ],
)
def test_broken_text(make_frame, write_frames, old, new, num_good, reason):
    path = write_frames([make_frame(), make_frame(seed=1)])
    path.write_text(path.read_text().replace(old, new))
    frames = list(read_extended_xyz(path))
    assert sum(isinstance(frame, Calculation) for frame in frames) == num_good
    assert isinstance(frames[-1], Rejected)
    assert reason in frames[-1].reason


def test_a_file_that_ends_too_early(make_frame, write_frames):
    path = write_frames([make_frame(), make_frame(seed=1)])
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    good, bad = read_extended_xyz(path)
    assert good.name == "frame-0"
    assert bad == Rejected("frames.xyz, frame 1", "expected 2 atoms, but the file ends before the last of them")


def test_an_empty_structure(tmp_path):
    path = tmp_path / "empty.xyz"
    path.write_text("0\nkweights=1\n")
    assert list(read_extended_xyz(path)) == [
        Rejected("empty.xyz, frame 0", "expected at least one atom, got an empty structure")
    ]


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "broken.xyz.xz"
    path.write_bytes(b"not compressed at all")
    (frame,) = read_extended_xyz(path)
    assert "the file is damaged or has another format" in frame.reason


@pytest.mark.parametrize(("suffix", "compress", "header"), [(".gz", gzip.compress, 10), (".bz2", bz2.compress, 4)])
def test_damage_inside_of_a_compressed_file(make_frame, write_frames, tmp_path, suffix, compress, header):
    path = tmp_path / f"frames.xyz{suffix}"
    good = compress(write_frames([make_frame()]).read_bytes())
    path.write_bytes(good[:header] + b"\xff" * 1000)
    (frame,) = read_extended_xyz(path)
    assert "expected text, but the file is damaged or has another format" in frame.reason


def test_k_points_without_weight_are_left_out(make_frame, write_frames):
    frame = make_frame()
    (plain,) = read_extended_xyz(write_frames([frame]))
    eigenvalues, weights = frame.info["eigenvalues"], frame.info["kweights"]
    frame.info["eigenvalues"] = np.concatenate([eigenvalues[:1] + 3.0, eigenvalues])
    frame.info["kweights"] = np.concatenate([[0.0], weights])
    (with_path,) = read_extended_xyz(write_frames([frame]))
    np.testing.assert_array_equal(with_path.eigenvalues, plain.eigenvalues)
    np.testing.assert_array_equal(with_path.weights, plain.weights)
    frame.info["kpoints"] = k_points = np.random.default_rng(0).random((6, 3)).round(6)
    (with_coordinates,) = read_extended_xyz(write_frames([frame]))
    np.testing.assert_array_equal(with_coordinates.k_points, k_points[1:])


@pytest.mark.parametrize("num_k", [1, 3])
def test_coordinates_of_k_points(make_frame, write_frames, num_k):
    # ASE reads three numbers back as one dimension, and takes nine for a matrix.
    k_points = np.arange(3.0 * num_k).reshape(num_k, 3) / 10
    eigenvalues = np.tile(np.linspace(-7, 7, 8), (num_k, 1))
    frame = make_frame(eigenvalues=eigenvalues, kweights=np.full(num_k, 2 / num_k), kpoints=k_points)
    (calculation,) = read_extended_xyz(write_frames([frame]))
    np.testing.assert_array_equal(calculation.k_points, k_points)


def test_an_empty_file_is_reported(tmp_path):
    path = tmp_path / "empty.xyz"
    path.write_text("")
    (rejected,) = read_extended_xyz(path)
    assert isinstance(rejected, Rejected)
    assert "expected at least one frame, got an empty file" in rejected.reason


def test_stress_and_code(make_frame, write_frames):
    frame = make_frame(code="GPAW 26.7.0")
    stress = np.array([0.1, 0.2, 0.3, 0.04, 0.05, 0.06])  # xx, yy, zz, yz, xz, xy
    frame.calc.results["stress"] = stress
    (calculation,) = read_extended_xyz(write_frames([frame]))
    np.testing.assert_allclose(calculation.values[STRESS], [[0.1, 0.06, 0.05], [0.06, 0.2, 0.04], [0.05, 0.04, 0.3]])
    assert calculation.code == "GPAW 26.7.0"
