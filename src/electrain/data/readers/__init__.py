"""Readers of DFT output files, one for each format, all returning the same type."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from electrain.structures.packed import DAMAGED, is_packed, open_packed

from ..calculation import Calculation, CalculationError, Rejected
from ..sampled_spectrum import DosGrid, SampledSpectrum
from .abinit import read_abinit
from .extended_xyz import calculation_from_atoms, read_extended_xyz
from .fhi_aims import read_fhi_aims
from .gpaw import read_gpaw
from .pymatgen_dos import looks_like_pymatgen_dos, read_pymatgen_dos
from .quantum_espresso_text import read_quantum_espresso_text
from .quantum_espresso_xml import read_quantum_espresso_xml
from .siesta import read_siesta
from .vasp import read_vasp

__all__ = [
    "FORMATS",
    "FileFormat",
    "Frame",
    "calculation_from_atoms",
    "file_format",
    "is_source",
    "read_abinit",
    "read_calculations",
    "read_extended_xyz",
    "read_fhi_aims",
    "read_gpaw",
    "read_pymatgen_dos",
    "read_quantum_espresso_text",
    "read_quantum_espresso_xml",
    "read_siesta",
    "read_vasp",
]

Frame: TypeAlias = Calculation | SampledSpectrum | Rejected

# The first lines identify every format; those of pw.x may be preceded by some lines from MPI.
_HEAD_BYTES = 8192
# Entries of a JSON file are looked for up to here.
_JSON_BYTES = 2**26
_PYMATGEN_DOS = b"pymatgen.electronic_structure.dos"


class FileFormat(NamedTuple):
    """A format that can be read.

    :param name: for messages.
    :param endings: endings of the usual file names, in lower case, without the suffix of a compressed file.
    :param marks: the first lines of a file contain one of these; if there are none, the file name decides.
    :param read: function that reads the calculation or calculations in a file.
    """

    name: str
    endings: tuple[str, ...]
    marks: tuple[bytes, ...]
    read: Callable[[Path], Calculation | SampledSpectrum | Iterator[Frame]]


FORMATS = (
    FileFormat("extended XYZ", (".xyz", ".extxyz"), (), read_extended_xyz),
    FileFormat("Quantum ESPRESSO (XML)", ("data-file-schema.xml",), (b"<qes:espresso",), read_quantum_espresso_xml),
    FileFormat("Quantum ESPRESSO (text)", (".pwo",), (b"Program PWSCF",), read_quantum_espresso_text),
    FileFormat("VASP (vasprun.xml)", ("vasprun.xml",), (b"<modeling>",), read_vasp),
    FileFormat("SIESTA", (), (b"WELCOME TO SIESTA",), read_siesta),
    FileFormat("FHI-aims", (), (b"Invoking FHI-aims",), read_fhi_aims),
    FileFormat("GPAW (.gpw)", (".gpw",), (b"- of UlmGPAW", b"- of Ulmgpaw"), read_gpaw),
    FileFormat("ABINIT (GSR.nc)", ("gsr.nc",), (), read_abinit),
    FileFormat("pymatgen DOS (JSON)", (), (_PYMATGEN_DOS,), read_pymatgen_dos),
)


def file_format(path: Path) -> FileFormat | None:
    """Recognise the format of a file from its name and first bytes; ``None`` for an unknown format.

    :raises OSError: if the file cannot be read.
    """
    try:
        head = _head(path)
    except DAMAGED:
        head = b""  # the name may still identify the format; its reader then says what is wrong
    return _format_of(path, head)


def is_source(path: Path) -> bool:
    """Whether a file found in a folder is read, or reported as damaged, instead of being skipped.

    This is the case if it has a known format or the usual name of one, or if it cannot be opened or decompressed.
    """
    try:
        head = _head(path)
    except (*DAMAGED, OSError):
        return True
    return _format_of(path, head) is not None or any(_is_named_like(known, path) for known in FORMATS)


def read_calculations(path: str | Path, *, dos_grid: DosGrid | None = None) -> Iterator[Frame]:
    """Read all calculations in a file of any known format, one after the other.

    Unusable ones are returned as :class:`Rejected`.

    :param path: the file.
    :param dos_grid: energies of densities of states in extended XYZ files, which do not contain them.
    :raises OSError: if the file cannot be opened.
    :raises ImportError: if the package that parses the format is not installed.
    """
    path = Path(path)
    known = file_format(path)
    if known is None:
        yield Rejected(str(path), _why_unknown(path))
        return
    try:
        read = partial(read_extended_xyz, dos_grid=dos_grid) if known.read is read_extended_xyz else known.read
        found = read(path)
        if isinstance(found, Calculation | SampledSpectrum):
            yield found
        else:
            yield from found
    except CalculationError as error:
        yield Rejected(error.source, error.reason)


def _head(path: Path) -> bytes:
    """The beginning of a file; of JSON, whose entries come in any order, as much as tells what it is."""
    with open_packed(path) as file:
        head = file.read(_HEAD_BYTES)
        if head.lstrip()[:1] != b"{":
            return head
        content = head + file.read(_JSON_BYTES)
        return _PYMATGEN_DOS + head if looks_like_pymatgen_dos(content) else head


def _format_of(path: Path, head: bytes) -> FileFormat | None:
    for known in FORMATS:
        if any(mark in head for mark in known.marks) or (not known.marks and _is_named_like(known, path)):
            return known
    return None


def _is_named_like(known: FileFormat, path: Path) -> bool:
    name = path.name.lower()
    if is_packed(path):
        name = name.removesuffix(path.suffix.lower())
    return name.endswith(known.endings)


def _why_unknown(path: Path) -> str:
    try:
        head = _head(path)
    except DAMAGED as error:
        return f"expected a compressed file, but it is damaged or has another format ({error})"
    if not head:
        return "expected a calculation, got an empty file"
    names = ", ".join(known.name for known in FORMATS)
    return f"expected one of the formats {names}, got a file in none of them"
