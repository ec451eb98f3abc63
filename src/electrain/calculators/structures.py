"""Structures as users have them -> ASE's atoms."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from ase import Atoms
from ase.data import atomic_numbers

from electrain.structures.files import Unreadable, read_structures

if TYPE_CHECKING:
    from pymatgen.core import IMolecule, IStructure

Structure: TypeAlias = Union[Atoms, "IStructure", "IMolecule"]
Structures: TypeAlias = str | Path | Iterable[Structure]

_EXPECTED = "a structure (ase.Atoms, or pymatgen's Structure or Molecule)"


def is_structure(value: Any) -> bool:
    """Whether something is a single structure."""
    return isinstance(value, Atoms) or _is_of_pymatgen(value)


def to_atoms(structure: Structure, where: str = "") -> Atoms:
    """Convert a structure to ASE's atoms, with the charge and spin multiplicity of pymatgen's in ``info``.

    :param where: which structure it is, for error messages.
    :raises TypeError: for anything else.
    :raises ValueError: for a disordered structure, or sites that are not chemical elements.
    """
    if isinstance(structure, Atoms):
        return structure
    if not _is_of_pymatgen(structure):
        raise TypeError(f"{where}expected {_EXPECTED}, got {type(structure).__name__}")
    return _from_pymatgen(structure, where)


def iterate_atoms(structures: Structures) -> Iterator[Atoms]:
    """Convert several structures, or all structures of a file, to ASE's atoms, one at a time.

    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: for a file that cannot be read, and as for :func:`to_atoms`.
    :raises TypeError: for anything else.
    """
    if isinstance(structures, (str, Path)):
        yield from _read(str(structures))
        return
    try:
        iterator = iter(structures)
    except TypeError:
        raise TypeError(
            f"expected {_EXPECTED}, several of them, or the name of a file, got {type(structures).__name__}"
        ) from None
    for index, structure in enumerate(iterator):
        yield to_atoms(structure, f"structure {index}: ")


def _read(source: str) -> Iterator[Atoms]:
    for found in read_structures(source):
        if isinstance(found, Unreadable):
            error = FileNotFoundError if found.reason == "no such file" else ValueError
            raise error(f"{found.name}: {found.reason}")
        yield found[1]


def _is_of_pymatgen(value: Any) -> bool:
    """Whether something is a structure of pymatgen; pymatgen is optional, and importing it takes a second."""
    names = (f"{cls.__module__}.{cls.__name__}" for cls in type(value).__mro__)
    return "pymatgen.core.structure.SiteCollection" in names


def _from_pymatgen(structure: Any, where: str) -> Atoms:
    if not structure.is_ordered:
        mixed = next(site for site in structure if not site.is_ordered)
        raise ValueError(
            f"{where}expected every site fully occupied by one element, got {mixed.species_string}: convert it to an "
            "ordered structure first"
        )
    symbols = [{"D": "H", "T": "H"}.get(site.specie.symbol, site.specie.symbol) for site in structure]
    unknown = sorted({symbol for symbol in symbols if symbol not in atomic_numbers})
    if unknown:
        raise ValueError(f"{where}expected chemical elements, got {', '.join(unknown)}")
    lattice = getattr(structure, "lattice", None)
    atoms = Atoms(
        symbols,
        positions=structure.cart_coords,
        cell=None if lattice is None else lattice.matrix,
        pbc=False if lattice is None else lattice.pbc,
    )
    charge = structure._charge  # the property is the sum of oxidation states if none was given, and may warn
    if charge:
        atoms.info["charge"] = charge
    if lattice is None:
        atoms.info["spin_multiplicity"] = structure.spin_multiplicity
    return atoms
