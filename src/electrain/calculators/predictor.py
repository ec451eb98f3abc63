"""Predict the electronic structure of one or of thousands of structures with an exported model."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from metatensor.torch import TensorBlock
from metatomic.torch import AtomisticModel, ModelEvaluationOptions, ModelOutput, pick_device
from numpy.typing import NDArray
from tqdm import tqdm
from vesin.metatomic import neighbor_lists_for_model

from ..axis_labels import labels_to_grid
from ..quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from ..results import ElectronicStructure
from ..spectra.grid import EnergyGrid
from ..structures import check_elements, check_structure, formula_of, to_system
from .model_file import check_outputs, load_model, smearing_of

BATCH_SIZE = 256  # atoms; a published-size model takes 0.25 GB for them in a dense crystal


class ElectronicStructureModel:
    """An exported model that predicts densities of states, band gaps and Fermi levels.

    >>> model = ElectronicStructureModel("model.pt")
    >>> silicon = model.predict(ase.build.bulk("Si"))
    >>> silicon.band_gap, silicon.energies, silicon.density_of_states

    :param model: the exported model: a ``.pt`` file, or a loaded one.
    :param device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``...; by default the first one that the model supports and
        the machine has.
    :raises FileNotFoundError: if there is no such file.
    :raises ModelFileError: if the file is no such model.
    :raises ValueError: for a device that is not available.
    """

    def __init__(self, model: str | Path | AtomisticModel, device: str | None = None) -> None:
        if isinstance(model, AtomisticModel):
            self.name = "the model"
            check_outputs(model.capabilities(), self.name)
        else:
            self.name = str(model)
            model = load_model(model)
        capabilities = model.capabilities()
        self.device = torch.device(_available_device(capabilities.supported_devices, device))
        self._model = model.to(device=self.device)
        self._dtype: torch.dtype = getattr(torch, capabilities.dtype)
        # No skin: lists are never used for a second, similar structure.
        self._neighbor_lists = neighbor_lists_for_model("angstrom", model, skin=0.0)
        self._atomic_numbers = sorted(capabilities.atomic_types)
        self._outputs = [name for name in (DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL) if name in capabilities.outputs]
        self.smearing = smearing_of(model)

    @property
    def elements(self) -> list[str]:
        """Symbols of the elements that the model knows, in the order of the periodic table."""
        return [chemical_symbols[number] for number in self._atomic_numbers]

    @property
    def predicts_fermi_level(self) -> bool:
        """Whether energies come relative to the Fermi level."""
        return FERMI_LEVEL in self._outputs

    @property
    def predicts_band_gap(self) -> bool:
        """Whether band gaps are predicted."""
        return BAND_GAP in self._outputs

    def check(self, atoms: Atoms) -> None:
        """Check that the model can work on a structure.

        :raises ValueError: for no atoms, unknown elements, positions that are not finite, or atoms on top of
            each other.
        """
        check_structure(atoms)
        check_elements(atoms, self._atomic_numbers)

    def predict(self, atoms: Atoms, *, per_atom: bool = False) -> ElectronicStructure:
        """Predict one structure; :meth:`predict_many` is faster for several.

        :param atoms: the structure, lengths in A.
        :param per_atom: also the contribution of each atom to the density of states.
        :raises TypeError: for anything but one structure.
        :raises ValueError: as :meth:`check`.
        """
        if not isinstance(atoms, Atoms):
            raise TypeError(f"expected one ase.Atoms, got {type(atoms).__name__}; predict_many() takes several")
        return self.predict_batch([atoms], per_atom=per_atom)[0]

    def predict_many(
        self,
        structures: Iterable[Atoms],
        *,
        per_atom: bool = False,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Iterator[ElectronicStructure]:
        """Predict structures one batch after the other, while the results are iterated over.

        >>> for result in model.predict_many(ase.io.iread("structures.xyz")):
        ...     print(result.formula, result.band_gap)

        :param structures: a list, or an iterator over as many as there are: one batch is held in memory at a
            time. Results come in the same order.
        :param per_atom: also the contribution of each atom to the density of states.
        :param batch_size: how many atoms are computed together, at most (a larger structure alone).
        :param progress: show a progress bar.
        :raises ValueError: as :meth:`check`, with the number (from 0) and formula of the structure.
        """
        bar = tqdm(structures, unit=" structures", disable=not progress)
        for batch in in_batches(self._checked(bar), batch_size):
            yield from self.predict_batch(batch, per_atom=per_atom)

    def _checked(self, structures: Iterable[Atoms]) -> Iterator[Atoms]:
        for index, atoms in enumerate(structures):
            try:
                self.check(atoms)
            except ValueError as error:
                raise ValueError(f"structure {index} ({formula_of(atoms)}): {error}") from None
            yield atoms

    def predict_batch(self, batch: Sequence[Atoms], *, per_atom: bool = False) -> list[ElectronicStructure]:
        """Predict a few structures in one evaluation of the model.

        :param batch: at least one structure.
        :param per_atom: also the contribution of each atom to the density of states.
        :raises ValueError: as :meth:`check`, or if a prediction is not finite.
        """
        for atoms in batch:
            self.check(atoms)
        predicted = self._evaluate(batch, per_atom=per_atom)
        density_of_states = predicted[DENSITY_OF_STATES]
        grid = self._grid(density_of_states)
        values = _numpy(density_of_states)
        gaps = _numpy(predicted[BAND_GAP])[:, 0] if BAND_GAP in predicted else None
        levels = _numpy(predicted[FERMI_LEVEL])[:, 0] if FERMI_LEVEL in predicted else None
        # Rows are ordered by structure: of each atom, or one per structure.
        ends = np.cumsum([len(atoms) if per_atom else 1 for atoms in batch])
        return [
            self._result(
                atoms,
                grid,
                rows,
                per_atom=per_atom,
                band_gap=None if gaps is None else float(gaps[i]),
                fermi_level=None if levels is None else float(levels[i]),
            )
            for i, (atoms, rows) in enumerate(zip(batch, np.split(values, ends[:-1]), strict=True))
        ]

    def _evaluate(self, batch: Sequence[Atoms], *, per_atom: bool) -> dict[str, TensorBlock]:
        # Distances in double precision, whatever the model computes with.
        systems = [to_system(atoms) for atoms in batch]
        for calculator in self._neighbor_lists:
            calculator.add_neighbor_list(systems)
        systems = [system.to(dtype=self._dtype, device=self.device) for system in systems]
        requested = {name: ModelOutput(sample_kind="system") for name in self._outputs}
        if per_atom:
            requested[DENSITY_OF_STATES] = ModelOutput(sample_kind="atom")
        options = ModelEvaluationOptions(length_unit="angstrom", outputs=requested)
        with torch.no_grad():
            predicted = self._model(systems, options, check_consistency=False)
        return {name: values.block() for name, values in predicted.items()}

    def _grid(self, density_of_states: TensorBlock) -> EnergyGrid:
        grid = labels_to_grid(density_of_states.properties)
        if grid is None:
            raise ValueError(
                f"the density of states of {self.name} has no energy axis; its channels are labelled "
                f"{density_of_states.properties.names}, not made by electrain"
            )
        return grid

    def _result(
        self, atoms: Atoms, grid: EnergyGrid, rows: NDArray[np.float64], *, per_atom: bool, **numbers: Any
    ) -> ElectronicStructure:
        scalars = [value for value in numbers.values() if value is not None]
        if not (np.isfinite(rows).all() and np.isfinite(scalars).all()):
            raise ValueError(f"{self.name} predicts NaN or infinity for {formula_of(atoms)}")
        return ElectronicStructure(
            atoms=atoms,
            energies=grid.energies().numpy() - (numbers["fermi_level"] or 0.0),
            density_of_states=rows.sum(axis=0),
            smearing=self.smearing,
            local_density_of_states=rows if per_atom else None,
            **numbers,
        )


def in_batches(structures: Iterable[Atoms], batch_size: int) -> Iterator[list[Atoms]]:
    """Group consecutive structures into batches of at most ``batch_size`` atoms; larger ones stay alone.

    :raises ValueError: for a batch size that is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1 atom, got {batch_size}")
    batch: list[Atoms] = []
    num_atoms = 0
    for atoms in structures:
        if batch and num_atoms + len(atoms) > batch_size:
            yield batch
            batch, num_atoms = [], 0
        batch.append(atoms)
        num_atoms += len(atoms)
    if batch:
        yield batch


def _available_device(supported: list[str], wanted: str | None) -> str:
    try:
        return str(pick_device(supported, wanted))
    except (RuntimeError, ValueError):
        raise ValueError(
            f"the device {wanted!r} is not available on this machine, or not one of the model's: {', '.join(supported)}"
        ) from None


def _numpy(block: TensorBlock) -> NDArray[np.float64]:
    return block.values.double().cpu().numpy()
