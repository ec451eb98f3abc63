"""Extended XYZ files with eigenvalues, or with densities of states as in the published data of PET-MAD-DOS."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from electrain.interface.quantities import BAND_GAP
from electrain.structures.packed import DAMAGED, TooLargeError, open_packed
from electrain.structures.xyz_frames import FrameError, as_text, next_frame, parse_frame

from ..calculation import Calculation, CalculationError, Rejected, given_quantities
from ..sampled_spectrum import DosGrid, SampledSpectrum
from .common import normalised_states, plain_structure

_Read = TypeVar("_Read")
_KEPT = ("id", "subset", "parent", "split")
_K_POINTS = ("k_points", "kpoints")


def read_extended_xyz(
    path: str | Path, *, dos_grid: DosGrid | None = None
) -> Iterator[Calculation | SampledSpectrum | Rejected]:
    """Read the frames one by one; the file may be compressed (``.xz``, ``.gz``, ``.bz2``).

    The comment line of a frame contains ``eigenvalues`` (num_k, num_bands) or (2, num_k, num_bands), in eV with the
    Fermi level at zero, and ``kweights`` (num_k,); see :class:`Calculation` for their sum. It may also contain
    ``k_points`` or ``kpoints`` (num_k, 3), fractional, ``n_electrons``, ``code`` (name and version), ``id``,
    ``subset``, ``parent`` and ``split``, and the keys of :mod:`electrain.interface.quantities`: ``bandgap`` (eV),
    ``energy`` (eV), ``stress`` (eV/A^3); forces (eV/A) are a column. ``efermi``, the Fermi level before that shift, is
    not used.

    Instead of eigenvalues, a frame may contain a density of states, see :func:`spectrum_from_atoms`.

    A frame that fails a check is returned as :class:`Rejected`. After an invalid number of atoms, the end of the frame
    is unknown, so the rest of the file is returned as one :class:`Rejected`.

    :param path: the file.
    :param dos_grid: energies of densities of states, which the file does not contain.
    :raises OSError: if the file cannot be opened.
    """

    def read(atoms: Atoms, source: str) -> Calculation | SampledSpectrum:
        if "DOS" in atoms.info and "eigenvalues" not in atoms.info:
            return spectrum_from_atoms(atoms, source, dos_grid)
        return calculation_from_atoms(atoms, source)

    yield from read_each(path, read)


def read_each(path: str | Path, read: Callable[[Atoms, str], _Read]) -> Iterator[_Read | Rejected]:
    """Read the frames one by one with a function of structure and source, and reject those for which it fails.

    :raises OSError: if the file cannot be opened.
    """
    path = Path(path)
    with open_packed(path) as file:
        index = -1
        for index, text in enumerate(_frames(file)):
            source = f"{path.name}, frame {index}"
            if isinstance(text, Rejected):
                yield Rejected(source, text.reason)
                return
            try:
                yield read(_parse(text, source), source)
            except CalculationError as error:
                yield Rejected(error.source, error.reason)
        if index < 0:
            yield Rejected(path.name, "expected at least one frame, got an empty file")


def calculation_from_atoms(atoms: Atoms, source: str) -> Calculation:
    """Make a calculation from a structure read from extended XYZ.

    :param atoms: as ASE reads it, with ``info`` and calculator; see :func:`read_extended_xyz` for the keys.
    :param source: file and frame, for messages.
    :raises CalculationError: if a key is missing or a check fails.
    """
    for key in ("eigenvalues", "kweights"):
        if key not in atoms.info:
            found = ", ".join(sorted(atoms.info)) or "none"
            raise CalculationError(source, f"expected the key '{key}' in the comment line, got {found}")
    eigenvalues = numbers_of(atoms.info["eigenvalues"], "eigenvalues", source)
    weights = np.atleast_1d(
        numbers_of(atoms.info["kweights"], "kweights", source)
    )  # ASE returns a single weight as a number
    if eigenvalues.ndim == 2:
        eigenvalues = eigenvalues[None]
    points = k_points_key(atoms)
    k_points = None if points is None else np.atleast_2d(numbers_of(atoms.info[points], points, source))
    total = 1 if len(eigenvalues) == 2 else 2
    states = normalised_states(
        eigenvalues, weights, None, k_points, total=total, electrons_per_state=total, source=source
    )
    return Calculation(
        atoms=structure_with_names(atoms),
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        fermi_level=0.0,
        source=source,
        num_electrons=number_of(atoms, "n_electrons", source),
        values=_values(atoms, source, {}) | _spectra(atoms, eigenvalues.shape, weights > 0, source),
        k_points=states.k_points,
        code=str(atoms.info.get("code", "")),
    )


def k_points_key(atoms: Atoms) -> str | None:
    """Return the key of the coordinates of k-points in ``atoms.info``; ``None`` if there are none."""
    return next((key for key in _K_POINTS if key in atoms.info), None)


def spectrum_from_atoms(atoms: Atoms, source: str, grid: DosGrid | None) -> SampledSpectrum:
    """Make a density of states from a structure read from extended XYZ.

    The keys are those of the published data of PET-MAD-DOS: ``DOS`` in states/eV for the whole structure, ``mask``,
    which is 1 where the density of states can be trusted and 0 above, and optionally ``gap`` (eV) and
    ``number_of_electrons``. Those of all other quantities, such as ``energy``, are as in :func:`read_extended_xyz`.

    :param atoms: as ASE reads it, with ``info`` and calculator.
    :param source: file and frame, for messages.
    :param grid: energies of the values.
    :raises CalculationError: if a key is missing or a check fails, or without a grid.
    """
    if grid is None:
        raise CalculationError(
            source,
            "expected the energies of the density of states, which the file does not contain: use --layout mad for the "
            "data of PET-MAD-DOS, --dos-grid START STEP (and --smearing) for others",
        )
    if "mask" not in atoms.info:
        raise CalculationError(
            source, "expected the key 'mask', 1 where the density of states can be trusted, got none"
        )
    density = np.atleast_1d(numbers_of(atoms.info["DOS"], "DOS", source))
    mask = _shaped(atoms.info["mask"], density.shape, "mask", source)
    num_trusted = int((mask == 1).sum())
    if num_trusted == 0 or not np.array_equal(mask, np.arange(len(mask)) < num_trusted):
        raise CalculationError(source, "expected a mask of ones up to an energy and zeros above, got another one")
    return SampledSpectrum(
        atoms=structure_with_names(atoms),
        energies=np.round(grid.start + grid.step * np.arange(len(density)), 6),
        values=density[None],
        fermi_level=0.0,
        highest_trusted=round(grid.start + grid.step * (num_trusted - 1), 6),
        source=source,
        code=str(atoms.info.get("code", "")),
        smearing=grid.smearing,
        num_electrons=number_of(atoms, "number_of_electrons", source),
        others=_values(atoms, source, keys={BAND_GAP: "gap"}),
    )


def found_in(atoms: Atoms) -> dict[str, Any]:
    """All values of a frame by their keys, wherever ASE keeps them, a stress as a matrix."""
    results = {} if atoms.calc is None else dict(atoms.calc.results)
    if results.get("stress") is not None:
        results["stress"] = voigt_6_to_full_3x3_stress(results["stress"])
    return {**atoms.info, **atoms.arrays, **results}


def _frames(file: IO[bytes]) -> Iterator[str | Rejected]:
    """Yield the text of the frames one by one, and a rejection if the rest cannot be read."""
    try:
        while (frame := next_frame(file)) is not None:
            yield as_text(frame)
    except (FrameError, TooLargeError) as error:
        yield Rejected("", str(error))
    except (*DAMAGED, OSError) as error:
        yield Rejected("", f"expected text, but the file is damaged or has another format ({error})")


def _parse(text: str, source: str) -> Atoms:
    if int(text[: text.index("\n")]) == 0:
        raise CalculationError(source, "expected at least one atom, got an empty structure")
    try:
        return parse_frame(text)
    except TooLargeError as error:
        raise CalculationError(source, str(error)) from error
    except Exception as error:  # ASE raises all kinds of errors for malformed text
        raise CalculationError(source, f"not readable as extended XYZ ({type(error).__name__}: {error})") from error


def structure_with_names(atoms: Atoms) -> Atoms:
    """Structure with its ``id``, ``subset``, ``parent`` and ``split``, without anything else of a frame."""
    structure = plain_structure(atoms)
    structure.info = {key: str(atoms.info[key]) for key in _KEPT if key in atoms.info}
    return structure


def _spectra(
    atoms: Atoms, states: tuple[int, ...], used: NDArray[np.bool_], source: str
) -> dict[str, NDArray[np.float64]]:
    """Read the spectra of a calculation, which have a value for each state.

    :param states: shape of the eigenvalues in the file.
    :param used: which k-points have a weight.
    """
    found, values = found_in(atoms), {}
    for quantity in given_quantities():
        if quantity.is_spectrum and found.get(quantity.key) is not None:
            shape = quantity.array_shape(len(atoms), states)
            values[quantity.name] = _shaped(found[quantity.key], shape, quantity.key, source)[..., used, :]
    return values


def _values(atoms: Atoms, source: str, keys: Mapping[str, str]) -> dict[str, NDArray[np.float64]]:
    """Read all quantities that are not spectra.

    :param keys: keys by the name of a quantity, if they are not its own.
    """
    found, values = found_in(atoms), {}
    for quantity in given_quantities():
        key = keys.get(quantity.name, quantity.key)
        if not quantity.is_spectrum and found.get(key) is not None:
            values[quantity.name] = _shaped(found[key], quantity.array_shape(len(atoms), ()), key, source)
    return values


def number_of(atoms: Atoms, key: str, source: str) -> float | None:
    """One number in the comment line, ``None`` if it is missing."""
    value = atoms.info.get(key)
    return None if value is None else float(_shaped(value, (), key, source))


def numbers_of(value: Any, key: str, source: str) -> NDArray[np.float64]:
    """Numbers under a key of the comment line."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        reason = f"expected an array of numbers for '{key}', got {str(value)[:60]!r}"
        raise CalculationError(source, reason) from None


def _shaped(value: Any, shape: tuple[int, ...], key: str, source: str) -> NDArray[np.float64]:
    """Take numbers whose dimensions ASE may have left out or joined."""
    numbers = numbers_of(value, key, source)
    if numbers.size != math.prod(shape):
        expected = f"numbers of shape {shape}" if shape else "one number"
        raise CalculationError(source, f"expected {expected} for '{key}', got shape {numbers.shape}")
    return numbers.reshape(shape)
