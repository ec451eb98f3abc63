"""Readers of calculations, one for each format, all returning the same type."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ..calculation import Calculation, CalculationError, Rejected
from ..sampled_spectrum import SampledSpectrum
from .abinit import read_abinit
from .extended_xyz import calculation_from_atoms, read_extended_xyz
from .gpaw import read_gpaw
from .pymatgen_dos import read_pymatgen_dos
from .quantum_espresso_text import read_quantum_espresso_text
from .quantum_espresso_xml import read_quantum_espresso_xml
from .vasp import read_vasp

__all__ = [
    "FORMATS",
    "FileFormat",
    "Frame",
    "calculation_from_atoms",
    "file_format",
    "read_abinit",
    "read_calculations",
    "read_extended_xyz",
    "read_gpaw",
    "read_pymatgen_dos",
    "read_quantum_espresso_text",
    "read_quantum_espresso_xml",
    "read_vasp",
]

Frame: TypeAlias = Calculation | SampledSpectrum | Rejected

_OPENERS: dict[str, Callable] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
# The first lines of every format tell what it is; pw.x may come after some lines of MPI.
_HEAD_BYTES = 8192
_PYMATGEN_DOS = b"pymatgen.electronic_structure.dos"


class FileFormat(NamedTuple):
    """A format that can be read.

    :param name: for messages.
    :param matches: whether a file with this name, without the ending of a compressed file, and these first bytes
        is of the format.
    :param read: read the one calculation, or those, in a file.
    """

    name: str
    matches: Callable[[str, bytes], bool]
    read: Callable[[Path], Calculation | SampledSpectrum | Iterator[Calculation | Rejected]]


FORMATS = (
    FileFormat("extended XYZ", lambda name, _: name.endswith((".xyz", ".extxyz")), read_extended_xyz),
    FileFormat("Quantum ESPRESSO (XML)", lambda _, head: b"<qes:espresso" in head, read_quantum_espresso_xml),
    FileFormat("Quantum ESPRESSO (text)", lambda _, head: b"Program PWSCF" in head, read_quantum_espresso_text),
    FileFormat("VASP (vasprun.xml)", lambda _, head: b"<modeling>" in head, read_vasp),
    FileFormat("GPAW (.gpw)", lambda _, head: head[:24].lower().startswith(b"- of ulmgpaw"), read_gpaw),
    FileFormat("ABINIT (GSR.nc)", lambda name, _: name.endswith("gsr.nc"), read_abinit),
    FileFormat("pymatgen DOS (JSON)", lambda _, head: _PYMATGEN_DOS in head, read_pymatgen_dos),
)


def file_format(path: Path) -> FileFormat | None:
    """Recognise the format of a file by its name and first bytes; ``None`` if it is none of ours.

    :raises OSError: if the file cannot be read.
    """
    suffix = path.suffix.lower()
    name = path.name.lower().removesuffix(suffix) if suffix in _OPENERS else path.name.lower()
    head = _head(path, _OPENERS.get(suffix, open))
    return next((known for known in FORMATS if known.matches(name, head)), None)


def read_calculations(path: Path) -> Iterator[Frame]:
    """Read all calculations of a file, one after the other, whatever its format.

    What cannot be used comes back as :class:`Rejected`.

    :raises OSError: if the file cannot be opened.
    :raises ImportError: if the package is missing that parses the format.
    """
    known = file_format(path)
    if known is None:
        names = ", ".join(known.name for known in FORMATS)
        yield Rejected(str(path), f"expected one of the formats {names}, got a file that looks like none of them")
        return
    try:
        found = known.read(path)
        if isinstance(found, Calculation | SampledSpectrum):
            yield found
        else:
            yield from found
    except CalculationError as error:
        yield Rejected(error.source, error.reason)


def _head(path: Path, opener: Callable) -> bytes:
    try:
        with opener(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile):
        return b""  # by its name it can still be one of ours: its reader says what is wrong with it
