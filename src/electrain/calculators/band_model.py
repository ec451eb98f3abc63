"""Predict bands along the path of a crystal with an exported model."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from metatomic.torch import AtomisticModel, ModelOutput

from electrain.bands import BandStructure, KPath, k_path
from electrain.files.models import ModelFileError, predicted_outputs, shapes_of_bands
from electrain.interface.band_labels import BandsShape
from electrain.nn.precision import check_matmul_precision
from electrain.structures.standard_cells import check_crystal

from .each_structure import EachStructureModel
from .exported_model import to_numpy
from .opening import Opened, open_model


class PredictedBands(NamedTuple):
    """Bands of a crystal.

    :param bands: the bands, in eV from the middle of the gap, or from the Fermi level of a metal, in the standardised
        primitive cell.
    :param changes: how this cell differs from the given one, for people; empty if it does not.
    """

    bands: BandStructure
    changes: str


class BandModel(EachStructureModel[PredictedBands]):
    """An exported model that predicts bands, such as ``bandformer``, along the paths of :func:`electrain.bands.k_path`.

    >>> model = BandModel("bands.pt")
    >>> silicon = model.predict(ase.build.bulk("Si")).bands
    >>> electrain.bands.band_gap(silicon)

    :param model: the exported model: a ``.pt`` file, or a loaded model.
    :param device: see :class:`~electrain.calculators.ElectronicStructureModel`.
    :param matmul_precision: see :class:`~electrain.calculators.ElectronicStructureModel`.
    :param extensions_directory: see :func:`electrain.files.models.load_model`.
    :raises FileNotFoundError: if there is no such file or name.
    :raises ModelFileError: if the file is not such a model.
    :raises ValueError: for a device that is not available, or an unknown precision.
    """

    def __init__(
        self,
        model: str | Path | AtomisticModel | Opened,
        device: str | None = None,
        *,
        matmul_precision: str = "highest",
        extensions_directory: str | Path | None = None,
    ) -> None:
        check_matmul_precision(matmul_precision)
        opened = open_model(model, extensions_directory)
        self.target, self.shape = _target_of(opened)
        super().__init__(opened, device, matmul_precision)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name} on {self.device}: {self.shape.num_bands} bands at "
            f"{self.shape.num_k_points} k-points; {len(self.elements)} elements ({' '.join(self.elements)})>"
        )

    def check(self, atoms: Atoms) -> None:
        """Check that the model can compute a structure: as other models, and it must be a crystal.

        :raises ValueError: as for :meth:`SpectrumModel.check`, and for molecules, chains and slabs.
        """
        super().check(atoms)
        check_crystal(atoms)

    def along(self, paths: Sequence[KPath]) -> list[BandStructure]:
        """Predict bands along given paths, which all have as many k-points as the model was trained on.

        :raises ValueError: for another number of k-points, or if a prediction is not finite.
        """
        outputs = {self.target: ModelOutput(sample_kind="system")}
        block = self._run([path.atoms for path in paths], outputs, [path.k_points for path in paths])[self.target]
        found = []
        for path, values in zip(paths, to_numpy(block), strict=True):
            self._check_finite(path.atoms, [values])
            # Nothing keeps predicted bands that cross in their order.
            energies = np.sort(values.reshape(self.shape).T, axis=1)
            found.append(
                BandStructure(path.atoms, path.k_points, energies[None], 0.0, path.labels, source=str(self.name))
            )
        return found

    def _predict_batch(self, batch: Sequence[Atoms]) -> list[PredictedBands]:
        paths = [k_path(atoms, self.shape.num_k_points) for atoms in batch]
        return [PredictedBands(bands, path.changes) for bands, path in zip(self.along(paths), paths, strict=True)]


def _target_of(opened: Opened) -> tuple[str, BandsShape]:
    """Name of the bands, and how many numbers they are."""
    shapes = shapes_of_bands(opened.model)
    if not shapes:
        predicted = predicted_outputs(opened.model.capabilities())
        raise ModelFileError(f"{opened.label} predicts no bands (mtt::bands), but {', '.join(predicted) or 'nothing'}")
    return next(iter(shapes.items()))
