"""Which format a file has, and that a large file is read piece by piece."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from electrain.data import (
    Calculation,
    read_calculations,
    read_extended_xyz,
    read_gpaw,
    read_quantum_espresso_text,
    read_quantum_espresso_xml,
)
from electrain.data.readers import file_format

FILES = Path(__file__).parent / "files"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mg_metal.xml.xz", "Quantum ESPRESSO (XML)"),
        ("mg_metal.out.xz", "Quantum ESPRESSO (text)"),
        ("al.gpw", "GPAW (.gpw)"),
        ("al_spin_GSR.nc.xz", "ABINIT (GSR.nc)"),
    ],
)
def test_formats_are_recognised(name, expected):
    assert file_format(FILES / name).name == expected


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        (read_quantum_espresso_xml, "mg_metal.xml.xz"),
        (read_quantum_espresso_text, "mg_metal.out.xz"),
        (read_gpaw, "al.gpw"),
    ],
)
def test_paths_may_be_text(reader, name):
    for found in (reader(str(FILES / name)), next(read_calculations(str(FILES / name)))):
        np.testing.assert_array_equal(found.eigenvalues, reader(FILES / name).eigenvalues)


def test_names_do_not_matter_where_the_content_tells(real_file, tmp_path):
    (tmp_path / "no_ending").write_bytes(real_file("mg_metal.xml").read_bytes())
    assert file_format(tmp_path / "no_ending").name == "Quantum ESPRESSO (XML)"
    # What mpirun prints comes first.
    text = "".join(f"node {number}: some warning of MPI\n" for number in range(50))
    (tmp_path / "job.log").write_text(text + real_file("mg_metal.out").read_text())
    (found,) = read_calculations(tmp_path / "job.log")
    assert isinstance(found, Calculation)


def test_other_files_are_of_no_format(tmp_path, make_frame):
    write(tmp_path / "POSCAR", make_frame(), format="vasp")
    (tmp_path / "empty").touch()
    (tmp_path / "notes.json").write_text('{"energy": 1}')
    assert [file_format(path) for path in sorted(tmp_path.iterdir())] == [None, None, None]


def test_a_large_file_is_read_frame_by_frame(make_frame, tmp_path):
    def peak(num_frames: int) -> int:
        path = tmp_path / "frames.xyz.gz"
        write(tmp_path / "frame.xyz", make_frame(), format="extxyz")
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write((tmp_path / "frame.xyz").read_bytes() * num_frames)
        tracemalloc.start()
        assert sum(isinstance(frame, Calculation) for frame in read_calculations(path)) == num_frames
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    # Python frees the frames some dozens at a time.
    assert peak(300) < 2 * peak(60)


def test_extended_xyz_by_a_path_that_is_text(make_frame, tmp_path):
    write(tmp_path / "frame.xyz", make_frame(), format="extxyz")
    found = [next(read(str(tmp_path / "frame.xyz"))) for read in (read_extended_xyz, read_calculations)]
    np.testing.assert_array_equal(found[0].eigenvalues, found[1].eigenvalues)
