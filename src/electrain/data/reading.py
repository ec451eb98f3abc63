"""Reading the parts of a data set that ``electrain prepare`` wrote, structure by structure."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from metatensor.torch import TensorBlock
from metatrain.utils.data import DiskDataset
from numpy.typing import NDArray

from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.grid import EnergyGrid

from .splits import PARTS
from .work_folder import MANIFEST, STRUCTURES
from .writing import BAND_GAP_KEY, DOS_KEY, part_name


class Entry(NamedTuple):
    """What the table of structures says about one of a part.

    :param name: its ``id``, or ``"structure 12"``.
    :param formula: reduced, as the table has it.
    :param subset: ``"all"`` for a data set without subsets.
    :param num_electrons: of the calculation, NaN if unknown.
    """

    name: str
    formula: str
    subset: str
    num_electrons: float


@dataclass(frozen=True, eq=False)
class LabelledStructure:
    """A structure with its targets; NaN for what is unknown.

    :param entry: what the table of structures says.
    :param atoms: lengths in A.
    :param density_of_states: on the prediction grid, shape ``(axis.grid.size,)``, in states/eV; NaN where not trusted.
    :param band_gap: in eV.
    :param energy: in eV.
    :param forces: shape ``(num_atoms, 3)``, in eV/A.
    :param stress: shape ``(3, 3)``, in eV/A^3.
    """

    entry: Entry
    atoms: Atoms
    density_of_states: NDArray[np.float64]
    band_gap: float
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


class PreparedPart:
    """One part of a data set.

    :param folder: that ``electrain prepare`` wrote.
    :param part: ``"train"``, ``"validation"`` or ``"test"``.
    :raises FileNotFoundError: if the folder is none, or a file is missing.
    :raises ValueError: for another part, or one without structures.
    """

    def __init__(self, folder: Path, part: str) -> None:
        if part not in PARTS:
            raise ValueError(f"expected one of the parts {', '.join(PARTS)}, got {part!r}")
        manifest = folder / MANIFEST
        if not manifest.is_file():
            raise FileNotFoundError(
                f"expected a folder that `electrain prepare` wrote, but there is no {MANIFEST} in {folder}"
            )
        settings = json.loads(manifest.read_text(encoding="utf-8"))
        grid = settings["energy_grid"]
        self.folder, self.part = folder, part
        self.form: str = settings["format"]
        self.axis = EnergyAxis(
            EnergyGrid(grid["start"], grid["step"], grid["size"]),
            settings["max_shift"]["channels"],
            settings["smearing"]["value"],
        )
        self.has = {name: name in settings["units"] for name in ("energy", "forces", "stress")}
        self.entries = _read_entries(folder / STRUCTURES, part)
        if not self.entries:
            parts = ", ".join(f"{name} {count}" for name, count in settings["split"]["number"].items())
            raise ValueError(f"expected structures in the part {part!r} of {folder}, which has none ({parts})")
        self.path = folder / part_name(part, self.form)
        if not self.path.exists():
            raise FileNotFoundError(f"the manifest in {folder} speaks of {self.path.name}, but there is no such file")

    def __len__(self) -> int:
        return len(self.entries)

    def structures(self) -> Iterator[LabelledStructure]:
        """Read all structures, one at a time, in the order of the file.

        :raises ValueError: if their number or their number of channels is not what manifest and table say.
        """
        count = 0
        for frame in _READERS[self.form](self):
            if count == len(self.entries):
                raise ValueError(f"{self.path}: expected {count} structures as in {STRUCTURES}, got more")
            entry = self.entries[count]
            if frame.spectrum.shape != (self.axis.grid.size,):
                raise ValueError(
                    f"{self.path}, structure {count}: expected a density of states on {self.axis.grid.size} "
                    f"channels, got {frame.spectrum.size}"
                )
            yield self._labelled(entry, frame)
            count += 1
        if count != len(self.entries):
            raise ValueError(f"{self.path}: expected {len(self.entries)} structures as in {STRUCTURES}, got {count}")

    def _labelled(self, entry: Entry, frame: "_Frame") -> LabelledStructure:
        forces, stress = frame.forces, frame.stress
        return LabelledStructure(
            entry=entry,
            atoms=frame.atoms,
            density_of_states=frame.spectrum,
            band_gap=frame.band_gap,
            energy=frame.energy,
            forces=np.full((len(frame.atoms), 3), math.nan) if forces is None else forces,
            stress=np.full((3, 3), math.nan) if stress is None else stress,
        )


class _Frame(NamedTuple):
    atoms: Atoms
    spectrum: NDArray[np.float64]
    band_gap: float
    energy: float
    forces: NDArray[np.float64] | None
    stress: NDArray[np.float64] | None


def _read_entries(path: Path, part: str) -> list[Entry]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Entry(
                name=row["id"] or f"structure {row['number']}",
                formula=row["formula"],
                subset=row["subset"] or "all",
                num_electrons=float(row["electrons"]),
            )
            for row in csv.DictReader(file)
            if row["part"] == part
        ]


def _read_xyz(part: PreparedPart) -> Iterator[_Frame]:
    for atoms in ase.io.iread(part.path, format="extxyz"):
        results: dict[str, Any] = {} if atoms.calc is None else dict(atoms.calc.results)
        stress = None
        if part.has["stress"] and "stress" in results:
            stress = atoms.get_stress(voigt=False)
        plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        yield _Frame(
            atoms=plain,
            spectrum=np.asarray(atoms.info[DOS_KEY], dtype=np.float64),
            band_gap=float(atoms.info[BAND_GAP_KEY]),
            energy=float(results.get("energy", math.nan)),
            forces=results.get("forces"),
            stress=stress,
        )


def _read_zip(part: PreparedPart) -> Iterator[_Frame]:
    for sample in DiskDataset(part.path):
        values = dict(zip(sample._fields, sample, strict=True))
        system = values["system"]
        cell = system.cell.double().numpy()
        energy, forces, stress = math.nan, None, None
        if ENERGY in values:
            block: TensorBlock = values[ENERGY].block()
            energy = float(block.values)
            if block.has_gradient("positions"):
                forces = -block.gradient("positions").values.reshape(-1, 3).double().numpy()
            if block.has_gradient("strain"):
                volume = abs(float(np.linalg.det(cell)))
                strain = block.gradient("strain").values.reshape(3, 3).double().numpy()
                stress = strain / volume if volume else np.full((3, 3), math.nan)
        yield _Frame(
            atoms=Atoms(
                system.types.numpy(), positions=system.positions.double().numpy(), cell=cell, pbc=system.pbc.numpy()
            ),
            spectrum=values[DENSITY_OF_STATES].block().values[0].double().numpy(),
            band_gap=float(values[BAND_GAP].block().values),
            energy=energy,
            forces=forces,
            stress=stress,
        )


def _read_memmap(part: PreparedPart) -> Iterator[_Frame]:
    """Layout of metatrain's ``MemmapDataset``; open directions have no cell vector."""
    ends = np.load(part.path / "na.npy")
    count, num_atoms = len(ends) - 1, int(ends[-1])

    def array(name: str, *shape: int, kind: str = "float32") -> Any:
        path = part.path / f"{name}.bin"
        return np.memmap(path, kind, "r", shape=shape) if path.exists() else None

    numbers, positions = array("a", num_atoms, kind="int32"), array("x", num_atoms, 3)
    cells, spectra = array("c", count, 3, 3), array(DENSITY_OF_STATES, count, part.axis.grid.size)
    gaps, energies = array(BAND_GAP, count), array(ENERGY, count)
    forces, stresses = array(f"{ENERGY}_forces", num_atoms, 3), array(f"{ENERGY}_stress", count, 3, 3)

    def copied(values: Any) -> NDArray[np.float64]:
        return np.array(values, dtype=np.float64)

    for index in range(count):
        own = slice(int(ends[index]), int(ends[index + 1]))
        cell = copied(cells[index])
        yield _Frame(
            atoms=Atoms(numbers[own], positions=copied(positions[own]), cell=cell, pbc=cell.any(axis=1)),
            spectrum=copied(spectra[index]),
            band_gap=float(gaps[index]),
            energy=math.nan if energies is None else float(energies[index]),
            forces=None if forces is None else copied(forces[own]),
            stress=None if stresses is None else copied(stresses[index]),
        )


_READERS = {"xyz": _read_xyz, "zip": _read_zip, "memmap": _read_memmap}
