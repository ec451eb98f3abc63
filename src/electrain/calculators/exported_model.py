"""Running an exported model on ASE structures: what all its predictions have in common."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from metatensor.torch import TensorBlock
from metatomic.torch import ModelEvaluationOptions, ModelOutput, System, pick_device
from numpy.typing import NDArray
from vesin.metatomic import neighbor_lists_for_model

from electrain.files.models import optional_inputs_of
from electrain.interface.ase_systems import add_inputs, add_k_points, add_number, read_input, to_system
from electrain.interface.states import CRYSTAL_SYSTEM
from electrain.nn.precision import MatmulPrecision
from electrain.structures.checks import check_known_elements, check_structure, formula_of
from electrain.structures.crystal_systems import given_crystal_system, read_crystal_system

from .opening import Opened
from .structures import Structure, iterate_atoms
from .unread_inputs import UnreadInputs


class ExportedModel:
    """An exported model on a device, with the checks and the neighbor lists of its structures.

    Several threads may share a model; they are served one after the other.

    :param opened: the model.
    :param device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``...; default: the first device that the model supports and the
        machine has.
    :param matmul_precision: see :class:`~electrain.nn.precision.MatmulPrecision`.
    :raises ValueError: for a device that is not available, or an unknown precision.
    """

    def __init__(self, opened: Opened, device: str | None, matmul_precision: str) -> None:
        self.name, loaded = opened.label, opened.model
        capabilities = loaded.capabilities()
        self.device = torch.device(_available_device(capabilities.supported_devices, device))
        self._model = loaded.to(device=self.device)
        self._precision = MatmulPrecision(matmul_precision, self._model)
        self._dtype: torch.dtype = getattr(torch, capabilities.dtype)
        # No skin, because lists are never reused for a second, similar structure.
        self._neighbor_lists = neighbor_lists_for_model("angstrom", loaded, skin=0.0)
        self._inputs = list(loaded.requested_inputs(use_new_names=True))
        self._reads_crystal_systems = CRYSTAL_SYSTEM in optional_inputs_of(loaded)
        self._unread_inputs = UnreadInputs(self.name, self._inputs)
        self._atomic_numbers = sorted(capabilities.atomic_types)

    @property
    def elements(self) -> list[str]:
        """Symbols of the elements that the model supports, in the order of the periodic table."""
        return [chemical_symbols[number] for number in self._atomic_numbers]

    def check(self, atoms: Atoms) -> None:
        """Check that the model can compute a structure.

        An :class:`~electrain.calculators.UnreadInputWarning` says, once, that a charge or spin multiplicity in
        ``atoms.info`` has no effect.

        :raises ValueError: for no atoms, unknown elements, positions that are not finite, atoms on top of each other,
            or a charge or spin multiplicity in ``atoms.info`` that is not an integer, or a crystal system there that
            does not exist, if the model reads them.
        """
        check_structure(atoms)
        check_known_elements(atoms, self._atomic_numbers)
        for name in self._inputs:
            read_input(atoms, name)
        if self._reads_crystal_systems:
            given_crystal_system(atoms)
        self._unread_inputs.check(atoms)

    def _checked(self, structures: Iterable[Structure]) -> Iterator[Atoms]:
        for index, atoms in enumerate(iterate_atoms(structures)):
            try:
                self.check(atoms)
            except ValueError as error:
                raise ValueError(f"structure {index} ({formula_of(atoms)}): {error}") from None
            yield atoms

    def _check_finite(self, atoms: Atoms, predicted: Iterable[NDArray[np.float64]]) -> None:
        if not all(np.isfinite(array).all() for array in predicted):
            raise ValueError(f"{self.name} predicts NaN or infinity for {formula_of(atoms)}")

    def _run(
        self,
        batch: Sequence[Atoms],
        requested: dict[str, ModelOutput],
        k_points: Sequence[NDArray[np.float64]] = (),
    ) -> dict[str, TensorBlock]:
        """Compute outputs; ``k_points`` are those of each structure, for models that need them."""
        options = ModelEvaluationOptions(length_unit="angstrom", outputs=requested)
        # Neighbor lists store their results, so they also serve one thread at a time.
        # Compiling an optimised version takes seconds in the first two predictions, and gains nothing on CPUs.
        optimise = self.device.type != "cpu"
        with torch.no_grad(), self._precision.in_use(), torch.jit.optimized_execution(optimise):  # type: ignore[attr-defined]
            systems = self._systems(batch, k_points)
            try:
                predicted = self._model(systems, options, check_consistency=False)
            except torch.jit.Error as error:
                raise ValueError(reason_of(error)) from None
        return {name: values.block() for name, values in predicted.items()}

    def _systems(self, batch: Sequence[Atoms], k_points: Sequence[NDArray[np.float64]]) -> list[System]:
        # Distances in double precision, whatever precision the model uses.
        systems = [to_system(atoms) for atoms in batch]
        for calculator in self._neighbor_lists:
            calculator.add_neighbor_list(systems)
        for system, atoms in zip(systems, batch, strict=True):
            add_inputs(system, atoms, self._inputs)
            if self._reads_crystal_systems:
                add_number(system, CRYSTAL_SYSTEM, read_crystal_system(atoms))
        for system, of_system in zip(systems, k_points, strict=False):
            add_k_points(system, of_system)
        return [system.to(dtype=self._dtype, device=self.device) for system in systems]


def to_numpy(block: TensorBlock) -> NDArray[np.float64]:
    """Values of an output in float64."""
    return block.values.double().cpu().numpy()


def _available_device(supported: list[str], wanted: str | None) -> str:
    try:
        return str(pick_device(supported, wanted))
    except (RuntimeError, ValueError):
        raise ValueError(
            f"the device {wanted!r} is not available on this machine, or not one the model supports: "
            f"{', '.join(supported)}"
        ) from None


def reason_of(error: torch.jit.Error) -> str:
    """What an exported model says about inputs that it refuses."""
    # The last line tells what happened, those before it where in the compiled code.
    return str(error).strip().rpartition("\n")[2].removeprefix("builtins.ValueError: ")
