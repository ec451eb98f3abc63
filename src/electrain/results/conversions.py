"""Results as objects of other packages: ASE, pymatgen and pandas."""

from typing import TYPE_CHECKING, Any, TypeAlias

from ase import Atoms

from .dictionaries import DOS_UNCERTAINTY, axis_name

if TYPE_CHECKING:
    from ase.spectrum.doscollection import GridDOSCollection
    from ase.spectrum.dosdata import GridDOSData
    from pandas import DataFrame
    from pymatgen.electronic_structure.dos import Dos

# `ElectronicStructure`, which imports this module: an import here would be circular.
ElectronicStructure: TypeAlias = Any


def to_ase(result: ElectronicStructure) -> "GridDOSData":
    """Convert the density of states of the whole structure for :mod:`ase.spectrum`."""
    from ase.spectrum.dosdata import GridDOSData  # imports matplotlib, which takes half a second

    return GridDOSData(result.energies, result.density_of_states, info={"label": result.formula})


def to_ase_collection(result: ElectronicStructure) -> "GridDOSCollection":
    """Convert the local density of states for :mod:`ase.spectrum`, one entry per atom."""
    from ase.spectrum.doscollection import GridDOSCollection  # imports matplotlib, which takes half a second
    from ase.spectrum.dosdata import GridDOSData

    symbols = result.atoms.get_chemical_symbols()
    return GridDOSCollection(
        [
            GridDOSData(result.energies, values, info={"symbol": symbols[index], "index": str(index)})
            for index, values in enumerate(result.local())
        ]
    )


def to_pymatgen(result: ElectronicStructure) -> "Dos":
    """Convert to pymatgen's ``CompleteDos`` or ``Dos``; see ``ElectronicStructure.to_pymatgen``."""
    try:
        from pymatgen.electronic_structure.core import Orbital, Spin
        from pymatgen.electronic_structure.dos import CompleteDos, Dos
        from pymatgen.io.ase import AseAtomsAdaptor
    except ImportError as error:
        raise ImportError("to_pymatgen() needs pymatgen: pip install electrain[pymatgen]") from error
    if not result.relative_to_fermi_level:
        raise ValueError("pymatgen needs a Fermi level, but the model predicts none")
    total = Dos(0.0, result.energies, {Spin.up: result.density_of_states})
    atoms = result.atoms
    if not atoms.pbc.all():
        return total
    structure = AseAtomsAdaptor.get_structure(Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True))
    if result.local_density_of_states is None:
        return CompleteDos(structure, total, {})
    # pymatgen can neither store nor sum what is not resolved by orbitals, so each atom has one.
    sites = {
        site: {Orbital.s: {Spin.up: values}}
        for site, values in zip(structure, result.local_density_of_states, strict=True)
    }
    return CompleteDos(structure, total, sites)


def to_pandas(result: ElectronicStructure) -> "DataFrame":
    """Convert to a table with one row per energy; see ``ElectronicStructure.to_pandas``."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas: pip install electrain[pandas]") from error
    columns = {"dos_states_per_eV": result.density_of_states}
    if result.uncertainty is not None:
        columns[DOS_UNCERTAINTY] = result.uncertainty.density_of_states
    if result.local_density_of_states is not None:
        atoms = enumerate(zip(result.atoms.get_chemical_symbols(), result.local_density_of_states, strict=True))
        columns |= {f"{symbol}_{index}_dos_states_per_eV": values for index, (symbol, values) in atoms}
    table = pandas.DataFrame(columns, index=pandas.Index(result.energies, name=axis_name(result)))
    table.attrs = {
        "formula": result.formula,
        "band_gap_eV": result.band_gap,
        "fermi_level_on_model_axis_eV": result.fermi_level,
    }
    return table
