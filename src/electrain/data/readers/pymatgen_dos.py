"""A density of states written by pymatgen as JSON, e.g. one from the Materials Project."""

import json
from pathlib import Path

import numpy as np
from ase import Atoms

from ..calculation import CalculationError
from ..sampled_spectrum import SampledSpectrum
from .common import open_packed, reading


def read_pymatgen_dos(path: str | Path, *, highest_trusted: float = 0.0) -> SampledSpectrum:
    """Read a ``CompleteDos``: the total density of states with its structure; the file may be compressed.

    :param path: the file.
    :param highest_trusted: energy up to which all states were computed, relative to the Fermi level, in eV. The
        file does not contain it; by default it is the Fermi level.
    :raises CalculationError: if the file is damaged or has no structure, or a check fails.
    :raises ImportError: if pymatgen is not installed.
    """
    try:
        from pymatgen.core import Structure
        from pymatgen.electronic_structure.dos import Dos
    except ImportError as error:
        raise ImportError("reading a pymatgen DOS needs pymatgen: pip install electrain[pymatgen]") from error
    path, source = Path(path), str(path)
    with reading(source, "a pymatgen density of states in JSON"):
        with open_packed(path) as file:
            content = json.load(file)
        if "structure" not in content:
            name = content.get("@class", "something else")
            raise CalculationError(source, f"expected a CompleteDos, which has a structure, got {name}")
        structure, dos = Structure.from_dict(content["structure"]), Dos.from_dict(content)
        spins = sorted(dos.densities, key=lambda spin: -spin.value)  # up is 1, down is -1
        return SampledSpectrum(
            atoms=Atoms(
                [site.specie.symbol for site in structure],
                positions=structure.cart_coords,
                cell=structure.lattice.matrix,
                pbc=structure.lattice.pbc,
            ),
            energies=np.asarray(dos.energies, dtype=np.float64),
            values=np.stack([np.asarray(dos.densities[spin], dtype=np.float64) for spin in spins]),
            fermi_level=float(dos.efermi),
            highest_trusted=highest_trusted,
            source=source,
        )
