"""Readers of bands along paths of k-points, one for each format, all returning the same type."""

from collections.abc import Callable, Iterator
from pathlib import Path

from electrain.bands import BandStructure
from electrain.structures.packed import is_packed, open_packed

from ...calculation import CalculationError, Rejected
from ...readers import file_format, is_source
from ...readers.common import reading
from .abinit import read_abinit_bands
from .ase_paths import read_ase_bands
from .extended_xyz import read_extended_xyz_bands
from .gpaw import read_gpaw_bands
from .pymatgen_bands import read_pymatgen_bands
from .quantum_espresso import read_quantum_espresso_bands
from .vasp import read_vasp_bands

__all__ = ["is_bands_source", "read_bands"]

_LARGEST = 2**29  # bytes of JSON, with the projections of every state onto orbitals
# by the names of the formats of calculations
_READERS: dict[str, Callable[[Path], BandStructure | Iterator[BandStructure | Rejected]]] = {
    "extended XYZ": read_extended_xyz_bands,
    "Quantum ESPRESSO (XML)": read_quantum_espresso_bands,
    "VASP (vasprun.xml)": read_vasp_bands,
    "GPAW (.gpw)": read_gpaw_bands,
    "ABINIT (GSR.nc)": read_abinit_bands,
}
_OF_ASE = b'"bandstructure"'
_OF_PYMATGEN = (b'"kpoints"', b'"bands"', b'"lattice_rec"')


def is_bands_source(path: Path) -> bool:
    """Whether a file found in a folder may have bands along a path, or is damaged."""
    if _is_json(path):
        try:
            with reading(str(path), "JSON"), open_packed(path, _LARGEST) as file:
                return _json_reader(file.read()) is not None
        except CalculationError:
            return True
    known = file_format(path)
    return is_source(path) if known is None else known.name in _READERS


def read_bands(path: str | Path) -> Iterator[BandStructure | Rejected]:
    """Read all band structures in a file of any known format, one after the other.

    Unusable ones, and calculations on meshes, are returned as :class:`~electrain.data.Rejected`.

    :raises OSError: if the file cannot be opened.
    :raises ImportError: if the package that parses the format is not installed.
    """
    path = Path(path)
    try:
        found = _read_json(path) if _is_json(path) else _read(path)
        if isinstance(found, BandStructure):
            yield found
        else:
            yield from found
    except CalculationError as error:
        yield Rejected(error.source, error.reason)


def _is_json(path: Path) -> bool:
    return (path.with_suffix("") if is_packed(path) else path).suffix.lower() == ".json"


def _read(path: Path) -> BandStructure | Iterator[BandStructure | Rejected]:
    known = file_format(path)
    if known is not None and known.name in _READERS:
        return _READERS[known.name](path)
    names = ", ".join([*_READERS, "JSON of pymatgen or ASE"])
    got = "a file in none of them" if known is None else f"a file of {known.name}"
    raise CalculationError(str(path), f"expected bands in one of the formats {names}, got {got}")


def _read_json(path: Path) -> BandStructure:
    with reading(str(path), "a band structure in JSON"), open_packed(path, _LARGEST) as file:
        text = file.read()
    reader = _json_reader(text)
    if reader is None:
        got = "something else" if text.strip() else "an empty file"
        raise CalculationError(str(path), f"expected a band structure of pymatgen or ASE in JSON, got {got}")
    return reader(text, path)


def _json_reader(text: bytes) -> Callable[[bytes, Path], BandStructure] | None:
    if _OF_ASE in text:
        return read_ase_bands
    return read_pymatgen_bands if all(mark in text for mark in _OF_PYMATGEN) else None
