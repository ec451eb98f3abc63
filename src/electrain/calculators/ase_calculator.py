"""An ASE calculator for energies and forces, and for the electronic structure."""

import threading
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelOutput, pick_output
from metatomic_ase import MetatomicCalculator

from electrain.files.models import ModelFileError, check_outputs
from electrain.interface.quantities import DIRECT_FORCE, DIRECT_FORCE_DEPRECATED, DIRECT_STRESS, base_quantity
from electrain.nn.precision import MatmulPrecision
from electrain.results.electronic_structure import ElectronicStructure
from electrain.structures.checks import check_known_elements, check_structure, formula_of

from .exported_model import reason_of
from .opening import open_model
from .predictor import ElectronicStructureModel
from .unread_inputs import UnreadInputs


class ElectronicStructureCalculator(MetatomicCalculator):
    """Energies and forces, as with any metatomic model, and the electronic structure.

    >>> atoms.calc = ElectronicStructureCalculator()  # the model that comes with electrain; or "model.pt"
    >>> atoms.calc.get_electronic_structure(atoms).band_gap

    Energies and forces require a model that was trained on them as well. With ``non_conservative="forces"``, the
    calculator uses forces that the model predicts directly, as ``non_conservative_force``. This is a few times faster,
    because no energy is differentiated, but such forces do not conserve the energy.
    :class:`electrain.calculators.multiple_time_step.MultipleTimeStep` is as fast and conserves it.

    :param model: the exported model: a ``.pt`` file, a name (:func:`electrain.pretrained.known_models`), or a loaded
        model, e.g. another calculator's ``model()``; default: the model that comes with electrain.
    :param device: see :class:`~electrain.calculators.ElectronicStructureModel`.
    :param matmul_precision: see :class:`~electrain.calculators.ElectronicStructureModel`.
    :param extensions_directory: see :func:`electrain.files.models.load_model`.
    :param options: further options of ``MetatomicCalculator``.
    :raises ModelFileError: if the model does not predict a density of states, or the outputs that ``non_conservative``
        requires.
    """

    def __init__(
        self,
        model: str | Path | AtomisticModel | None = None,
        *,
        device: str | None = None,
        matmul_precision: str = "highest",
        extensions_directory: str | Path | None = None,
        **options: Any,
    ) -> None:
        opened = open_model(model, extensions_directory)
        check_outputs(opened.model.capabilities(), opened.label)
        _check_direct_outputs(opened.model.capabilities(), opened.label, options.get("non_conservative", False))
        folder = None if extensions_directory is None else str(extensions_directory)
        super().__init__(opened.model, device=device, extensions_directory=folder, **options)
        if opened.name is not None:
            self.parameters["model"] = opened.name  # ASE's `todict`
        self._lock = threading.RLock()
        self._precision = MatmulPrecision(matmul_precision, self.model())
        self._electronic_structure = ElectronicStructureModel(
            self.model(), device=device, matmul_precision=matmul_precision
        )
        self._unread_inputs = UnreadInputs(opened.label, self.model().requested_inputs(use_new_names=True))
        self._atomic_numbers = self.model().capabilities().atomic_types
        self._direct_outputs: dict[str, str] = {}
        if self.parameters["non_conservative"] == "forces":
            variants = self.parameters["variants"] or {}
            outputs = self.model().capabilities().outputs
            for name in ("energy", DIRECT_FORCE):
                self._direct_outputs[name] = pick_output(name, outputs, variants.get(name, variants.get("energy")))

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Compute the property that ASE requests, and return it before another thread computes something else."""
        with self._lock:
            return super().get_property(name, atoms, allow_calculation)

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str]) -> None:
        """Compute the properties that ASE requests; see ``MetatomicCalculator``.

        Direct forces without the stress are computed here, because ``MetatomicCalculator`` differentiates the energy
        for the stress of every periodic structure, which takes the time that direct forces should save.

        :raises ValueError: for elements that the model does not know, for structures that it refuses, or for the
            stress of a structure that is not periodic in three directions.
        """
        # Nothing else is checked beforehand, because this runs at every step of a trajectory.
        check_known_elements(atoms, self._atomic_numbers)
        self._unread_inputs.check(atoms)
        if "stress" in properties and not atoms.pbc.all():
            raise ValueError(
                f"the stress of {formula_of(atoms)} was requested, but it is not periodic in all three directions "
                f"(pbc {atoms.pbc.tolist()}) and has no volume"
            )
        try:
            with self._precision.in_use():
                if self._direct_outputs and set(properties) <= {"energy", "forces"}:
                    Calculator.calculate(self, atoms, properties, system_changes)
                    self._calculate_direct_forces(atoms)
                else:
                    super().calculate(atoms, properties, system_changes)
        except torch.jit.Error as error:
            check_structure(atoms)  # its message says more
            raise ValueError(reason_of(error)) from None

    def _calculate_direct_forces(self, atoms: Atoms) -> None:
        energy, force = self._direct_outputs["energy"], self._direct_outputs[DIRECT_FORCE]
        additional = self.parameters["additional_outputs"] or {}
        requested = {
            energy: ModelOutput(unit="eV", sample_kind="system"),
            force: ModelOutput(unit="eV/Angstrom", sample_kind="atom"),
        }
        with torch.no_grad():
            predicted = self.run_model(atoms, {**requested, **additional})
        forces = predicted[force].block().values.reshape(-1, 3).double()
        forces -= forces.mean(dim=0)  # as MetatomicCalculator does: no net force
        self.results = {"energy": predicted[energy].block().values.double().item(), "forces": forces.cpu().numpy()}
        self.additional_outputs = {name: predicted[name] for name in additional}

    def todict(self) -> dict[str, Any]:
        """Return what ASE writes to trajectories; a model that was passed as an object has no file name."""
        parameters: dict[str, Any] = self.parameters
        return parameters

    def get_electronic_structure(self, atoms: Atoms | None = None, *, per_atom: bool = False) -> ElectronicStructure:
        """Predict density of states (states/eV), band gap and Fermi level (eV).

        :param atoms: the structure; default: that of the last calculation.
        :param per_atom: also predict the contribution of each atom to the density of states.
        :raises ValueError: without a structure, or as for :meth:`ElectronicStructureModel.check`.
        """
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise ValueError("expected a structure, because nothing has been calculated yet")
        return self._electronic_structure.predict(atoms, per_atom=per_atom)


def _check_direct_outputs(capabilities: ModelCapabilities, name: str, non_conservative: bool | str) -> None:
    found = {base_quantity(output) for output in capabilities.outputs}
    if DIRECT_FORCE_DEPRECATED in found:
        found.add(DIRECT_FORCE)
    needed = {"forces": [DIRECT_FORCE], "stress": [DIRECT_STRESS], True: [DIRECT_FORCE, DIRECT_STRESS]}
    missing = [output for output in needed.get(non_conservative, []) if output not in found]
    if missing:
        predicted = ", ".join(sorted(output for output in found if "feature" not in output))
        raise ModelFileError(
            f"non_conservative={non_conservative!r} needs {' and '.join(missing)}, but {name} predicts {predicted}"
        )
