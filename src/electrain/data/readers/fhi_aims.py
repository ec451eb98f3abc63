"""Text output of FHI-aims, parsed with ASE."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from ase.io.aims import get_aims_out_chunks, get_header_chunk
from ase.stress import voigt_6_to_full_3x3_stress

from electrain.interface.quantities import ENERGY, FORCES, STRESS
from electrain.structures.packed import open_packed

from ..calculation import Calculation, CalculationError
from .common import States, normalised_states, plain_structure, reading
from .core_states import lowest_valence_band, num_core_electrons

_LARGEST = 2**28  # bytes, which are kept in memory


def read_fhi_aims(path: str | Path) -> Calculation:
    """Read the last geometry of a run of FHI-aims; the file may be compressed.

    Of a periodic structure, the output contains everything only with ``output k_eigenvalue N`` for all N k-points and
    ``output k_point_list`` in ``control.in``. Core states are left out, and so are their electrons. Energies are
    "Electronic free energies", whose derivatives are the forces.

    :raises CalculationError: if the file is damaged, the run did not finish or converge, eigenvalues or weights of
        some k-points are missing, the magnetization is fixed, or a check fails.
    """
    path, source = Path(path), str(path)
    with reading(source, "output of FHI-aims"):
        with open_packed(path, _LARGEST) as file:
            text = file.read().decode(errors="replace")
        _check_end(text, source)
        stream = io.StringIO(text)
        header = get_header_chunk(stream)
        chunks = list(get_aims_out_chunks(stream, header))
        # What comes after the last step of a relaxation is a chunk of its own.
        return _calculation(chunks[-2 if header.is_relaxation else -1], text, source)


def _check_end(text: str, source: str) -> None:
    if "Have a nice day." not in text:
        raise CalculationError(source, "expected 'Have a nice day.' at the end, but the output ends before it")
    if text.rfind("Self-consistency cycle converged.") < text.rfind("Begin self-consistency loop"):
        raise CalculationError(source, "expected a converged calculation, got one that did not converge")
    if -1 < text.rfind("Writing Kohn-Sham eigenvalues.") < text.rfind("Begin self-consistency iteration"):
        raise CalculationError(source, "expected eigenvalues of the last iteration, got those of an earlier one")
    if re.search(r"^ *fixed_spin_moment", text, re.MULTILINE):
        raise CalculationError(source, "expected one Fermi level, got a fixed magnetization (fixed_spin_moment)")
    if re.search(r"^ *include_spin_orbit", text, re.MULTILINE):
        raise CalculationError(source, "expected no spin-orbit coupling, whose states ASE does not read")


def _calculation(chunk: Any, text: str, source: str) -> Calculation:
    atoms = chunk.atoms
    states = _states(chunk, source)
    core = num_core_electrons(atoms, source)
    first = lowest_valence_band(states.eigenvalues, core, source)
    assert states.occupations is not None
    total = re.findall(r"a total of +(\d+\.\d*) electrons", text)
    version = re.search(r"^ *(?:FHI-aims version *:|Version) *(\S+)", text, re.MULTILINE)
    stress = chunk.stress
    return Calculation(
        atoms=plain_structure(atoms),
        eigenvalues=states.eigenvalues[..., first:],
        weights=states.weights,
        occupations=states.occupations[..., first:],
        k_points=states.k_points,
        fermi_level=_fermi_level(text, source),
        num_electrons=float(total[-1]) - core if total else None,
        values={
            ENERGY: chunk.free_energy,
            FORCES: chunk.forces,
            STRESS: None if stress is None else voigt_6_to_full_3x3_stress(stress),
        },
        source=source,
        code=f"FHI-aims {'' if version is None else version[1]}".strip(),
    )


def _fermi_level(text: str, source: str) -> float:
    """Last Fermi level in eV; ASE does not read the one with the unit right behind it."""
    found = re.findall(r"Chemical potential \(Fermi level\)(?: in eV)? *: *([-+\d.E]+)(?: *eV)?\s", text)
    if not found:
        raise CalculationError(source, "expected a chemical potential (Fermi level), got none")
    return float(found[-1])


def _states(chunk: Any, source: str) -> States:
    if chunk.eigenvalues is None:
        raise CalculationError(source, "expected eigenvalues, got none")
    # ASE's shape is (k-points, bands, spins).
    eigenvalues, occupations = np.moveaxis(chunk.eigenvalues, -1, 0), np.moveaxis(chunk.occupancies, -1, 0)
    num_spins, num_k, _ = eigenvalues.shape
    missing = int(np.isnan(eigenvalues).any(axis=(0, 2)).sum())
    if missing:
        raise CalculationError(
            source,
            f"expected eigenvalues at {num_k} k-points, got those at {num_k - missing}; FHI-aims prints all of them "
            f"with 'output k_eigenvalue {num_k}' and 'output k_point_list'",
        )
    k_points, weights = (None, [1.0]) if num_k == 1 else (chunk.k_points, chunk.k_point_weights)
    if weights is None:
        raise CalculationError(
            source, "expected the weights of the k-points, got none; FHI-aims prints them with 'output k_point_list'"
        )
    return normalised_states(
        eigenvalues,
        weights,
        occupations / (3 - num_spins),  # two electrons in a state without spin polarisation
        k_points,
        total=1.0,
        electrons_per_state=3 - num_spins,
        source=source,
    )
