"""Several models of the same quantities as one: their mean, and their spread as uncertainty."""

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from metatomic.torch import AtomisticModel

from electrain.files.models import energy_axis_of
from electrain.results.electronic_structure import ElectronicStructure
from electrain.results.model_average import average_results
from electrain.spectra.axis import EnergyAxis

from .predictor import ElectronicStructureModel
from .unread_inputs import UnreadInputs


class ElectronicStructureEnsemble(ElectronicStructureModel):
    """Independently trained models that are used as one model: the mean of their predictions, with their spread.

    >>> model = ElectronicStructureEnsemble(["seed1.pt", "seed2.pt", "seed3.pt"])
    >>> silicon = model.predict(ase.build.bulk("Si"))
    >>> silicon.band_gap, silicon.uncertainty.band_gap

    Densities of states and Fermi levels are aligned before they are averaged, because every model has its own zero of
    energy; see :func:`electrain.results.average_results`. The spread of the models is not calibrated: errors that they
    have in common are not in it.

    :param models: at least two exported models (``.pt`` files, names, loaded or opened models), trained on the same
        data with other seeds, or at least on the same energy axis, elements and quantities.
    :param device: as for :class:`~electrain.calculators.ElectronicStructureModel`, for files and loaded models.
    :param matmul_precision: as for the same class.
    :param extensions_directory: as for the same class.
    :raises ValueError: for fewer than two models, the same file twice, or models that differ in their energy axes,
        elements, quantities or inputs; and as for :class:`~electrain.calculators.ElectronicStructureModel`.
    """

    def __init__(
        self,
        models: Sequence[str | Path | AtomisticModel | ElectronicStructureModel],
        device: str | None = None,
        *,
        matmul_precision: str = "highest",
        extensions_directory: str | Path | None = None,
    ) -> None:
        check_files(models)
        self.models = [
            model
            if isinstance(model, ElectronicStructureModel)
            else ElectronicStructureModel(
                model, device, matmul_precision=matmul_precision, extensions_directory=extensions_directory
            )
            for model in models
        ]
        first = self.models[0]
        super().__init__(first._model, str(first.device), matmul_precision=matmul_precision)
        self.name = f"the ensemble of {', '.join(model.name for model in self.models)}"
        self._unread_inputs = UnreadInputs(self.name, self._inputs)
        self._axis = _common_axis(self.models)
        for model in self.models[1:]:
            _check_alike(first, model)

    @property
    def predicts_uncertainty(self) -> bool:
        """Whether results include standard deviations: always."""
        return True

    def _predict_batch(self, batch: Sequence[Atoms], *, per_atom: bool) -> list[ElectronicStructure]:
        predictions = [model._predict_batch(batch, per_atom=per_atom) for model in self.models]
        return [average_results(results, self._axis) for results in zip(*predictions, strict=True)]


def check_files(models: Sequence[str | Path | AtomisticModel | ElectronicStructureModel]) -> None:
    """Raise a ``ValueError`` for fewer than two models, or a file that is given twice."""
    if isinstance(models, (str, Path)) or len(models) < 2:
        given = [models] if isinstance(models, (str, Path)) else models
        raise ValueError(f"expected at least two models for an ensemble, got {', '.join(map(str, given)) or 'none'}")
    known: set[Path] = set()
    for model in models:
        if isinstance(model, (str, Path)):
            if Path(model).resolve() in known:
                raise ValueError(f"expected different models for an ensemble, got {model} twice")
            known.add(Path(model).resolve())


def _common_axis(models: Sequence[ElectronicStructureModel]) -> EnergyAxis:
    axes = [energy_axis_of(model._model) for model in models]
    for model, axis in zip(models, axes, strict=True):
        if axis is None:
            raise ValueError(f"expected models made by electrain, but the metadata of {model.name} have no energy_grid")
        assert axes[0] is not None
        _check_axes(axes[0], axis, models[0].name, model.name)
    assert axes[0] is not None
    return axes[0]


def _check_axes(first: EnergyAxis, other: EnergyAxis, name: str, other_name: str) -> None:
    if not other.is_compatible(first):
        raise ValueError(
            f"expected models with the same energy axis, but that of {name} is {first.grid}, {first.max_shift} "
            f"channels for shifts, and that of {other_name} is {other.grid}, {other.max_shift} channels for shifts"
        )
    if other.smearing != first.smearing:
        raise ValueError(
            f"expected models with the same smearing, but that of {name} is {first.smearing} eV and that of "
            f"{other_name} is {other.smearing} eV"
        )
    for symbol, count in first.valence_electrons.items():
        if other.valence_electrons.get(symbol, count) != count:
            raise ValueError(
                f"expected models with the same valence electrons, but {name} counts {count:g} for {symbol} and "
                f"{other_name} {other.valence_electrons[symbol]:g}"
            )


def _check_alike(first: ElectronicStructureModel, other: ElectronicStructureModel) -> None:
    pairs = {
        "elements": (first.elements, other.elements),
        "inputs": (sorted(first._inputs), sorted(other._inputs)),
        "quantities": (first._outputs, other._outputs),
    }
    for what, (one, two) in pairs.items():
        if one != two:
            raise ValueError(
                f"expected models with the same {what}, but {first.name} has {_beyond(one, two)} and {other.name} has "
                f"{_beyond(two, one)}"
            )


def _beyond(own: Sequence[str], others: Sequence[str]) -> str:
    more = [name for name in own if name not in others]
    return f"{', '.join(more)} in addition" if more else "no others"
