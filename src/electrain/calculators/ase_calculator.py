"""An ASE calculator with the electronic structure beside energies and forces."""

from pathlib import Path
from typing import Any

from ase import Atoms
from metatomic.torch import AtomisticModel
from metatomic_ase import MetatomicCalculator

from ..results import ElectronicStructure
from .model_file import load_model
from .predictor import ElectronicStructureModel


class ElectronicStructureCalculator(MetatomicCalculator):
    """Energies and forces as from any metatomic model, and the electronic structure.

    >>> atoms.calc = ElectronicStructureCalculator("model.pt")
    >>> atoms.calc.get_electronic_structure(atoms).band_gap

    Energies and forces need a model that was trained on them, too.

    :param model: the exported model: a ``.pt`` file, or a loaded one.
    :param device: see :class:`~electrain.calculators.ElectronicStructureModel`.
    :param options: further options of ``MetatomicCalculator``.
    :raises ModelFileError: if the model does not predict a density of states.
    """

    def __init__(self, model: str | Path | AtomisticModel, *, device: str | None = None, **options: Any) -> None:
        path = None if isinstance(model, AtomisticModel) else str(model)
        super().__init__(model if path is None else load_model(path), device=device, **options)
        if path is not None:
            self.parameters["model"] = path  # ASE's `todict`
        self._electronic_structure = ElectronicStructureModel(self.model(), device=device)

    def get_electronic_structure(self, atoms: Atoms | None = None, *, per_atom: bool = False) -> ElectronicStructure:
        """Predict density of states (states/eV), band gap and Fermi level (eV).

        :param atoms: by default the structure of the last calculation.
        :param per_atom: also the contribution of each atom to the density of states.
        :raises ValueError: without a structure, or as :meth:`ElectronicStructureModel.check`.
        """
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise ValueError("nothing was calculated yet: expected a structure")
        return self._electronic_structure.predict(atoms, per_atom=per_atom)
