"""Extended XYZ files with eigenvalues, as in the MAD dataset."""

import gzip
import io
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import open_with_compression
from numpy.typing import NDArray

from .calculation import Calculation

_KEPT = ("id", "subset", "parent")


@dataclass(frozen=True)
class Rejected:
    """A frame that cannot be used, and why.

    :param source: the file and the frame.
    :param reason: what was expected and what came.
    """

    source: str
    reason: str


def read_extended_xyz(path: Path) -> Iterator[Calculation | Rejected]:
    """Read one frame after the other; the file may be compressed (``.xz``, ``.gz``, ``.bz2``).

    A frame's comment line holds ``eigenvalues`` (num_k, num_bands) or (2, num_k, num_bands) in eV with the
    Fermi level at zero and ``kweights`` (num_k,); see :class:`Calculation` for their sum. It may hold
    ``n_electrons``, ``bandgap`` (eV), ``energy`` (eV), ``id``, ``subset`` and ``parent``; forces (eV/A) are a
    column. ``efermi``, the Fermi level before that shift, is not used.

    A frame that fails a check comes back as :class:`Rejected`. Where a frame ends can no longer be told after
    a broken count of atoms: the rest of the file is then one :class:`Rejected`.

    :param path: the file.
    :raises OSError: if the file cannot be opened.
    """
    with open_with_compression(str(path), "rt") as file:
        index = -1
        for index, text in enumerate(_frames(file)):
            source = f"{path.name}, frame {index}"
            if isinstance(text, Rejected):
                yield Rejected(source, text.reason)
                return
            try:
                yield calculation_from_atoms(_parse(text, source), source)
            except ValueError as error:
                yield Rejected(source, str(error).removeprefix(f"{source}: "))
        if index < 0:
            yield Rejected(path.name, "expected at least one frame, got an empty file")


def calculation_from_atoms(atoms: Atoms, source: str) -> Calculation:
    """Make a calculation of a structure read from extended XYZ.

    :param atoms: as ASE reads it, with ``info`` and calculator; see :func:`read_extended_xyz` for the keys.
    :param source: file and frame, for messages.
    :raises ValueError: if a key is missing or anything fails a check.
    """
    for key in ("eigenvalues", "kweights"):
        if key not in atoms.info:
            found = ", ".join(sorted(atoms.info)) or "none"
            raise ValueError(f"{source}: expected the key '{key}' in the comment line, got {found}")
    eigenvalues = _numbers(atoms.info["eigenvalues"], "eigenvalues", source)
    weights = np.atleast_1d(_numbers(atoms.info["kweights"], "kweights", source))  # ASE: one weight is a number
    results = atoms.calc.results if atoms.calc is not None else {}
    structure = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    structure.info = {key: str(atoms.info[key]) for key in _KEPT if key in atoms.info}
    return Calculation(
        atoms=structure,
        eigenvalues=eigenvalues[None] if eigenvalues.ndim == 2 else eigenvalues,
        weights=weights,
        fermi_level=0.0,
        source=source,
        num_electrons=_optional(atoms.info.get("n_electrons"), "n_electrons", source),
        band_gap=_optional(atoms.info.get("bandgap"), "bandgap", source),
        energy=_optional(results.get("energy"), "energy", source),
        forces=results.get("forces"),
    )


def _frames(file: IO[str]) -> Iterator[str | Rejected]:
    """Yield the text of one frame after the other, and what ends the file too early."""
    try:
        while line := file.readline():
            if not line.strip():
                continue
            if not re.fullmatch(r"\s*\d+\s*", line):
                yield Rejected("", f"expected a number of atoms, got {line[:40].strip()!r}; the rest is not read")
                return
            lines = [line, *(file.readline() for _ in range(int(line) + 1))]
            if lines[-1] == "":
                yield Rejected("", f"expected {int(line)} atoms, but the file ends before the last of them")
                return
            yield "".join(lines)
    except (UnicodeDecodeError, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        yield Rejected("", f"expected text, but the file is damaged or of another kind ({error})")


def _parse(text: str, source: str) -> Atoms:
    if int(text[: text.index("\n")]) == 0:
        raise ValueError(f"{source}: expected at least one atom, got an empty structure")
    try:
        atoms = ase.io.read(io.StringIO(text), format="extxyz")
    except Exception as error:  # ASE raises all kinds of errors for malformed text
        raise ValueError(f"{source}: not readable as extended XYZ ({type(error).__name__}: {error})") from error
    assert isinstance(atoms, Atoms)
    return atoms


def _numbers(value: Any, key: str, source: str) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{source}: expected an array of numbers for '{key}', got {str(value)[:60]!r}") from None


def _optional(value: Any, key: str, source: str) -> float | None:
    if value is None:
        return None
    number = _numbers(value, key, source)
    if number.size != 1:
        raise ValueError(f"{source}: expected one number for '{key}', got shape {number.shape}")
    return number.item()
