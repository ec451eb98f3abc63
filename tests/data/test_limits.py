"""Small files that would fill memory or take minutes: each is refused with a reason, and costs itself only."""

import csv
import gzip
import lzma
import re
import tracemalloc
from pathlib import Path

import pytest

from electrain.data import Calculation, Rejected, prepare_dataset, read_calculations
from electrain.data.readers import quantum_espresso_xml
from electrain.data.sources import Source, cut_into_pieces, read_piece
from electrain.structures.files import Unreadable, read_structures

FILES = Path(__file__).parent / "readers" / "files"
MIB = 2**20
KEYS = 'eigenvalues="1 2" kweights=2'


def packed(path, begin, block, number):
    """A file that is much larger when it is unpacked."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(begin)
        for _ in range(number):
            file.write(block)


def sparse(path, begin, size):
    """A file of zeros that takes no room."""
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)


SMALL = {
    "count.xyz": lambda path: path.write_text("999999999\nProperties=species:S:1:pos:R:3\nH 0 0 0\n"),
    "columns.xyz": lambda path: path.write_text(f"1\nProperties=species:S:1:pos:R:3:a:R:99999999 {KEYS}\nH 0 0 0\n"),
    "words.xyz": lambda path: path.write_text("1\n" + "a " * 500_000 + "\nH 0 0 0\n"),
    "line.xyz": lambda path: sparse(path, b"1\n", 65 * MIB),
    "unpacked.xyz.gz": lambda path: packed(path, b"", b"\n" * MIB, 130),
}
REASONS = {
    "count.xyz": "expected at most 1,000,000 atoms in a frame, got 999,999,999",
    "columns.xyz": "expected at most 100,000 columns in 'Properties', got 100,000,003",
    "words.xyz": "expected at most 10,000 keys in a comment line, got 500,000",
    "line.xyz": "expected lines of at most 64 MiB, got a longer one",
    "unpacked.xyz.gz": "expected a file of at most 128 MiB when unpacked (200 times its compressed size, or 128 MiB), "
    "got more",
}


@pytest.fixture
def real_md(tmp_path):
    """Molecular dynamics of pw.x."""
    path = tmp_path / "si_md.xml"
    path.write_bytes(lzma.decompress((FILES / "si_md.xml.xz").read_bytes()))
    return path


@pytest.mark.parametrize("name", [name for name in SMALL if name != "unpacked.xyz.gz"])
def test_extended_xyz(tmp_path, name):
    SMALL[name](tmp_path / name)
    tracemalloc.start()
    (rejected,) = read_calculations(tmp_path / name)
    (unreadable,) = read_structures(str(tmp_path / name))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(rejected, Rejected) and rejected.reason == REASONS[name]
    assert isinstance(unreadable, Unreadable) and unreadable.reason == REASONS[name]
    assert peak < 200 * MIB


def test_an_oversized_file_costs_itself_only(make_frame, write_frames, tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    good = write_frames([make_frame(seed=seed) for seed in range(3)])
    good.rename(sources / "good.xyz")
    for name, write in SMALL.items():
        write(sources / name)
    # The frames before a broken one are used.
    text = (sources / "good.xyz").read_text()
    (sources / "half.xyz").write_text(text.replace("frame-", "other-") + "999999999\n")
    prepared = prepare_dataset([sources], tmp_path / "data")
    assert len({row.identity.name for rows in prepared.parts.values() for row in rows}) == 1
    with (tmp_path / "data" / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    reasons = {row["source"]: row["reason"] for row in rows}
    assert {name: reasons[name] for name in REASONS} == REASONS
    assert reasons["half.xyz"] == REASONS["count.xyz"]


def test_frames_before_an_oversized_one_are_used(make_frame, write_frames, tmp_path):
    path = write_frames([make_frame(seed=seed) for seed in range(5)])
    path.write_text(path.read_text() + "999999999\n\n")
    pieces, (damage,) = cut_into_pieces(0, Source(str(path), path.name), tmp_path / "unpacked", 2)
    (tmp_path / "temporary").mkdir()
    frames = [frame for piece in pieces for frame in read_piece(piece, path.name, tmp_path / "temporary")]
    assert [isinstance(frame, Calculation) for frame in frames] == [True] * 5
    assert (damage.frame, damage.reason) == (5, REASONS["count.xyz"])


@pytest.mark.parametrize(
    ("name", "begin", "block", "number", "reason"),
    [
        ("scf.out.gz", b"Program PWSCF v.7\n", b"\n" * MIB, 130, "of at most 128 MiB when unpacked"),
        ("siesta.out.gz", b"WELCOME TO SIESTA\n", b"\n" * MIB, 130, "of at most 128 MiB when unpacked"),
        ("aims.out.gz", b"Invoking FHI-aims\n", b"\n" * MIB, 130, "of at most 128 MiB when unpacked"),
        ("vasprun.xml.gz", b"<modeling>\n", b"<a/>" * (MIB // 4), 5, "elements in a file of this compressed size"),
        ("dos.json.gz", b'{"densities":0,"energies":0,"efermi":[', b"[]," * (MIB // 3), 6, "2,000,000 lists and obj"),
    ],
)
def test_compressed_files(tmp_path, name, begin, block, number, reason):
    if name == "vasprun.xml.gz":
        pytest.importorskip("pymatgen")
    packed(tmp_path / name, begin, block, number)
    (rejected,) = read_calculations(tmp_path / name)
    assert reason in rejected.reason


def test_a_sparse_file_that_is_kept_in_memory(tmp_path):
    sparse(tmp_path / "scf.out", b"Program PWSCF v.7\n", 2**29 + 1)
    (rejected,) = read_calculations(tmp_path / "scf.out")
    assert rejected.reason == "expected a file of at most 512 MiB, got 512 MiB"


def test_elements_of_xml_without_the_steps_of_molecular_dynamics(real_md, monkeypatch):
    text = real_md.read_text()
    (step,) = re.findall(r"<step n_step=\"1\".*?</step>", text, re.DOTALL)
    expected = next(read_calculations(real_md))
    real_md.write_text(text.replace(step, step * 200))
    monkeypatch.setattr(quantum_espresso_xml, "_MOST_ELEMENTS", text.count("</") + text.count("/>") + 50)
    found = next(read_calculations(real_md))
    assert isinstance(found, Calculation), found.reason
    assert (found.eigenvalues == expected.eigenvalues).all() and found.atoms == expected.atoms
    monkeypatch.setattr(quantum_espresso_xml, "_MOST_ELEMENTS", 100)
    (rejected,) = read_calculations(real_md)
    assert rejected.reason == "expected at most 100 elements of XML, got more"


def test_numbers_that_a_netcdf_file_declares(tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(tmp_path / "o_GSR.nc", "w") as file:
        file.createDimension("many", 2**28)
        file.createVariable("eigenvalues", "f8", ("many",), zlib=True)
    assert (tmp_path / "o_GSR.nc").stat().st_size < MIB
    (rejected,) = read_calculations(tmp_path / "o_GSR.nc")
    assert rejected.reason == "expected at most 134,217,728 numbers, got 268,435,456"


POSCAR = "Si\n1.0\n5 0 0\n0 5 0\n0 0 5\n{}99999999\nDirect\n0 0 0\n"
STRUCTURES = {
    "POSCAR": POSCAR.format("Si\n"),
    "CONTCAR": POSCAR.format(""),
    "a.lammps-data": "t\n\n99999999 atoms\n1 atom types\n0 5 xlo xhi\n0 5 ylo yhi\n0 5 zlo zhi\n\nAtoms\n\n1 1 0 0 0\n",
    "a.lammpstrj": "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n99999999\nITEM: BOX BOUNDS pp pp pp\n0 5\n0 5\n0 5\n",
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_atoms_that_a_structure_file_declares(tmp_path, name):
    (tmp_path / name).write_text(STRUCTURES[name])
    (unreadable,) = read_structures(str(tmp_path / name))
    assert unreadable.reason == "expected at most 1,000,000 atoms, got 99,999,999"


def test_structure_files_that_are_too_large(tmp_path):
    sparse(tmp_path / "a.cif", b"data_x\n", 2**30 + 1)
    packed(tmp_path / "b.cif.gz", b"data_x\n", b"\n" * MIB, 130)
    (first,) = read_structures(str(tmp_path / "a.cif"))
    (second,) = read_structures(str(tmp_path / "b.cif.gz"))
    assert first.reason == "expected a file of at most 1,024 MiB, got 1,024 MiB"
    assert second.reason == REASONS["unpacked.xyz.gz"]


def test_quoted_words_are_one(make_frame, write_frames):
    """A line may have any number of eigenvalues, or brackets and quotes in a note."""
    frame = make_frame(note="it's [a] \\ {note}" * 1000, numbers=list(range(20_000)))
    path = write_frames([frame])
    (found,) = read_calculations(path)
    assert isinstance(found, Calculation), found.reason
