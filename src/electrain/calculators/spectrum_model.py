"""Predict spectra on a fixed axis, such as phonon densities of states, with an exported model."""

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from metatomic.torch import AtomisticModel, ModelOutput

from electrain.files.models import ModelFileError, fixed_axes_of, predicted_outputs
from electrain.interface.quantities import quantity_of
from electrain.nn.precision import check_matmul_precision
from electrain.results.spectrum import Spectrum
from electrain.spectra.fixed_axis import FixedAxis

from .each_structure import EachStructureModel
from .exported_model import to_numpy
from .opening import Opened, open_model


class SpectrumModel(EachStructureModel[Spectrum]):
    """An exported model that predicts a spectrum on a fixed axis (``fixed_axes`` in its options).

    >>> model = SpectrumModel("phonons.pt")
    >>> silicon = model.predict(ase.build.bulk("Si"))
    >>> model.axis.values(), silicon.values, silicon.unit

    :param model: the exported model: a ``.pt`` file, a name (:func:`electrain.pretrained.known_models`), or a loaded
        model.
    :param device: see :class:`~electrain.calculators.ElectronicStructureModel`.
    :param target: which spectrum, such as ``"mtt::phonon_dos"``; needed only if the model predicts several.
    :param matmul_precision: see :class:`~electrain.calculators.ElectronicStructureModel`.
    :param extensions_directory: see :func:`electrain.files.models.load_model`.
    :raises FileNotFoundError: if there is no such file or name.
    :raises ModelFileError: if the file is not such a model.
    :raises ValueError: for several spectra without ``target``, a target that the model does not predict, a device that
        is not available, or an unknown precision.
    """

    def __init__(
        self,
        model: str | Path | AtomisticModel | Opened,
        device: str | None = None,
        *,
        target: str | None = None,
        matmul_precision: str = "highest",
        extensions_directory: str | Path | None = None,
    ) -> None:
        check_matmul_precision(matmul_precision)
        opened = open_model(model, extensions_directory)
        self.target, self.axis = _chosen(opened, target)
        super().__init__(opened, device, matmul_precision)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name} on {self.device}: {quantity_of(self.target).label} at {self.axis}; "
            f"{len(self.elements)} elements ({' '.join(self.elements)})>"
        )

    def _predict_batch(self, batch: Sequence[Atoms]) -> list[Spectrum]:
        block = self._run(batch, {self.target: ModelOutput(sample_kind="system")})[self.target]
        results = []
        for atoms, values in zip(batch, to_numpy(block), strict=True):
            self._check_finite(atoms, [values])
            results.append(Spectrum(atoms, self.axis, self.target, values))
        return results


def _chosen(opened: Opened, target: str | None) -> tuple[str, FixedAxis]:
    """The spectrum to predict, and its axis."""
    axes = fixed_axes_of(opened.model)
    if not axes:
        predicted = predicted_outputs(opened.model.capabilities())
        raise ModelFileError(
            f"{opened.label} predicts no spectrum on a fixed axis, such as mtt::phonon_dos, but "
            f"{', '.join(predicted) or 'nothing'}"
        )
    if target is None and len(axes) > 1:
        raise ValueError(f"{opened.label} predicts several spectra; choose one as target: {', '.join(axes)}")
    chosen = next(iter(axes)) if target is None else target
    if chosen not in axes:
        raise ValueError(f"{opened.label} does not predict the spectrum {chosen!r}, but {', '.join(axes)}")
    return chosen, axes[chosen]
