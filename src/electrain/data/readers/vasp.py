"""VASP's vasprun.xml, parsed with pymatgen."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.units import GPa
from numpy.typing import NDArray

from electrain.files.replacing import naming
from electrain.interface.quantities import ENERGY, FORCES, STRESS
from electrain.structures.packed import TooLargeError, open_packed

from ..calculation import Calculation, CalculationError
from ..zone import FOR_BANDS
from .common import States, finite, normalised_states, reading

if TYPE_CHECKING:
    from pymatgen.io.vasp import Vasprun

_LONGEST_LINE = 2**20  # longer ones are read in parts
# Files compressed with xz have up to four elements a byte.
_ELEMENTS = 1_000_000
_ELEMENTS_PER_BYTE = 6
_KILOBAR = 0.1 * GPa
_UNPARSABLE = re.compile(rb'<i [^>]*>\s*\*+\s*</i>|<i (type="int" )?name="ALGO">\s*\d+\s*</i>')


def read_vasp(path: str | Path) -> Calculation:
    """Read the last geometry of a run; the file may be compressed.

    Energies are VASP's free energies (``TOTEN``), whose derivatives are the forces.

    :raises CalculationError: if the file is damaged, the run did not converge, k-points lie on lines, eigenvalues or
        Fermi level are missing, or a check fails.
    :raises ImportError: if pymatgen is not installed.
    """
    source = str(path)
    with reading(source, "VASP's vasprun.xml"):
        return _calculation(open_run(Path(path)), source)


def open_run(path: Path) -> "Vasprun":
    """Parse a file, which may be compressed.

    :raises ImportError: if pymatgen is not installed.
    """
    try:
        from pymatgen.io.vasp import Vasprun
    except ImportError as error:
        raise ImportError("reading vasprun.xml needs pymatgen: pip install electrain[pymatgen]") from error
    # pymatgen reads the Fermi level only together with the density of states.
    with _parsable(path) as readable:
        return Vasprun(str(readable), parse_dos=True, parse_eigen=True, parse_potcar_file=False)


@contextmanager
def _parsable(path: Path) -> Iterator[Path]:
    """The file, or a copy without what pymatgen stumbles over and nobody reads.

    VASP writes asterisks for numbers that do not fit, and users choose ``ALGO`` by its number.
    """
    if not _find_unparsable(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "vasprun.xml"
        with open_packed(path) as file, naming(copy), copy.open("wb") as target:
            target.writelines(_UNPARSABLE.sub(b"", line) for line in _lines(file))
        yield copy


def _find_unparsable(path: Path) -> bool:
    """Whether pymatgen stumbles over something.

    :raises TooLargeError: for more elements than a file of this size can have: small files must not fill the memory.
    """
    found, number = False, 0
    most = _ELEMENTS + _ELEMENTS_PER_BYTE * path.stat().st_size
    with open_packed(path) as file:
        for line in _lines(file):
            found = found or _UNPARSABLE.search(line) is not None
            number += line.count(b"<")
            if number > most:
                raise TooLargeError(f"expected at most {most:,} elements in a file of this compressed size, got more")
    return found


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.readline(_LONGEST_LINE), b"")


def _calculation(run: "Vasprun", source: str) -> Calculation:
    if run.kpoints.style.name == "Line_mode":
        raise CalculationError(
            source, f"expected a k-point mesh, got k-points along lines, which have no weights{FOR_BANDS}"
        )
    check_run(run, source)
    states = _states(run, source)
    step = run.ionic_steps[-1]
    # With a fixed density (ICHARG of 10 or more), the energy is not that of the ground state.
    is_self_consistent = run.parameters.get("ICHARG", 0) < 10
    return Calculation(
        atoms=last_structure(run),
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        occupations=states.occupations,
        k_points=states.k_points,
        fermi_level=float(run.efermi),
        num_electrons=float(run.parameters["NELECT"]),
        values={
            ENERGY: step["e_fr_energy"],
            FORCES: finite(step.get("forces")),
            # VASP's stress has the opposite sign of ASE's.
            STRESS: finite(-np.array(step["stress"]) * _KILOBAR) if "stress" in step else None,
        }
        if is_self_consistent
        else {},
        noncollinear=is_noncollinear(run),
        source=source,
        code=f"VASP {run.vasp_version}".strip(),
    )


def check_run(run: "Vasprun", source: str) -> None:
    """Check that a run has eigenvalues and one Fermi level, and that it converged.

    :raises CalculationError: if not.
    """
    if not run.eigenvalues:
        raise CalculationError(source, "expected eigenvalues, got none")
    if run.efermi is None:
        raise CalculationError(source, "expected a Fermi level (written together with the density of states), got none")
    if not run.ionic_steps or not run.converged_electronic:
        raise CalculationError(source, "expected a converged calculation, got one that did not converge")
    if run.is_spin and run.parameters.get("NUPDOWN", -1) >= 0:
        raise CalculationError(
            source, f"expected one Fermi level, got a fixed magnetization (NUPDOWN = {run.parameters['NUPDOWN']:g})"
        )


def last_structure(run: "Vasprun") -> Atoms:
    """Structure to which the states belong."""
    structure = run.ionic_steps[-1]["structure"]
    return Atoms(
        [site.specie.symbol for site in structure],
        positions=structure.cart_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )


def levels_of(run: "Vasprun") -> NDArray[np.float64]:
    """Eigenvalues in eV and occupations of all states, shape ``(num_spins, num_k, num_bands, 2)``."""
    # Sorted by the spin's value: up is 1, down is -1.
    return np.stack([run.eigenvalues[spin] for spin in sorted(run.eigenvalues, key=lambda spin: -spin.value)])


def is_noncollinear(run: "Vasprun") -> bool:
    """Whether the states are spinors."""
    return bool(run.parameters.get("LNONCOLLINEAR", False))


def _states(run: "Vasprun", source: str) -> States:
    values = levels_of(run)
    return normalised_states(
        values[..., 0],
        run.actual_kpoints_weights,
        values[..., 1],
        run.actual_kpoints,
        total=1.0,
        electrons_per_state=1 if is_noncollinear(run) or len(values) == 2 else 2,
        source=source,
    )
