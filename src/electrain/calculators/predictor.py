"""Predict the electronic structure of one structure or thousands of structures with an exported model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import TensorBlock
from metatomic.torch import AtomisticModel, ModelOutput
from numpy.typing import NDArray
from tqdm import tqdm

from electrain.files.models import check_outputs, smearing_of, valence_electrons_of
from electrain.interface.ase_systems import read_input
from electrain.interface.axis_labels import labels_to_grid
from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    FERMI_LEVEL,
    QUANTITIES,
    ensemble_name,
    uncertainty_name,
)
from electrain.nn.precision import check_matmul_precision
from electrain.results.electronic_structure import ElectronicStructure
from electrain.spectra.grid import EnergyGrid
from electrain.spectra.postprocessing import denoise

from .batches import BATCH_SIZE, in_batches
from .exported_model import ExportedModel, to_numpy
from .opening import Opened, open_model
from .outputs import Arrays, make_result
from .structures import Structure, Structures, is_structure, iterate_atoms, to_atoms


class ElectronicStructureModel(ExportedModel):
    """An exported model that predicts densities of states, band gaps and Fermi levels.

    >>> model = ElectronicStructureModel()  # the model that comes with electrain; or "model.pt"
    >>> silicon = model.predict(ase.build.bulk("Si"))
    >>> silicon.band_gap, silicon.energies, silicon.density_of_states

    Several threads may share a model; they are served one after the other.

    :param model: the exported model: a ``.pt`` file, a name (:func:`electrain.pretrained.known_models`), or a loaded
        model; default: the model that comes with electrain.
    :param device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``...; default: the first device that the model supports and the
        machine has.
    :param matmul_precision: ``"highest"``, or, faster but less precise, ``"high"`` (TensorFloat-32 on GPUs) or
        ``"medium"`` (bfloat16, if the device supports it); see docs/speed.md.
    :param extensions_directory: see :func:`electrain.files.models.load_model`.
    :raises FileNotFoundError: if there is no such file or name, or no model comes with this installation.
    :raises OSError: for a published model that can be neither found on this machine nor downloaded.
    :raises ModelFileError: if the file is not such a model.
    :raises ValueError: for a device that is not available, or an unknown precision.
    """

    def __init__(
        self,
        model: str | Path | AtomisticModel | Opened | None = None,
        device: str | None = None,
        *,
        matmul_precision: str = "highest",
        extensions_directory: str | Path | None = None,
    ) -> None:
        check_matmul_precision(matmul_precision)
        opened = open_model(model, extensions_directory)
        check_outputs(opened.model.capabilities(), opened.label)
        super().__init__(opened, device, matmul_precision)
        quantities = (DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL)
        self._outputs = [
            output
            for name in quantities
            for output in (name, uncertainty_name(name), ensemble_name(name))
            if output in self._model.capabilities().outputs
        ]
        self.smearing = smearing_of(self._model)
        self._valence_electrons = valence_electrons_of(self._model)

    def __repr__(self) -> str:
        quantities = [name for name in (DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL) if name in self._outputs]
        predicted = ", ".join(QUANTITIES[name].label for name in quantities)
        spread = " with uncertainties" if self.predicts_uncertainty else ""
        return (
            f"<{type(self).__name__} {self.name} on {self.device}: {predicted}{spread}; "
            f"{len(self.elements)} elements ({' '.join(self.elements)})>"
        )

    @property
    def predicts_fermi_level(self) -> bool:
        """Whether the Fermi level is predicted, so that energies are relative to it."""
        return FERMI_LEVEL in self._outputs

    @property
    def predicts_band_gap(self) -> bool:
        """Whether band gaps are predicted."""
        return BAND_GAP in self._outputs

    @property
    def predicts_uncertainty(self) -> bool:
        """Whether results include standard deviations."""
        return uncertainty_name(DENSITY_OF_STATES) in self._outputs

    def num_valence_electrons(self, atoms: Atoms) -> float | None:
        """Number of valence electrons that the structure would have in the training data, if the model stores them.

        The charge in ``atoms.info`` is subtracted for models that read it.
        """
        symbols = atoms.get_chemical_symbols()
        if not set(symbols) <= set(self._valence_electrons):
            return None
        charge = read_input(atoms, "charge") if "charge" in self._inputs else 0
        return sum(self._valence_electrons[symbol] for symbol in symbols) - charge

    def denoise(self, result: ElectronicStructure) -> ElectronicStructure:
        """Remove noise from a predicted density of states and correct its number of electrons.

        This is for figures and comparisons, not for heat capacities; see :func:`electrain.spectra.denoise`.

        :param result: a prediction of this model.
        :return: the result, without local densities of states, uncertainties and ensembles.
        :raises ValueError: for a model without Fermi level, smearing or valence electrons, and as for
            :func:`electrain.spectra.denoise`.
        """
        electrons = self.num_valence_electrons(result.atoms)
        if electrons is None or self.smearing is None or result.fermi_level is None:
            raise ValueError(
                f"denoising needs a Fermi level, the smearing of the training data and the valence electrons of its "
                f"elements, but {self.name} lacks at least one of them"
            )
        states = torch.from_numpy(result.density_of_states)
        spectrum = denoise(states, result.grid, 0.0, electrons, len(result.atoms), smearing=self.smearing).numpy()
        return replace(
            result, density_of_states=spectrum, local_density_of_states=None, uncertainty=None, ensemble=None
        )

    # Lists and names first: without type hints in ASE, anything may be its Atoms.
    @overload
    def predict(
        self, structures: str | Path | list | tuple, *, per_atom: bool = False, batch_size: int = BATCH_SIZE
    ) -> list[ElectronicStructure]: ...

    @overload
    def predict(
        self, structures: Structure, *, per_atom: bool = False, batch_size: int = BATCH_SIZE
    ) -> ElectronicStructure: ...

    @overload
    def predict(
        self, structures: Iterable[Structure], *, per_atom: bool = False, batch_size: int = BATCH_SIZE
    ) -> list[ElectronicStructure]: ...

    def predict(
        self, structures: Structure | Structures, *, per_atom: bool = False, batch_size: int = BATCH_SIZE
    ) -> ElectronicStructure | list[ElectronicStructure]:
        """Predict one structure, several, or all structures of a file.

        For thousands of structures, :meth:`predict_many` does not keep all results in memory.

        :param structures: one ``ase.Atoms`` (lengths in A), or ``Structure`` or ``Molecule`` of pymatgen; several of
            them; or the name of a file that ASE can read (``"md.xyz"``, ``"md.xyz@0:100"``).
        :param per_atom: also predict the contribution of each atom to the density of states.
        :param batch_size: maximum number of atoms per batch (a larger structure is computed alone).
        :return: one result for one structure, otherwise a list.
        :raises FileNotFoundError: if there is no such file.
        :raises TypeError: for anything else.
        :raises ValueError: as for :meth:`check`; of several structures, with the index (from 0) and formula.
        """
        if is_structure(structures):
            return self.predict_batch([to_atoms(structures)], per_atom=per_atom)[0]
        return list(self.predict_many(iterate_atoms(structures), per_atom=per_atom, batch_size=batch_size))

    def predict_many(
        self,
        structures: Iterable[Structure],
        *,
        per_atom: bool = False,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Iterator[ElectronicStructure]:
        """Predict structures batch by batch, while the results are iterated over.

        >>> for result in model.predict_many(ase.io.iread("structures.xyz")):
        ...     print(result.formula, result.band_gap)

        :param structures: a list, or an iterator over any number of structures, because only one batch is in memory at
            a time. Results are in the same order.
        :param per_atom: also predict the contribution of each atom to the density of states.
        :param batch_size: maximum number of atoms per batch (a larger structure is computed alone).
        :param progress: show a progress bar.
        :raises ValueError: as for :meth:`check`, with the index (from 0) and formula of the structure.
        """
        bar = tqdm(structures, unit=" structures", disable=not progress)
        yield from self.predict_checked(self._checked(bar), per_atom=per_atom, batch_size=batch_size)

    def predict_checked(
        self, structures: Iterable[Atoms], *, per_atom: bool = False, batch_size: int = BATCH_SIZE
    ) -> Iterator[ElectronicStructure]:
        """Predict structures as :meth:`predict_many` does, but without checking them.

        :param structures: structures that passed :meth:`check`, or rotated copies of these.
        :param per_atom: also predict the contribution of each atom to the density of states.
        :param batch_size: maximum number of atoms per batch (a larger structure is computed alone).
        :raises ValueError: if the model refuses a structure, or if a prediction is not finite.
        """
        for batch in in_batches(structures, batch_size):
            yield from self._predict_batch(batch, per_atom=per_atom)

    def predict_batch(self, batch: Sequence[Atoms], *, per_atom: bool = False) -> list[ElectronicStructure]:
        """Predict a few structures in one evaluation of the model.

        :param batch: at least one structure.
        :param per_atom: also predict the contribution of each atom to the density of states.
        :raises ValueError: as for :meth:`check`, if the model refuses a structure, or if a prediction is not finite.
        """
        for atoms in batch:
            self.check(atoms)
        return self._predict_batch(batch, per_atom=per_atom)

    def _predict_batch(self, batch: Sequence[Atoms], *, per_atom: bool) -> list[ElectronicStructure]:
        predicted = self._evaluate(batch, per_atom=per_atom)
        grid = self._grid(predicted[DENSITY_OF_STATES])
        values = {name: to_numpy(block) for name, block in predicted.items()}
        # Rows are ordered by structure; there is one per atom or per structure.
        ends = np.cumsum([len(atoms) if per_atom else 1 for atoms in batch])
        spectra = np.split(values.pop(DENSITY_OF_STATES), ends[:-1])
        return [
            self._result(atoms, grid, rows, {name: array[i] for name, array in values.items()}, per_atom=per_atom)
            for i, (atoms, rows) in enumerate(zip(batch, spectra, strict=True))
        ]

    def _result(
        self, atoms: Atoms, grid: EnergyGrid, rows: NDArray[np.float64], others: Arrays, *, per_atom: bool
    ) -> ElectronicStructure:
        self._check_finite(atoms, (rows, *others.values()))
        return make_result(atoms, grid, rows, others, smearing=self.smearing, per_atom=per_atom)

    def _evaluate(self, batch: Sequence[Atoms], *, per_atom: bool) -> dict[str, TensorBlock]:
        requested = {name: ModelOutput(sample_kind="system") for name in self._outputs}
        if per_atom:
            requested[DENSITY_OF_STATES] = ModelOutput(sample_kind="atom")
        return self._run(batch, requested)

    def _grid(self, density_of_states: TensorBlock) -> EnergyGrid:
        grid = labels_to_grid(density_of_states.properties)
        if grid is None:
            raise ValueError(
                f"expected a model made by electrain, but the density of states of {self.name} has no energy axis; its "
                f"channels are labelled {density_of_states.properties.names}"
            )
        return grid
