"""A model that matches a data set, and its predictions for the structures of the data set."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from metatomic.torch import AtomisticModel, ModelOutput
from metatomic_ase import MetatomicCalculator
from numpy.typing import NDArray

from electrain.calculators import ElectronicStructureModel, Rotations, UnreadInputs, in_batches
from electrain.data.reading import PreparedPart
from electrain.files.models import energy_axis_of, load_any_model
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL, uncertainty_name
from electrain.pretrained import Located
from electrain.results import ElectronicStructure
from electrain.structures.checks import check_known_elements, check_structure

# "a Lebedev angular grid" of 38 directions: exact up to degree 9
_LEBEDEV_DEGREE = 9


class PredictedEnergy(NamedTuple):
    """Energy of one structure, and those of its derivatives that were computed."""

    energy: float  # eV
    forces: NDArray[np.float64] | None = None  # (num_atoms, 3) | eV/A
    stress: NDArray[np.float64] | None = None  # (3, 3) | eV/A^3
    uncertainty: float | None = None  # eV, standard deviation


class EvaluatedModel:
    """An exported model that predicts the quantities of a data set.

    :param located: its file.
    :param part: part of the data set.
    :param device: as for :class:`~electrain.calculators.ElectronicStructureModel`.
    :param batch_size: maximum number of atoms per batch.
    :param matmul_precision: as for the same class.
    :param extensions_directory: as for the same class.
    :raises FileNotFoundError: if the file does not exist.
    :raises ModelFileError: if it is not an exported model.
    :raises ValueError: for a model that predicts no quantity of the data set, or has another energy axis.
    """

    def __init__(
        self,
        located: Located,
        part: PreparedPart,
        device: str | None,
        *,
        batch_size: int,
        matmul_precision: str,
        extensions_directory: Path | None = None,
    ) -> None:
        model = load_any_model(located.path, extensions_directory)
        outputs = model.capabilities().outputs
        self.name, self._batch_size = located.name, batch_size
        self._numbers = sorted(model.capabilities().atomic_types)
        self._unread_inputs = UnreadInputs(self.name, model.requested_inputs(use_new_names=True))
        self._with_derivatives = part.has["forces"] or part.has["stress"]
        has_energy = ENERGY in outputs and part.has["energy"]
        #: What is evaluated.
        self.quantities = [DENSITY_OF_STATES] * (DENSITY_OF_STATES in outputs) + [ENERGY] * has_energy
        if DENSITY_OF_STATES not in outputs and not has_energy:
            predicted = ", ".join(sorted(name for name in outputs if "feature" not in name)) or "nothing"
            targets = [DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL, *(name for name, there in part.has.items() if there)]
            raise ValueError(
                f"expected a model of a quantity that {part.folder} has ({', '.join(targets)}), but {self.name} "
                f"predicts {predicted}"
            )
        self.electronic: ElectronicStructureModel | None = None
        if DENSITY_OF_STATES in outputs:
            _check_axis(model, self.name, part)
            self.electronic = ElectronicStructureModel(model, device, matmul_precision=matmul_precision)
            self.electronic.name = self.name
        self._potential: MetatomicCalculator | None = None
        if has_energy:
            # No skin, because lists are never reused for a second, similar structure.
            self._potential = MetatomicCalculator(model, device=device, neighbor_skin=0.0)
        self._has_energy_uncertainty = has_energy and uncertainty_name(ENERGY) in outputs

    def check(self, atoms: Atoms) -> None:
        """Raise a ``ValueError`` for a structure that the model cannot compute; the methods below do not check."""
        if self.electronic is not None:
            self.electronic.check(atoms)
            return
        check_structure(atoms)
        check_known_elements(atoms, self._numbers)
        self._unread_inputs.check(atoms)

    def electronic_structures(self, structures: Sequence[Atoms]) -> Iterator[ElectronicStructure | None]:
        """Predict densities of states with gaps, Fermi levels and uncertainties, in the order of the structures."""
        if self.electronic is None:
            return iter([None] * len(structures))
        return self.electronic.predict_checked(structures, batch_size=self._batch_size)

    def energies(self, structures: Sequence[Atoms]) -> Iterator[PredictedEnergy | None]:
        """Predict energies and, if the data set has them, forces and stresses, in the order of the structures."""
        if self._potential is None:
            yield from [None] * len(structures)
            return
        for batch in in_batches(structures, self._batch_size):
            # Stresses are available if all structures of a call have a volume.
            found: dict[int, PredictedEnergy] = {}
            for periodic in (True, False):
                chosen = [index for index, atoms in enumerate(batch) if bool(atoms.pbc.all()) == periodic]
                if chosen:
                    predicted = self._energies_of_batch([batch[index] for index in chosen])
                    found.update(zip(chosen, predicted, strict=True))
            yield from (found[index] for index in range(len(batch)))

    def _energies_of_batch(self, batch: list[Atoms]) -> list[PredictedEnergy]:
        assert self._potential is not None
        with warnings.catch_warnings():
            # torch warns about the gradients of positions that were strained
            warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
            results = self._potential.compute_energy(batch, compute_forces_and_stresses=self._with_derivatives)
        nothing = [None] * len(batch)
        uncertainties: Sequence[float | None] = nothing
        if self._has_energy_uncertainty:
            name = uncertainty_name(ENERGY)
            values = self._potential.run_model(batch, {name: ModelOutput(sample_kind="system")})[name]
            uncertainties = values.block().values.detach().flatten().double().cpu().tolist()
        columns = (results["energy"], results.get("forces", nothing), results.get("stress", nothing), uncertainties)
        return [
            PredictedEnergy(
                float(energy),
                None if forces is None else np.asarray(forces, dtype=np.float64),
                None if stress is None else np.asarray(stress, dtype=np.float64).reshape(3, 3),
                uncertainty,
            )
            for energy, forces, stress, uncertainty in zip(*columns, strict=True)
        ]

    def rotated_spectra(self, atoms: Atoms) -> NDArray[np.float64]:
        """Predict densities of states of the 38 rotated copies of eq. 11, shape ``(38, num_channels)``, states/eV."""
        assert self.electronic is not None
        copies = Rotations.axis_directions(_LEBEDEV_DEGREE).apply(atoms)
        results = self.electronic.predict_checked(copies, batch_size=self._batch_size)
        return np.array([result.density_of_states for result in results])


def _check_axis(model: AtomisticModel, name: str, part: PreparedPart) -> None:
    """Raise a ``ValueError`` if targets and predictions are not on the same energy axis."""
    axis, theirs = energy_axis_of(model), part.axis
    if axis is None:
        raise ValueError(f"expected a model made by electrain, but the metadata of {name} have no energy_grid")
    if not axis.is_compatible(theirs):
        raise ValueError(
            f"{name} and {part.folder} have different energy axes: the model's is {axis.grid}, {axis.max_shift} of "
            f"them for shifts, the data set's {theirs.grid}, {theirs.max_shift} of them for shifts; prepare the data "
            f"set again with `electrain prepare --like {name}`"
        )
    smearings = axis.smearing, theirs.smearing
    if smearings[0] is not None and smearings[1] is not None and abs(smearings[0] - smearings[1]) > 1e-6:
        raise ValueError(
            f"{name} was trained on densities of states with a smearing of {smearings[0]:g} eV, but that in "
            f"{part.folder} is {smearings[1]:g} eV"
        )
