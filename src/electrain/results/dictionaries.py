"""Results as plain Python types, with units in the names, and back."""

from typing import Any, TypeAlias

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from .uncertainty import Ensemble, Uncertainty

AXIS_FROM_FERMI = "energy_minus_fermi_eV"
AXIS_OWN_ZERO = "energy_model_zero_eV"
FERMI_LEVEL = "fermi_level_on_model_axis_eV"
ELECTRONS = "electrons_below_fermi_level"
FERMI_LEVEL_UNCERTAINTY = "fermi_level_uncertainty_eV"
BAND_GAP_UNCERTAINTY = "band_gap_uncertainty_eV"
DOS_UNCERTAINTY = "dos_uncertainty_states_per_eV"
_STATES = ("charge", "spin_multiplicity", "spin")  # inputs of a model, in `atoms.info`
# Everything about an ensemble, with the units of its three arrays
_ENSEMBLE = {
    "density_of_states": "dos_ensemble_states_per_eV",
    "band_gap": "band_gap_ensemble_eV",
    "fermi_level": "fermi_level_ensemble_on_model_axis_eV",
}
# `ElectronicStructure`, which imports this module: an import here would be circular.
ElectronicStructure: TypeAlias = Any


def to_dict(result: ElectronicStructure, name: str = "", *, with_ensemble: bool = False) -> dict[str, Any]:
    """Convert a result to plain Python types, for JSON, without losing any digits.

    :param result: the result.
    :param name: name of the structure.
    :param with_ensemble: whether to include the ensemble, which is as large as hundreds of results.
    """
    content: dict[str, Any] = {
        "structure": name,
        "formula": result.formula,
        "band_gap_eV": result.band_gap,
        FERMI_LEVEL: result.fermi_level,
        ELECTRONS: result.num_electrons,
        "smearing_eV": result.smearing,
        **structure_to_dict(result.atoms),
    }
    content[axis_name(result)] = result.energies.tolist()
    content["dos_states_per_eV"] = result.density_of_states.tolist()
    if result.local_density_of_states is not None:
        content["local_dos_states_per_eV"] = result.local_density_of_states.tolist()
    if result.uncertainty is not None:
        content[BAND_GAP_UNCERTAINTY] = result.uncertainty.band_gap
        content[FERMI_LEVEL_UNCERTAINTY] = result.uncertainty.fermi_level
        content[DOS_UNCERTAINTY] = result.uncertainty.density_of_states.tolist()
    if with_ensemble and result.ensemble is not None:
        members = result.ensemble._asdict()
        content |= {_ENSEMBLE[key]: None if array is None else array.tolist() for key, array in members.items()}
    return content


def structure_to_dict(atoms: Atoms) -> dict[str, Any]:
    """Convert a structure, with its charge and spin, to plain Python types."""
    content = {
        "elements": atoms.get_chemical_symbols(),
        "positions_angstrom": atoms.positions.tolist(),
        "cell_vectors_angstrom": atoms.cell[:].tolist(),
        "periodic": atoms.pbc.tolist(),
    }
    states = {key: atoms.info[key] for key in _STATES if isinstance(atoms.info.get(key), (int, float, np.number))}
    return content | {key: value.item() if isinstance(value, np.number) else value for key, value in states.items()}


def structure_from_dict(content: dict[str, Any]) -> Atoms:
    """Read a structure from what :func:`structure_to_dict` returned.

    :raises KeyError: if something is missing.
    """
    return Atoms(
        content["elements"],
        positions=np.array(content["positions_angstrom"], dtype=float).reshape(-1, 3),
        cell=content["cell_vectors_angstrom"],
        pbc=content["periodic"],
        info={key: content[key] for key in _STATES if key in content},
    )


def read_fields(content: dict[str, Any]) -> dict[str, Any]:
    """Read the fields of a result from what :func:`to_dict` returned.

    :raises KeyError: if something is missing.
    """
    atoms = structure_from_dict(content)
    axis = AXIS_FROM_FERMI if content[FERMI_LEVEL] is not None else AXIS_OWN_ZERO
    local = content.get("local_dos_states_per_eV")
    return {
        "atoms": atoms,
        "energies": np.array(content[axis]),
        "density_of_states": np.array(content["dos_states_per_eV"]),
        "band_gap": content["band_gap_eV"],
        "fermi_level": content[FERMI_LEVEL],
        "smearing": content["smearing_eV"],
        "local_density_of_states": None if local is None else np.array(local),
        "uncertainty": _read_uncertainty(content),
        "ensemble": _read_ensemble(content),
    }


def axis_name(result: ElectronicStructure) -> str:
    """Name of the energies: from the Fermi level, or from the zero of the model's own axis."""
    return AXIS_FROM_FERMI if result.relative_to_fermi_level else AXIS_OWN_ZERO


def _read_uncertainty(content: dict[str, Any]) -> Uncertainty | None:
    if DOS_UNCERTAINTY not in content:
        return None
    spectrum = np.array(content[DOS_UNCERTAINTY])
    return Uncertainty(spectrum, content[BAND_GAP_UNCERTAINTY], content[FERMI_LEVEL_UNCERTAINTY])


def _read_ensemble(content: dict[str, Any]) -> Ensemble | None:
    if _ENSEMBLE["density_of_states"] not in content:
        return None

    def array(key: str) -> NDArray[np.float64] | None:
        return None if content[_ENSEMBLE[key]] is None else np.array(content[_ENSEMBLE[key]])

    return Ensemble(np.array(content[_ENSEMBLE["density_of_states"]]), array("band_gap"), array("fermi_level"))
